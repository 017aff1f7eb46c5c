"""One architecture in a race: what it has reached so far, and how that is drawn."""

from __future__ import annotations

from realtime_nb.audio import AudioClip
from realtime_nb.audio.format import PCM16_BYTES_PER_MS
from realtime_nb.pipelines.base import (
    Heard,
    Pipeline,
    PipelineEvent,
    PipelineTurn,
    Provenance,
    Reached,
    Said,
    Spoken,
    StartedOver,
)
from realtime_nb.timing.clock import monotonic_ms
from realtime_nb.timing.marks import PATHS, STAGES, Marks, Timeline, timeline
from realtime_nb.widgets.race_rows import LanePhase, LaneRow, PendingRow
from realtime_nb.widgets.timeline_rows import ROUTE_TITLES, STAGE_LABELS, timeline_row
from realtime_nb.widgets.timeline_sources import made_by_words, unsaid

__all__ = ["Lane", "lane_title"]


class Lane:
    """The state of a lane, changed by the events of its pipeline. Lives on the runtime loop.

    Until the turn has ended, the true end of the speech is taken from the clip and the moment when the lane began; then
    from the turn's own marks.

    Args:
        name: of the pipeline; a route's name is shown in words.
        pipeline: who answers.
    """

    def __init__(self, name: str, pipeline: Pipeline) -> None:
        self.name = name
        self.title = lane_title(name)
        self.pipeline = pipeline
        self.phase: LanePhase = "idle"
        self.ready = False
        self.place = 0
        self.error = ""
        self.turn: PipelineTurn | None = None
        self.stream_id = 0
        self.heard = self.said = ""
        self._began_ms = 0.0
        self._speech_end_ms: float | None = None
        self._answer_bytes = 0
        self._marks = Marks()

    @property
    def provenance(self) -> Provenance:
        """Who answers."""
        return self.pipeline.provenance

    @property
    def answers(self) -> bool:
        """Whether its answer can be heard."""
        return "first_audible" in self._marks.moments

    @property
    def timeline(self) -> Timeline | None:
        """The stages so far."""
        if not self._marks.moments:
            return None
        return timeline(self._marks, self.provenance.route)

    @property
    def voice_to_voice_ms(self) -> float | None:
        """How long it took, None while that is not known."""
        found = self.timeline
        return found.voice_to_voice_ms if found is not None else None

    def warm(self) -> None:
        """It gets ready."""
        self.phase, self.error, self.turn, self.place = "warming", "", None, 0
        self.heard = self.said = ""
        self._answer_bytes, self._marks = 0, Marks()
        self._speech_end_ms = None

    def begin(self, clip: AudioClip) -> None:
        """The question begins now."""
        self.phase = "asking"
        self._began_ms = monotonic_ms()
        end_ms = clip.speech_end_ms if clip.speech_end_ms is not None else clip.duration_ms
        self._speech_end_ms = self._began_ms + end_ms
        self._suppose_end()

    def take(self, event: PipelineEvent) -> None:
        """Take what the pipeline tells, apart from its sound."""
        match event:
            case Reached(moment, time_ms):
                self._marks.set(moment, time_ms)
                self.phase = "answering" if self.answers else "thinking"
            case Heard(text):
                self.heard = text
            case Said(text):
                self.said += text
            case Spoken(pcm16):
                self._answer_bytes += len(pcm16)
            case StartedOver():
                self.said = ""
                self._answer_bytes, self._marks, self.phase = 0, Marks(), "asking"
                self._suppose_end()

    def finish(self, turn: PipelineTurn) -> None:
        """The turn is over, well or not."""
        self.turn = turn
        self.heard, self.said = turn.heard, turn.said
        self._marks = turn.marks
        self.phase = "done" if turn.status == "completed" else "failed"
        self.error = "" if turn.status == "completed" else turn.error or turn.status.replace("_", " ")

    def fail(self, error: str) -> None:
        """It cannot take part, or broke; what it reached stays."""
        self.phase, self.error = "failed", error

    def stop(self) -> None:
        """It was stopped, unless it was through."""
        if self.phase in ("warming", "asking", "thinking", "answering"):
            self.phase = "stopped"

    def row(self, race_began_ms: float) -> LaneRow:
        """Return the lane as it is drawn."""
        laid = self.timeline
        end = self._marks.moments.get("speech_end")
        return LaneRow(
            title=self.title,
            made_by=made_by_words(self.provenance),
            simulated=unsaid(self.provenance),
            phase=self.phase,
            zero_ms=None if end is None else end.time_ms - race_began_ms,
            timeline=None if laid is None else timeline_row(laid, title=self.title),
            pending=self._pending(race_began_ms),
            heard=self.heard,
            said=self.said,
            answer_ms=self._answer_bytes / PCM16_BYTES_PER_MS,
            place=self.place,
            error=self.error,
            stream_id=self.stream_id,
        )

    def _suppose_end(self) -> None:
        if self._speech_end_ms is not None:
            self._marks.set("speech_end", self._speech_end_ms, source="derived")

    def _pending(self, race_began_ms: float) -> PendingRow | None:
        if self.phase not in ("asking", "thinking"):
            return None
        moments = self._marks.moments
        path = PATHS[self.provenance.route]
        reached = [index for index, step in enumerate(path) if step.moment in moments]
        coming = next((step for step in path[max(reached, default=-1) + 1 :] if not step.optional), None)
        if coming is None:
            return None
        since_ms = max(moment.time_ms for moment in moments.values()) if moments else race_began_ms
        return PendingRow(
            name=coming.stage,
            label=STAGE_LABELS[coming.stage],
            what=STAGES[coming.stage],
            since_ms=since_ms - race_began_ms,
        )


def lane_title(name: str) -> str:
    """Return a pipeline's name as it is shown."""
    return ROUTE_TITLES.get(name, name)  # type: ignore[call-overload]
