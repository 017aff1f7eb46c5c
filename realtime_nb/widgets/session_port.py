"""What the widgets need of a session: the seam that keeps them testable without one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from realtime_nb.errors import RealtimeError
from realtime_nb.widgets.playback_feed import PlaybackReport, StreamKey

__all__ = [
    "Connect",
    "EventLogPort",
    "LoggedEventPort",
    "PlayerPort",
    "RecordingPort",
    "RegionPort",
    "SessionPort",
    "ToolCallPort",
    "TranscriptLinePort",
]

ToolCallStatus = Literal["running", "waiting_for_approval", "completed", "failed", "timed_out", "declined", "cancelled"]


class LoggedEventPort(Protocol):
    """One wire event as the session logged it."""

    @property
    def sequence(self) -> int:
        """Position in the log, from 0 upwards."""

    @property
    def time_ms(self) -> float:
        """Session clock."""

    @property
    def direction(self) -> Literal["sent", "received"]:
        """Which way it went."""

    @property
    def event_type(self) -> str:
        """The wire's `type`."""

    @property
    def event(self) -> dict[str, Any]:
        """The event as it was on the wire."""

    @property
    def audio_left_out_bytes(self) -> int:
        """How much audio it carried that is no longer in `event`."""


class EventLogPort(Protocol):
    """The session's bounded log."""

    def __getitem__(self, sequence: int) -> LoggedEventPort:
        """Return one event; KeyError when it was dropped or has not happened."""

    def since(self, sequence: int) -> tuple[Sequence[LoggedEventPort], int]:
        """Events from `sequence` on, and how many of them the log no longer holds."""


class TranscriptLinePort(Protocol):
    """One line of the running transcript; a later one of the same `item_id` replaces it."""

    @property
    def item_id(self) -> str:
        """The item it is of."""

    @property
    def order(self) -> int:
        """Sorts."""

    @property
    def role(self) -> Literal["user", "assistant", "system", "tool"]:
        """Who spoke."""

    @property
    def text(self) -> str:
        """What was said so far."""

    @property
    def final(self) -> bool:
        """No more text will come."""

    @property
    def heard_characters(self) -> int | None:
        """After an interruption, how much of it was heard."""

    @property
    def status(self) -> str:
        """Empty, or what went wrong."""


class RegionPort(Protocol):
    """A span on a waveform; a later one of the same `region_id` replaces it."""

    @property
    def region_id(self) -> str:
        """Names it."""

    @property
    def lane(self) -> Literal["user", "assistant"]:
        """Whose waveform."""

    @property
    def kind(self) -> Literal["speech", "hold", "response"]:
        """What it shows."""

    @property
    def start_ms(self) -> float:
        """Session clock."""

    @property
    def end_ms(self) -> float | None:
        """Session clock; None while it is open."""


class ToolCallPort(Protocol):
    """A call of a function of the session; a later one of the same `call_id` replaces it."""

    @property
    def call_id(self) -> str:
        """Names it."""

    @property
    def item_id(self) -> str:
        """The item that asked for it: its line of the transcript."""

    @property
    def name(self) -> str:
        """The function."""

    @property
    def arguments(self) -> str:
        """As the model wrote them, JSON."""

    @property
    def status(self) -> ToolCallStatus:
        """How far it is, or how it ended."""

    @property
    def output(self) -> str:
        """What the model was told."""

    @property
    def error(self) -> str:
        """What went wrong, "" when nothing did."""

    @property
    def duration_ms(self) -> float | None:
        """How long it ran; None while it does."""


class RecordingPort(Protocol):
    """A recording of the session."""

    @property
    def path(self) -> Path:
        """Its folder."""

    @property
    def writing(self) -> bool:
        """Whether it goes on."""

    @property
    def failure(self) -> OSError | None:
        """Why the disk took no more."""


class PlayerPort(Protocol):
    """Where the session's audio goes."""

    def begin(self, item_id: str, content_index: int) -> None:
        """Audio of this part will follow."""

    def write(self, item_id: str, content_index: int, pcm16: bytes) -> None:
        """Take PCM16 24 kHz; must not block."""

    def end(self, item_id: str, content_index: int) -> None:
        """The part is complete."""

    async def flush(self) -> dict[StreamKey, int]:
        """Stop now; samples rendered per unfinished part."""


class SessionPort(Protocol):
    """The part of `realtime_nb.session.Session` that the Studio uses."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that the session lives on."""

    @property
    def state(self) -> Literal["connecting", "connected", "reconnecting", "closed", "failed"]:
        """Where the session is in its life."""

    @property
    def endpoint(self) -> str:
        """Where it is connected to."""

    @property
    def engine(self) -> str:
        """Who answers, as shown to the user."""

    @property
    def model(self) -> str:
        """The model's name."""

    @property
    def config(self) -> Any:
        """The effective session configuration."""

    @property
    def closed_reason(self) -> RealtimeError | None:
        """Why it ended, when it ended badly."""

    @property
    def events(self) -> EventLogPort:
        """The wire log."""

    @property
    def history(self) -> Sequence[Any]:
        """The turns so far."""

    @property
    def transcript(self) -> Sequence[TranscriptLinePort]:
        """The running transcript so far."""

    @property
    def regions(self) -> Sequence[RegionPort]:
        """The regions so far."""

    @property
    def tool_calls(self) -> Sequence[ToolCallPort]:
        """Calls of the session's functions so far."""

    @property
    def recordings(self) -> Sequence[RecordingPort]:
        """Everything that was or is being written of it, oldest first."""

    @property
    def playback(self) -> PlaybackReport:
        """Takes rendered counts."""

    def now_ms(self) -> float:
        """Milliseconds since the session began."""

    def observe(self, observer: object) -> Callable[[], None]:
        """Call `on_state`, `on_event`, `on_transcript`, `on_region`, `on_turn`, … of `observer` from now on."""

    def attach_player(self, player: PlayerPort) -> Callable[[], None]:
        """Send the assistant's audio to `player` from now on."""

    def feed_microphone(self, pcm16: bytes) -> object:
        """Take microphone audio; never blocks."""

    async def ask(self, question: Any) -> Any:
        """Say a clip or a text and wait for the turn."""

    async def interrupt(self, reason: Literal["button", "policy"] = "button") -> object:
        """Stop the answer."""

    async def approve(self, call_id: str, *, approved: bool = True) -> bool:
        """Let a waiting call run, or decline it; False when no such call waits."""

    async def talk_start(self) -> object:
        """Begin push-to-talk."""

    async def talk_end(self) -> Any:
        """End push-to-talk; gives a future of the turn."""

    async def microphone_open(self) -> object:
        """Open microphone: the server finds the turns."""

    async def microphone_close(self) -> object:
        """Close the open microphone."""

    async def aclose(self) -> object:
        """End the session. Idempotent."""


Connect = Callable[..., Awaitable[SessionPort]]
"""`realtime_nb.connect` or a stand-in: called with the Studio's connect options, awaited for a session."""
