"""Several architectures answer one question at the same time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence

import msgspec

from realtime_nb.audio import AudioClip
from realtime_nb.errors import RealtimeError
from realtime_nb.pipelines.base import Pipeline, PipelineEvent, PipelineTurn, collect
from realtime_nb.studies.comparison import Comparison
from realtime_nb.studies.provenance import now, provenance_now
from realtime_nb.studies.rows import Row, with_turn
from realtime_nb.timing.clock import monotonic_ms
from realtime_nb.widgets.race_lane import Lane
from realtime_nb.widgets.race_rows import RaceState

__all__ = ["MAX_RACES", "RaceRun"]

MAX_RACES = 100
STUDY = "race (all at once)"
AT_ONCE = "all pipelines at once"


class RaceRun:
    """The race itself, without a view. Everything on the runtime loop; one race at a time.

    Args:
        clip: the question.
        on_change: called after each change of what is shown.
        on_event: called with each lane's index and event.
        on_begin: called right before the lanes start, to number their streams and to say the question.
        warm_up: what every lane is asked once, all together, before the first race; None asks nothing.
    """

    def __init__(
        self,
        clip: AudioClip,
        *,
        on_change: Callable[[], None],
        on_event: Callable[[int, PipelineEvent], None],
        on_begin: Callable[[], None],
        warm_up: AudioClip | None = None,
    ) -> None:
        self.clip = clip
        self.lanes: list[Lane] = []
        self.state: RaceState = "idle"
        self.race = 0
        self.races = 0
        self.began_ms = 0.0
        self.rows: list[Row] = []
        self._raced = 0
        self._created = ""
        self._on_change = on_change
        self._on_event = on_event
        self._on_begin = on_begin
        self._warm_up_with = warm_up

    @property
    def comparison(self) -> Comparison:
        """All races so far as a comparison; its lanes ran at the same time."""
        names = [lane.name for lane in self.lanes]
        made = provenance_now(pipelines=names, seed=0, repeats=self._raced, warmups=0)
        # The load is that of the race itself by now.
        made = msgspec.structs.replace(made, created=self._created or made.created, at_once=AT_ONCE, load=None)
        return Comparison(self.rows, made)

    async def run(self, races: int) -> list[list[PipelineTurn]]:
        """Race so many times and return the turns of each race. Cancelling stops every lane and leaves nothing behind.

        A lane that fails says so and lets the others go on.

        Raises:
            RealtimeError: no lane could be made ready.
        """
        self.race, self.races = 0, max(1, min(MAX_RACES, races))
        self._created = self._created or now()
        turns: list[list[PipelineTurn]] = []
        try:
            await self._warm_up()
            for number in range(1, self.races + 1):
                self.race = number
                turns.append(await self._race_once())
            self.state = "done"
        except BaseException:
            self.state = "stopped"
            for lane in self.lanes:
                lane.stop()
            raise
        finally:
            self._on_change()
        return turns

    async def _warm_up(self) -> None:
        self.state = "warming"
        for lane in self.lanes:
            lane.warm()
        self._on_change()
        await self._make_ready(self.lanes)
        if not any(lane.ready for lane in self.lanes):
            errors = dict.fromkeys(lane.error for lane in self.lanes)
            raise RealtimeError("No lane could be made ready.", what_now=" ".join(errors))
        clip, self._warm_up_with = self._warm_up_with, None
        if clip is not None:
            async with asyncio.TaskGroup() as group:
                for lane in self.lanes:
                    if lane.ready:
                        group.create_task(_ask_once(lane.pipeline, clip))
            await self._make_ready([lane for lane in self.lanes if lane.ready])

    async def _make_ready(self, lanes: Sequence[Lane]) -> None:
        async def ready(lane: Lane) -> None:
            lane.ready = False
            try:
                await lane.pipeline.start()
                await lane.pipeline.reset()
                lane.ready = True
            except Exception as problem:
                lane.fail(_words(problem))
                self._on_change()

        async with asyncio.TaskGroup() as group:
            for lane in lanes:
                group.create_task(ready(lane))

    async def _race_once(self) -> list[PipelineTurn]:
        if self.race > 1:
            await self._make_ready([lane for lane in self.lanes if lane.ready])
        for lane in self.lanes:
            if lane.ready:
                lane.warm()
        self._on_begin()
        self._raced += 1
        self.state, self.began_ms = "racing", monotonic_ms()
        self._on_change()
        async with asyncio.TaskGroup() as group:
            lanes = [(index, lane) for index, lane in enumerate(self.lanes) if lane.ready]
            running = [group.create_task(self._run_lane(index, lane)) for index, lane in lanes]
        self._award()
        self._on_change()
        return [turn for task in running if (turn := task.result()) is not None]

    async def _run_lane(self, index: int, lane: Lane) -> PipelineTurn | None:
        planned = Row(
            study=STUDY,
            run=(self._raced - 1) * len(self.lanes) + index,
            block=self._raced - 1,
            pipeline=lane.name,
            clip=self.clip.title,
            started=now(),
            repeat=self._raced - 1,
        )
        lane.begin(self.clip)

        def tell(event: PipelineEvent) -> None:
            answered = lane.answers
            lane.take(event)
            if lane.answers and not answered:
                lane.place = 1 + sum(other.place > 0 for other in self.lanes)
            self._on_event(index, event)
            self._on_change()

        try:
            turn = await collect(lane.pipeline, self.clip, on_event=tell)
        except Exception as problem:
            lane.fail(_words(problem))
            self.rows.append(msgspec.structs.replace(planned, status="failed", error=lane.error))
            self._on_change()
            return None
        lane.finish(turn)
        self.rows.append(with_turn(planned, turn))
        self._on_change()
        return turn

    def _award(self) -> None:
        """Places by what was measured; before, they were in the order in which answers came."""
        timed = sorted(
            (total_ms, index)
            for index, lane in enumerate(self.lanes)
            if lane.phase == "done" and (total_ms := lane.voice_to_voice_ms) is not None
        )
        for lane in self.lanes:
            lane.place = 0
        for place, (_, index) in enumerate(timed, 1):
            self.lanes[index].place = place


async def _ask_once(pipeline: Pipeline, clip: AudioClip) -> None:
    """Ask for the sake of asking: processes start and connections open."""
    with contextlib.suppress(Exception):
        await collect(pipeline, clip)


def _words(problem: Exception) -> str:
    if isinstance(problem, RealtimeError):
        return str(problem)
    return f"Something unexpected went wrong ({type(problem).__name__}: {problem})."
