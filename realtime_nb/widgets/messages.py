"""Every message on the media link, defined once; TypeScript is generated from here.

The link is one bidirectional channel between a widget's front end and the kernel: a loopback WebSocket when the
browser can reach it, `jupyter-server-proxy` elsewhere, ipywidgets' comm as the fallback. Text messages are
JSON objects with a `type`; audio travels in binary messages with the fixed little-endian header below.

Directions: `ToKernel` is browser → kernel, `ToBrowser` is kernel → browser. Times ending in `_client_ms` are the
browser's `performance.now()`; those ending in `_ms` are the session's clock (milliseconds since the session began).
"""

from __future__ import annotations

import struct
from typing import Any, Literal

import msgspec

LINK_VERSION = 1

BINARY_HEADER = struct.Struct("<BBHIId")
"""kind (u8), flags (u8), reserved (u16), stream_id (u32), sequence (u32), time_client_ms (f64): 20 bytes.

PCM16 24 kHz mono follows.
"""

KIND_MICROPHONE = 1  # browser → kernel; stream_id counts microphone openings
KIND_PLAYBACK = 2  # kernel → browser; stream_id from PlaybackBegin, or a lane's of a RaceRow
KIND_UPLOAD = 3  # browser → kernel; payload is file bytes, stream_id is the Command id that announced them


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False, tag_field="type"):
    """Base of text messages."""


# --- browser → kernel -------------------------------------------------------------------------------------------


class Hello(Message, tag="hello", kw_only=True):
    """First message on a link. The token came by comm; it is never in a URL or a synced trait."""

    token: str
    client_id: str
    version: int = LINK_VERSION


class Pong(Message, tag="pong", kw_only=True):
    """Answer to `Ping`, at once."""

    ping_id: int
    time_client_ms: float


class ClientPing(Message, tag="client_ping", kw_only=True):
    """A heartbeat of the browser; the kernel answers `ClientPong`. Three missed ones stop the microphone."""

    ping_id: int
    time_client_ms: float


class MicrophoneState(Message, tag="microphone_state", kw_only=True):
    """What happened to the microphone. `error_name` is the DOMException's name, "insecure" or "gone"."""

    state: Literal["live", "stopped", "failed"]
    stream_id: int = 0
    error_name: str = ""
    error_message: str = ""
    device_label: str = ""
    device_rate_hz: int = 0
    settings: dict[str, Any] = {}


class PlaybackRendered(Message, tag="playback_rendered", kw_only=True):
    """Samples of a stream (24 kHz timeline) that the audio device really took, cumulative.

    At least every 60 ms while playing.
    """

    stream_id: int
    rendered_samples: int
    underruns: int
    time_client_ms: float
    drained: bool = False
    output_latency_ms: float = 0.0


class PlaybackFlushed(Message, tag="playback_flushed", kw_only=True):
    """Answer to `PlaybackFlush`, or unasked (`flush_id` 0) when the user pressed stop or talk."""

    flush_id: int
    rendered: dict[int, int]
    """stream_id → samples rendered."""
    time_client_ms: float


class Command(Message, tag="command", kw_only=True):
    """The user did something. The kernel answers one `CommandResult` with the same id.

    Names and arguments for the Studio: `connect {}`, `disconnect {}`, `talk_start {}`, `talk_end {}` (push-to-talk),
    `microphone_open {}`, `microphone_close {}` (open microphone, server VAD), `say_text {text}`, `play_clip {clip_id}`,
    `upload_clip {filename, size}` (file bytes follow as KIND_UPLOAD binaries), `interrupt {}`,
    `approve_tool {call_id, approved}`, `get_event {sequence}` → {json},
    `get_event_audio {sequences}` (played as one) → {pcm16_base64, sample_rate_hz}.
    Recorder: `record_start {}`, `record_stop {}`. Player: `play {}`, `stop {}`. Race: `start {races}`,
    `stop {}`.
    """

    id: int
    name: str
    arguments: dict[str, Any] = {}


# --- kernel → browser -------------------------------------------------------------------------------------------


class Ready(Message, tag="ready", kw_only=True):
    """The link is up. `active` is False when another view already carries the audio."""

    client_id: str
    active: bool
    version: int = LINK_VERSION


class Refused(Message, tag="refused", kw_only=True):
    """The link will not come up; `what_now` tells the user why and what to do."""

    reason: str
    what_now: str


class Active(Message, tag="active", kw_only=True):
    """This view became (or stopped being) the one that carries audio."""

    active: bool


class Ping(Message, tag="ping", kw_only=True):
    """Measure: the browser answers `Pong` at once."""

    ping_id: int


class ClientPong(Message, tag="client_pong", kw_only=True):
    """Answer to `ClientPing`."""

    ping_id: int
    time_client_ms: float


class LinkMeasured(Message, tag="link_measured", kw_only=True):
    """The link in use, its round trip, and the map of clocks: session_ms = performance.now() + offset_ms."""

    transport: Literal["direct", "proxy", "comm"]
    round_trip_p50_ms: float
    round_trip_p95_ms: float
    n: int
    offset_ms: float
    offset_error_ms: float


