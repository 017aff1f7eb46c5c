"""Runs that were planned, one after the other: what fails is noted, what stops leaves the rest "missing" with why."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from realtime_nb.audio import AudioClip
from realtime_nb.errors import ConfigurationError, RealtimeError
from realtime_nb.pipelines.base import Pipeline, PipelineEvent, collect
from realtime_nb.studies.journal import Journal
from realtime_nb.studies.prices import PRICES, Prices
from realtime_nb.studies.progress import NoProgress, Progress
from realtime_nb.studies.provenance import machine, now
from realtime_nb.studies.rows import Row, with_provenance, with_turn

logger = logging.getLogger(__name__)

FAILURES = ("failed", "timed_out")
_PART = r"(\d+(?:\.\d+)?)\s*(ms|milliseconds?|h(?:ours?)?|m(?:in(?:utes?)?)?|s(?:ec(?:onds?)?)?)?(?![^\W\d])"
_TRY_AGAIN = re.compile(rf"(?:try again in|retry[- ]after:?)\s*((?:{_PART}\s*)+)", re.IGNORECASE)
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "": 1.0}


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """How runs are done; see `compare`."""

    warmups: int = 1
    give_up_after: int = 5
    wait_when_limited_s: float = 0.0
    timeout_s: float = 180.0

    def __post_init__(self) -> None:
        if self.give_up_after < 1:
            raise ConfigurationError(
                f"give_up_after={self.give_up_after} gives up before the first run.",
                what_now="Give at least 1; a large number never gives up.",
            )


class Lane:
    """One pipeline and how it fares.

    Args:
        pipeline: it.
        ours: whether the comparison made it and closes it.
    """

    def __init__(self, pipeline: Pipeline, *, ours: bool) -> None:
        self.pipeline = pipeline
        self.ours = ours
        self.given_up = ""
        self._in_a_row = 0

    def took(self, row: Row, give_up_after: int) -> None:
        """Note how a run ended."""
        self._in_a_row = self._in_a_row + 1 if row.status in FAILURES else 0
        if self._in_a_row >= give_up_after:
            self.given_up = f"not run: {self._in_a_row} runs in a row failed before, the last one with: {row.error}"


class Runs:
    """Does what is planned. `rows` is whole at any time: what was not run is "missing".

    Args:
        plan: in the order to run.
        clips: by name.
        lanes: by pipeline's name.
        rules: of failing and waiting.
        journal: where rows go as they come; rows that it already has are not run again.
        progress: what is told.
        on_event: gets every event.
        on_row: gets every finished row.
        prices: for the costs.
    """

    def __init__(
        self,
        plan: Sequence[Row],
        clips: Mapping[str, AudioClip],
        lanes: Mapping[str, Lane],
        rules: Rules,
        *,
        journal: Journal | None = None,
        progress: Progress | None = None,
        on_event: Callable[[Row, PipelineEvent], None] | None = None,
        on_row: Callable[[Row], None] | None = None,
        prices: Prices = PRICES,
    ) -> None:
        self.rows = list(plan)
        self._clips = clips
        self._lanes = lanes
        self._rules = rules
        self._journal = journal
        self._progress = progress or NoProgress()
        self._listeners: dict[str, Callable[..., None]] = {}
        if on_event is not None:
            self._listeners["on_event"] = on_event
        if on_row is not None:
            self._listeners["on_row"] = on_row
        self._prices = prices
        self._machine = ""
        for run, row in (journal.done if journal is not None else {}).items():
            self.rows[run] = row

    async def run(self) -> str:
        """Run everything; return why it ended early, "" when it did not.

        Cancelling once ends it early; cancelling again while it closes what it opened is a cancellation.
        """
        stopped = ""
        try:
            self._machine = await asyncio.to_thread(machine)
            await self._run()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
            n_run = sum(row.status != "missing" for row in self.rows)
            stopped = f"stopped after {n_run} of {len(self.rows)} runs"
            self._explain_missing(stopped)
        finally:
            await self._close()
        return stopped

    async def _run(self) -> None:
        todo = [row for row in self.rows if row.status == "missing"]
        for lane in (self._lanes[name] for name in dict.fromkeys(row.pipeline for row in todo)):
            if not lane.given_up:
                await self._start(lane, self._clips[todo[0].clip])
        for row in todo:
            lane = self._lanes[row.pipeline]
            if lane.given_up:
                self.rows[row.run] = msgspec.structs.replace(row, error=lane.given_up)
                self._progress.ended(self.rows[row.run])
                continue
            self._progress.began(row)
            done = await self._one(row, lane)
            await self._keep(done)
            lane.took(done, self._rules.give_up_after)
            await self._wait_if_limited(done)

    async def _start(self, lane: Lane, clip: AudioClip) -> None:
        try:
            async with asyncio.timeout(self._rules.timeout_s):
                await lane.pipeline.start()
        except TimeoutError:
            lane.given_up = f"not run: it did not start within {self._rules.timeout_s:g} s"
        except RealtimeError as problem:
            lane.given_up = f"not run: it could not start: {problem}"
        except Exception as problem:  # a bug in one pipeline must not cost the others
            lane.given_up = f"not run: it broke when it started: {problem!r}. Please report this."
        for _ in range(0 if lane.given_up else self._rules.warmups):
            await self._turn(Row(), lane, clip, None)

    async def _one(self, row: Row, lane: Lane) -> Row:
        row = msgspec.structs.replace(row, started=now(), machine=self._machine, error="")
        return await self._turn(row, lane, self._clips[row.clip], lambda event: self._tell("on_event", row, event))

    async def _turn(
        self, row: Row, lane: Lane, clip: AudioClip, on_event: Callable[[PipelineEvent], None] | None
    ) -> Row:
        """Run one turn; whatever goes wrong is in the row."""
        limit_s = self._rules.timeout_s
        try:
            async with asyncio.timeout(limit_s) as limit:
                await lane.pipeline.reset()
                turn = await collect(lane.pipeline, clip, on_event=on_event)
        except RealtimeError as problem:
            return _failed(row, lane, "failed", str(problem))
        except Exception as problem:  # a bug in one run must not cost the others
            if isinstance(problem, TimeoutError) and limit.expired():
                return _failed(row, lane, "timed_out", f"The run did not end within {limit_s:g} s.")
            return _failed(row, lane, "failed", f"The pipeline broke: {problem!r}. Please report this.")
        return with_turn(row, turn, prices=self._prices)

    async def _keep(self, row: Row) -> None:
        """Keep a row here and in the journal, also when it is cancelled meanwhile."""
        self.rows[row.run] = row
        self._progress.ended(row)
        self._tell("on_row", row)
        if self._journal is not None:
            await _finished(asyncio.create_task(asyncio.to_thread(self._journal.append, row)))

    def _tell(self, name: str, *told: Any) -> None:
        """Call a listener; one that fails is left out from then on, so that it costs no runs."""
        listener = self._listeners.get(name)
        if listener is None:
            return
        try:
            listener(*told)
        except Exception:
            logger.exception("%s failed and is not called again; the runs go on", name)
            del self._listeners[name]

    async def _wait_if_limited(self, row: Row) -> None:
        if self._rules.wait_when_limited_s > 0 and row.status == "failed":
            wait_s = asked_wait_s(row.error)
            if wait_s is not None:
                await asyncio.sleep(min(wait_s, self._rules.wait_when_limited_s))

    def _explain_missing(self, why: str) -> None:
        for index, row in enumerate(self.rows):
            if row.status == "missing":
                self.rows[index] = msgspec.structs.replace(row, error=f"not run: {why}")

    async def _close(self) -> None:
        for lane in self._lanes.values():
            if lane.ours:
                try:
                    await lane.pipeline.aclose()
                except RealtimeError:
                    continue


def asked_wait_s(error: str) -> float | None:
    """Return how long a server asked to wait ("Please try again in 1m2.5s"), in seconds; None when it did not."""
    found = _TRY_AGAIN.search(error)
    if found is None:
        return None
    return sum(float(number) * _seconds(unit.lower()) for number, unit in re.findall(_PART, found[1], re.IGNORECASE))


def _seconds(unit: str) -> float:
    return 0.001 if unit in ("ms", "millisecond", "milliseconds") else _SECONDS[unit[:1]]


def _failed(row: Row, lane: Lane, status: str, error: str) -> Row:
    return msgspec.structs.replace(with_provenance(row, lane.pipeline.provenance), status=status, error=error)


async def _finished(task: asyncio.Task[None]) -> None:
    """Wait for a task to its end; a cancellation meanwhile comes after it."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as problem:
            cancelled = problem
    task.result()
    if cancelled is not None:
        raise cancelled
