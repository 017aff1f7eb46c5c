"""A turn: what the user said, what came back, and how it went."""

from __future__ import annotations

import base64
import html
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np

from realtime_nb.audio import AudioClip
from realtime_nb.audio.static_view import waveform_svg
from realtime_nb.errors import RealtimeError
from realtime_nb.protocol.items import FunctionCall
from realtime_nb.protocol.playback import PlaybackKey
from realtime_nb.protocol.response import Usage
from realtime_nb.timing.marks import Timeline

from .event_log import LoggedEvent

if TYPE_CHECKING:
    from .tool_runner import ToolResult

TurnStatus = Literal["in_progress", "completed", "cancelled", "failed", "incomplete", "lost"]
Interruption = Literal["speech", "text", "button", "policy"]

USER_COLOR = "#0072b2"
ASSISTANT_COLOR = "#d55e00"


class TurnMarks(msgspec.Struct):
    """When things happened, in milliseconds on the session's clock; None where there was no such thing."""

    speech_end_ms: float | None = None
    """The true end of the user's speech, known for clips that say where it is."""
    speech_started_ms: float | None = None
    speech_stopped_ms: float | None = None
    user_audio_end_ms: float | None = None
    """When the last sample of the user's audio was spoken."""
    response_created_ms: float | None = None
    first_text_ms: float | None = None
    first_audio_ms: float | None = None
    done_ms: float | None = None


class Rendered(msgspec.Struct, frozen=True):
    """A player's word: by this moment of the session's clock so many samples of a part had left the loudspeaker."""

    key: PlaybackKey
    n_samples: int
    time_ms: float
    error_ms: float