class PlaybackBegin(Message, tag="playback_begin", kw_only=True):
    """Audio of `stream_id` will follow. lane "assistant" is the answer, "user" is a clip being spoken as the user."""

    stream_id: int
    lane: Literal["assistant", "user"]
    item_id: str
    content_index: int


class PlaybackEnd(Message, tag="playback_end", kw_only=True):
    """No more audio will follow for `stream_id`; answer `PlaybackRendered(drained=True)` when all was rendered."""

    stream_id: int


class PlaybackFlush(Message, tag="playback_flush", kw_only=True):
    """Stop now and drop what is queued in `lane`; answer `PlaybackFlushed`."""

    flush_id: int
    lane: Literal["assistant", "user"]


class MicrophoneControl(Message, tag="microphone_control", kw_only=True):
    """Open or close the microphone on the kernel's wish. `muted` drops frames without closing the device."""

    open: bool
    muted: bool = False


class Notice(Message, tag="notice", kw_only=True):
    """Something the user should know: what happened and what to do."""

    level: Literal["info", "warning", "error"]
    message: str
    what_now: str = ""


class RecordingRow(msgspec.Struct, frozen=True, kw_only=True):
    """What is written of the session, and where to."""

    folder: str
    state: Literal["writing", "ended", "failed"]
    problem: str = ""
    """Why writing failed, in few words."""


class SessionState(Message, tag="session_state", kw_only=True):
    """The session as the UI shows it."""

    state: Literal["idle", "connecting", "connected", "reconnecting", "closed", "failed"]
    endpoint: str = ""
    engine: str = ""
    model: str = ""
    voice: str = ""
    turn_detection: Literal["server_vad", "semantic_vad", "none"] = "server_vad"
    speaking: bool = False
    """A response is being generated or played."""
    recording: RecordingRow | None = None
    error: str = ""
    what_now: str = ""


class TranscriptEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the running transcript. Replace the line of the same `item_id`; `order` sorts."""

    item_id: str
    order: int
    role: Literal["user", "assistant", "system", "tool"]
    text: str
    final: bool
    heard_characters: int | None = None
    """After an interruption: how many characters of `text` were heard; the rest is shown struck through."""
    status: str = ""


class TranscriptUpdate(Message, tag="transcript_update", kw_only=True):
    """Lines of the transcript that are new or changed."""

    entries: list[TranscriptEntry]


class ToolCallRow(msgspec.Struct, frozen=True, kw_only=True):
    """A call of one of the session's functions. The same `call_id` again replaces it.

    `item_id` is its line of the transcript. Long `arguments` and `output` are cut.
    """

    call_id: str
    item_id: str
    name: str
    arguments: str
    status: Literal["running", "waiting_for_approval", "completed", "failed", "timed_out", "declined", "cancelled"]
    output: str = ""
    error: str = ""
    duration_ms: float | None = None


class ToolCalls(Message, tag="tool_calls", kw_only=True):
    """Calls that are new or changed."""

    calls: list[ToolCallRow]


class EventRow(msgspec.Struct, frozen=True, kw_only=True):
    """One wire event in the inspector; `payload` is its JSON text with audio elided to a length."""

    sequence: int
    time_ms: float
    direction: Literal["sent", "received"]
    event_type: str
    summary: str
    payload: str
    audio_ms: float | None = None
    audio_bytes: int = 0
    response_id: str = ""
    item_id: str = ""


class Events(Message, tag="events", kw_only=True):
    """New wire events, in order. `dropped` counts rows that the bounded log no longer holds."""

    rows: list[EventRow]
    dropped: int = 0


class RegionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A span on a waveform. `end_ms` None means it is still open; the same `region_id` again updates it."""

    region_id: str
    lane: Literal["user", "assistant"]
    kind: Literal["speech", "hold", "response"]
    start_ms: float
    end_ms: float | None = None


class Regions(Message, tag="regions", kw_only=True):
    """Spans on the waveforms that are new or changed."""

    regions: list[RegionRow]


class CommandResult(Message, tag="command_result", kw_only=True):
    """The answer to the `Command` of the same id."""

    id: int
    ok: bool
    result: dict[str, Any] = {}
    error: str = ""
    what_now: str = ""


class ClipEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A bundled clip in the menu."""

    clip_id: str
    title: str
    duration_ms: int
    origin: str


class Clips(Message, tag="clips", kw_only=True):
    """The sample clips menu."""

    clips: list[ClipEntry]


ToKernel = Hello | Pong | ClientPing | MicrophoneState | PlaybackRendered | PlaybackFlushed | Command
ToBrowser = (
    Ready
    | Refused
    | Active
    | Ping
    | ClientPong
    | LinkMeasured
    | PlaybackBegin
    | PlaybackEnd
    | PlaybackFlush
    | MicrophoneControl
    | Notice
    | SessionState
    | TranscriptUpdate
    | ToolCalls
    | Events
    | Regions
    | CommandResult
    | Clips
)
