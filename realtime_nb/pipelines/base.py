"""One user turn in, a stream of what happened out: the interface that all architectures share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Literal, Protocol

import msgspec
import numpy as np

from realtime_nb.audio import AudioClip
from realtime_nb.errors import RealtimeError
from realtime_nb.timing.marks import Marks, MomentName, Route, Timeline, timeline

Status = Literal["completed", "failed", "timed_out", "no_speech"]


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """Who answered, stage by stage. Every table and figure carries it.

    Attributes:
        route: the architecture.
        endpoints: base URL without secrets by stage ("transcription", "chat", "speech", "session"), or "embedded".
        models: model name by stage, as the server announced it where it does.
        engine: what really computed, where the server says so; "" when unknown.
        simulated: what was simulated, in words that can be printed ("network: 4G (simulated)"); empty when nothing.
        settings: what else decides the figures (silence_duration_ms, voice, detector …).
    """

    route: Route
    endpoints: dict[str, str]
    models: dict[str, str]
    engine: str = ""
    simulated: tuple[str, ...] = ()
    settings: dict[str, Any] = {}


class Heard(msgspec.Struct, frozen=True):
    """Words of the user's turn; `final` once, with the whole text."""

    text: str
    final: bool = True


class Said(msgspec.Struct, frozen=True):
    """A piece of the answer's text."""

    text: str


class Spoken(msgspec.Struct, frozen=True):
    """A piece of the answer's audio, PCM16 mono 24 kHz."""

    pcm16: bytes


class ToolUse(msgspec.Struct, frozen=True, kw_only=True):
    """A function that the model called and what it got back."""

    name: str
    arguments: str
    output: str
    failed: bool = False


class StartedOver(msgspec.Struct, frozen=True):
    """The detector took a pause for the end, and the user went on: what was answered so far is void."""


class Reached(msgspec.Struct, frozen=True):
    """A moment was reached (`realtime_nb.timing.marks.MOMENTS`), on the machine's monotonic clock."""

    moment: MomentName
    time_ms: float


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a turn; always the last event, also of a failed turn."""

    status: Status
    marks: Marks
    error: str | None = None
    usage: dict[str, Any] | None = None


PipelineEvent = Heard | Said | Spoken | ToolUse | Reached | StartedOver | Finished


class Pipeline(Protocol):
    """An architecture, ready to answer. One turn at a time; earlier turns are its history.

    Attributes:
        provenance: who answers.
    """

    provenance: Provenance

    async def start(self) -> None:
        """Connect and warm up, so that the first turn is as fast as the tenth. Twice is fine."""
        ...

    def run(self, clip: AudioClip) -> AsyncIterator[PipelineEvent]:
        """Play the clip in real time to the pipeline and stream what happens.

        The clip is spoken at the speed of speech; its `speech_end_ms` (or, without one, the end found by energy, said
        in the marks as derived) is the true end of the user's speech. Every pipeline waits the same hold of silence
        before it believes the end. A failing stage ends the stream with `Finished`; it does not raise. Closing the
        iterator stops the work and leaves the history as it was before the turn.
        """
        ...

    async def reset(self) -> None:
        """Forget the earlier turns."""
        ...

    async def aclose(self) -> None:
        """Release connections. Twice is fine."""
        ...


class PipelineTurn(msgspec.Struct, kw_only=True):
    """One turn through a pipeline, collected.

    Attributes:
        provenance: who answered.
        clip: what was asked.
        status: how it ended.
        heard: the user's words as the pipeline understood them; "" when it never says (chat audio).
        said: the answer's words.
        marks: moments on the machine's monotonic clock, in ms.
        usage: as the stages reported it.
    """

    provenance: Provenance
    clip: AudioClip
    status: Status = "failed"
    heard: str = ""
    said: str = ""
    marks: Marks = msgspec.field(default_factory=Marks)
    tools: list[ToolUse] = []
    error: str | None = None
    usage: dict[str, Any] | None = None
    pcm16: bytes = b""

    @property
    def audio(self) -> AudioClip:
        """The answer's audio, 24 kHz; may be empty."""
        return AudioClip(np.frombuffer(self.pcm16, dtype="<i2").astype(np.int16), title="answer", transcript=self.said)

    @property
    def timeline(self) -> Timeline:
        """Where the time went."""
        return timeline(self.marks, self.provenance.route)


async def collect(
    pipeline: Pipeline, clip: AudioClip, *, on_event: Callable[[PipelineEvent], None] | None = None
) -> PipelineTurn:
    """Run one turn to its end and return it; a failed turn is returned, too. Cancelling stops the work."""
    turn = PipelineTurn(provenance=pipeline.provenance, clip=clip)
    audio: list[bytes] = []
    try:
        async for event in pipeline.run(clip):
            _take(turn, audio, event)
            if on_event is not None:
                on_event(event)
    except RealtimeError as problem:
        turn.status, turn.error = "failed", str(problem)
    turn.pcm16 = b"".join(audio)
    turn.provenance = pipeline.provenance
    return turn


def _take(turn: PipelineTurn, audio: list[bytes], event: PipelineEvent) -> None:
    match event:
        case Heard(text, True):
            turn.heard = text
        case Said(text):
            turn.said += text
        case Spoken(pcm16):
            audio.append(pcm16)
        case ToolUse():
            turn.tools.append(event)
        case StartedOver():
            turn.heard = turn.said = ""
            turn.tools = []
            audio.clear()
        case Finished():
            turn.status, turn.marks = event.status, event.marks
            turn.error, turn.usage = event.error, event.usage


__all__: Sequence[str] = (
    "Finished",
    "Heard",
    "Pipeline",
    "PipelineEvent",
    "PipelineTurn",
    "Provenance",
    "Reached",
    "Said",
    "Spoken",
    "StartedOver",
    "ToolUse",
    "collect",
)