class Turn:
    """One exchange. Fills while it happens; final when `status` is no longer "in_progress".

    Attributes:
        response_id: the response's id.
        user_item_ids: the user's items that it answers.
        out_of_band: True for a response outside the conversation (`conversation="none"`).
        status: how the response ended; "lost" when its end never came (the connection broke, the server fell silent).
        transcript: the assistant's words, as generated.
        remembered: the assistant's words that the server kept after an interruption; None when not interrupted.
        user_transcript: the user's words: typed, or as recognised (a separate recogniser: guidance, not truth).
        usage: tokens, None until the end.
        interrupted: why it was cut, None when it was not.
        heard_ms: how much of the audio was heard when it was cut.
        error: why it failed.
        tool_calls: functions that the model asked for.
        tool_results: how the calls that a tool of the session answered went.
        calls_tools: some of its calls are a tool's of the session: a turn that speaks of their results follows.
        events: the wire events that belong to it, their audio left out (it is in `audio` and `user_audio`).
        marks: when things happened.
        cause: the turn whose tool calls it answers, None when it answers the user.
        rendered: what a player reported, the first 500 reports.
    """

    def __init__(self, response_id: str, user_item_ids: list[str], *, out_of_band: bool = False) -> None:
        self.response_id = response_id
        self.out_of_band = out_of_band
        self.user_item_ids = user_item_ids
        self.item_ids: list[str] = []
        self.status: TurnStatus = "in_progress"
        self.transcript = ""
        self.remembered: str | None = None
        self.user_transcript = ""
        self.usage: Usage | None = None
        self.interrupted: Interruption | None = None
        self.heard_ms: int | None = None
        self.error: RealtimeError | None = None
        self.tool_calls: list[FunctionCall] = []
        self.tool_results: list[ToolResult] = []
        self.calls_tools = False
        self.events: list[LoggedEvent] = []
        self.marks = TurnMarks()
        self.cause: Turn | None = None
        self.rendered: list[Rendered] = []
        self._audio = bytearray()
        self._user_audio = bytearray()

    @property
    def audio(self) -> AudioClip:
        """The assistant's audio as received, 24 kHz; may be empty."""
        return _clip(self._audio, "assistant", self.transcript)

    @property
    def user_audio(self) -> AudioClip | None:
        """The user's audio as sent, 24 kHz; None for a typed turn."""
        return _clip(self._user_audio, "user", self.user_transcript) if self._user_audio else None

    @property
    def answer_latency_ms(self) -> float | None:
        """From the server's word that speech stopped (or the request, for typed turns) to the first answer received.

        This is the wire's view. It leaves out the detector's hold before and the loudspeaker after.
        """
        marks = self.marks
        start = marks.speech_stopped_ms if marks.speech_stopped_ms is not None else marks.response_created_ms
        first = marks.first_audio_ms if marks.first_audio_ms is not None else marks.first_text_ms
        return None if start is None or first is None else first - start

    @property
    def voice_latency_ms(self) -> float | None:
        """From the true end of the user's speech to the first audio received; None when that end is not known.

        The detector's hold is in it, the loudspeaker is not.
        """
        marks = self.marks
        if marks.speech_end_ms is None or marks.first_audio_ms is None:
            return None
        return marks.first_audio_ms - marks.speech_end_ms

    @property
    def timeline(self) -> Timeline:
        """Where the time went, on the session's clock; see `realtime_nb.session.turn_timeline`."""
        from .turn_timeline import turn_timeline

        return turn_timeline(self)

    @property
    def audio_bytes(self) -> int:
        """How much memory the audio of both sides takes."""
        return len(self._audio) + len(self._user_audio)

    def add_audio(self, pcm16: bytes) -> None:
        """Append assistant audio, 24 kHz PCM16."""
        self._audio += pcm16

    def add_user_audio(self, pcm16: bytes) -> None:
        """Append user audio, 24 kHz PCM16."""
        self._user_audio += pcm16

    def __repr__(self) -> str:
        cut = f", interrupted by {self.interrupted} after {self.heard_ms} ms" if self.interrupted else ""
        return (
            f"<Turn {self.status}{cut}: {self.user_transcript!r} → {self.transcript!r}, "
            f"{self.audio.duration_ms / 1000:.1f} s of audio, {len(self.events)} events>"
        )

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self._html()}

    def _html(self) -> str:
        rows = [_side("You", self.user_transcript, self.user_audio, USER_COLOR)]
        rows.append(_side("AI voice", self._answer_html(), self.audio, ASSISTANT_COLOR, escaped=True))
        cut = f"interrupted by {self.interrupted}, heard {self.heard_ms} ms"
        facts = [cut if self.interrupted else self.status]
        if self.voice_latency_ms is not None:
            facts.append(f"{self.voice_latency_ms:.0f} ms from the end of the speech to the first audio received")
        elif self.answer_latency_ms is not None:
            facts.append(f"{self.answer_latency_ms:.0f} ms to the first answer on the wire")
        if self.usage is not None:
            facts.append(f"{self.usage.total_tokens} tokens")
        facts.append(f"{len(self.events)} events")
        error = f"<p><b>{html.escape(str(self.error))}</b></p>" if self.error else ""
        return (
            '<div style="max-width:760px;font-family:system-ui,sans-serif">'
            + "".join(rows)
            + error
            + f'<div style="opacity:.7;font-size:.85em">{html.escape(" · ".join(facts))}</div></div>'
        )

    def _answer_html(self) -> str:
        if self.remembered is None or not self.transcript.startswith(self.remembered):
            return html.escape(self.transcript)
        unheard = self.transcript[len(self.remembered) :]
        return f'{html.escape(self.remembered)}<s style="opacity:.55">{html.escape(unheard)}</s>'


def _clip(pcm16: bytearray, title: str, transcript: str) -> AudioClip:
    return AudioClip(np.frombuffer(bytes(pcm16), dtype="<i2").astype(np.int16), title=title, transcript=transcript)


def _side(who: str, words: str, clip: AudioClip | None, color: str, *, escaped: bool = False) -> str:
    shown = words if escaped else html.escape(words)
    audio = ""
    if clip is not None and len(clip.samples):
        source = base64.b64encode(clip.to_wav_bytes()).decode()
        audio = (
            f"<div>{waveform_svg(clip, width=720, height=56, color=color)}</div>"
            f'<audio controls preload="metadata" src="data:audio/wav;base64,{source}"></audio>'
        )
    words_html = shown or "<i>(no words)</i>"
    return f'<div style="margin:0 0 .8em"><b style="color:{color}">{who}</b> {words_html}{audio}</div>'
