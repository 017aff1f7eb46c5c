"""From moments to stages: where the time between a question's last sound and the answer's first sound went.

Everything is milliseconds on one clock. A stage runs from one moment of a route to the next. Where a moment that must
have been there is unknown, the span around it is *unattributed*: stages and the unattributed remainder always add up to
voice-to-voice. Nothing is guessed: an impossible order is flagged, and what could not be measured says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

import msgspec

Route = Literal["chain", "chain-streaming", "chat-audio", "realtime"]
Source = Literal["measured", "derived", "simulated"]
MomentName = Literal[
    "speech_end",
    "speech_stopped",
    "committed",
    "uploaded",
    "transcript",
    "tool_call",
    "tool_output",
    "first_text",
    "text_ready",
    "first_audio",
    "first_audible",
    "rendered",
]
StageName = Literal[
    "vad_hold",
    "commit",
    "upload",
    "transcription",
    "tool_choice",
    "tool",
    "first_text",
    "sentence",
    "first_audio",
    "leading_silence",
    "output",
]

ROUTES: tuple[Route, ...] = get_args(Route)
MOMENT_NAMES: tuple[MomentName, ...] = get_args(MomentName)
STAGE_NAMES: tuple[StageName, ...] = get_args(StageName)

MOMENTS: Mapping[MomentName, str] = {
    "speech_end": "the user's speech truly ended",
    "speech_stopped": "the detector said that the speech was over",
    "committed": "the server took the turn",
    "uploaded": "the last byte of the request was handed to the network",
    "transcript": "the final transcript of the user's words arrived",
    "tool_call": "the model asked for a function",
    "tool_output": "the function's output was handed back",
    "first_text": "the first words of the answer arrived",
    "text_ready": "the text that is spoken first was complete and sent to the voice",
    "first_audio": "the first byte of the answer's audio arrived",
    "first_audible": "the first sample of the answer that can be heard was due at the player",
    "rendered": "that sample left the loudspeaker",
}
STAGES: Mapping[StageName, str] = {
    "vad_hold": "silence that the detector waits for before it believes that the user has finished",
    "commit": "from the detector's word to the turn being taken",
    "upload": "sending the recorded question",
    "transcription": "turning the speech into text",
    "tool_choice": "the model deciding to call a function",
    "tool": "the function running",
    "first_text": "the language model's time to its first words",
    "sentence": "waiting for enough text to speak: a whole answer, or a first sentence",
    "first_audio": "to the first byte of speech: out of the text in a chain, out of the question in speech-to-speech",
    "leading_silence": "silence at the start of the answer's audio",
    "output": "player buffer and audio device",
}
IMPOSSIBLE_SPAN_MS = 60_000.0
"""Longer stages are wrong anchors rather than slow servers (livekit/agents#3687 reported 200 s)."""


class Step(NamedTuple):
    """One leg of a route: the moment that ends it, the stage's name, and whether a turn may go without it."""

    moment: MomentName
    stage: StageName
    optional: bool = False


_TOOLS = (Step("tool_call", "tool_choice", True), Step("tool_output", "tool", True))
_END = (Step("first_audible", "leading_silence"), Step("rendered", "output", True))
_CHAIN = (
    Step("speech_stopped", "vad_hold"),
    Step("uploaded", "upload"),
    Step("transcript", "transcription"),
    *_TOOLS,
    Step("first_text", "first_text"),
    Step("text_ready", "sentence"),
    Step("first_audio", "first_audio"),
    *_END,
)
PATHS: Mapping[Route, tuple[Step, ...]] = {
    "chain": _CHAIN,
    "chain-streaming": _CHAIN,
    "chat-audio": (
        Step("speech_stopped", "vad_hold"),
        Step("uploaded", "upload"),
        *_TOOLS,
        Step("first_audio", "first_audio"),
        *_END,
    ),
    "realtime": (
        Step("speech_stopped", "vad_hold"),
        Step("committed", "commit"),
        Step("transcript", "transcription", True),
        *_TOOLS,
        Step("first_audio", "first_audio"),
        *_END,
    ),
}
"""In speech-to-speech the answer's words come beside its sound and explain none of its time."""


class Moment(msgspec.Struct, frozen=True):
    """When something happened.

    Attributes:
        time_ms: on the run's clock.
        error_ms: by how much it may be wrong (a browser's clock, an energy detector's frame); 0 for our own clock.
        source: "measured" by us, "derived" by a stated rule from what was measured, "simulated".
    """

    time_ms: float
    error_ms: float = 0.0
    source: Source = "measured"


class Marks(msgspec.Struct):
    """What is known of one turn's moments.

    Attributes:
        moments: by name.
        unmeasured: why a moment is not there, by name.
        parallel: moments that are known to explain nothing, such as the transcript that a recogniser beside a
            speech-to-speech model made.
    """

    moments: dict[MomentName, Moment] = {}
    unmeasured: dict[MomentName, str] = {}
    parallel: tuple[MomentName, ...] = ()

    def set(self, name: MomentName, time_ms: float, *, error_ms: float = 0.0, source: Source = "measured") -> None:
        """Note a moment; the first time counts."""
        self.moments.setdefault(name, Moment(time_ms, error_ms, source))
        self.unmeasured.pop(name, None)

    def cannot(self, name: MomentName, why: str) -> None:
        """Say why a moment could not be measured."""
        if name not in self.moments:
            self.unmeasured[name] = why

    def time_ms(self, name: MomentName) -> float | None:
        """Return when, or None."""
        moment = self.moments.get(name)
        return None if moment is None else moment.time_ms


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """One span of a turn."""

    name: StageName
    start_ms: float
    end_ms: float
    error_ms: float = 0.0
    source: Source = "measured"

    @property
    def duration_ms(self) -> float:
        """How long it took."""
        return self.end_ms - self.start_ms


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """One turn's stages. `sum(stage.duration_ms) + unattributed_ms == voice_to_voice_ms` whenever that is known.

    Attributes:
        route: the architecture.
        moments: as marked.
        stages: in order; they do not overlap.
        unattributed: spans (start_ms, end_ms) between known moments that no stage explains.
        voice_to_voice_ms: true end of the user's speech to the answer's first audible sample, at the loudspeaker when
            `ends_at` is "rendered"; None when an end of it is unknown.
        ends_at: which moment ends it.
        beside: moments on no path: known to be parallel, or later than what they would have explained.
        flags: what is impossible about it, in words; such a turn is not to be averaged silently.
        unmeasured: why moments are missing.
    """

    route: Route
    moments: dict[MomentName, Moment]
    stages: tuple[Stage, ...]
    unattributed: tuple[tuple[float, float], ...] = ()
    voice_to_voice_ms: float | None = None
    ends_at: MomentName | None = None
    beside: tuple[MomentName, ...] = ()
    flags: tuple[str, ...] = ()
    unmeasured: dict[MomentName, str] = {}

    @property
    def unattributed_ms(self) -> float:
        """The part of voice-to-voice that no stage explains."""
        return sum(end_ms - start_ms for start_ms, end_ms in self.unattributed)

    def stage_ms(self, name: StageName) -> float | None:
        """Return a stage's duration, None when it was not measured."""
        return next((stage.duration_ms for stage in self.stages if stage.name == name), None)


def timeline(marks: Marks, route: Route) -> Timeline:
    """Lay a turn's moments along its route.

    Moments that are no step of the route, or are known to be parallel, explain nothing and are `beside`. An optional
    moment (a tool, a transcript in speech-to-speech) that comes after the next moment of the path ran beside it and
    explains nothing. A required moment out of order by more than the moments' errors is flagged and its spans are
    unattributed.
    """
    moments = marks.moments
    path = [Step("speech_end", "vad_hold"), *PATHS[route]]
    present = [step for step in path if step.moment in moments]
    beside = _beside(present, moments, marks.parallel)
    on_path = [step for step in present if step.moment not in beside]
    required = {step.moment for step in path if not step.optional and step.moment not in moments}
    order = [step.moment for step in path]
    stages: list[Stage] = []
    unattributed: list[tuple[float, float]] = []
    flags: list[str] = []
    last = on_path[0] if on_path else None
    for step in on_path[1:]:
        assert last is not None
        start, end = moments[last.moment], moments[step.moment]
        span_ms = end.time_ms - start.time_ms
        if span_ms < -(start.error_ms + end.error_ms):
            flags.append(f"{step.moment} came {-span_ms:.1f} ms before {last.moment}")
            required.add(step.moment)
            continue
        if span_ms > IMPOSSIBLE_SPAN_MS:
            flags.append(f"{step.stage} of {span_ms / 1000:.0f} s is not believable")
        skipped = order[order.index(last.moment) + 1 : order.index(step.moment)]
        if required.intersection(skipped):
            unattributed.append((start.time_ms, end.time_ms))
        else:
            stages.append(_stage(step.stage, start, end))
        last = step
    ends_at = _end(moments, flags)
    began = moments.get("speech_end")
    return Timeline(
        route=route,
        moments=dict(moments),
        stages=tuple(stages),
        unattributed=tuple(unattributed),
        voice_to_voice_ms=moments[ends_at].time_ms - began.time_ms if ends_at and began else None,
        ends_at=ends_at,
        beside=beside,
        flags=tuple(flags),
        unmeasured=dict(marks.unmeasured),
    )


def _beside(
    present: list[Step], moments: Mapping[MomentName, Moment], parallel: tuple[MomentName, ...]
) -> tuple[MomentName, ...]:
    steps = {step.moment for step in present}
    found = [name for name in MOMENT_NAMES if name in moments and (name in parallel or name not in steps)]
    for index, step in enumerate(present):
        later = [moments[other.moment].time_ms for other in present[index + 1 :] if not other.optional]
        late = step.optional and step.moment != "rendered" and later and moments[step.moment].time_ms > min(later)
        if late and step.moment not in found:
            found.append(step.moment)
    return tuple(found)


def _stage(name: StageName, start: Moment, end: Moment) -> Stage:
    worst: Source = next(
        (source for source in ("simulated", "derived") if source in (start.source, end.source)), "measured"
    )
    return Stage(
        name=name,
        start_ms=start.time_ms,
        end_ms=end.time_ms,
        error_ms=start.error_ms + end.error_ms,
        source=worst,
    )


def _end(moments: Mapping[MomentName, Moment], flags: list[str]) -> MomentName | None:
    ends: tuple[MomentName, ...] = ("rendered", "first_audible")
    return next((name for name in ends if name in moments and not any(f.startswith(name) for f in flags)), None)
