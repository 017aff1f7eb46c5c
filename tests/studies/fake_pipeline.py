"""A pipeline whose stages take what is said, on the running loop's clock, which may be virtual."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import numpy as np

from realtime_nb.audio import AudioClip
from realtime_nb.pipelines.base import Finished, Heard, PipelineEvent, Provenance, Reached, Said, Spoken
from realtime_nb.testing.virtual_clock import VirtualClockLoop
from realtime_nb.timing.marks import Marks, Route

HOLD_MS = 500.0
OUTPUT_MS = 20.0


class FakePipeline:
    """Answers after `answer_ms`.

    Args:
        route: what it says to be.
        answer_ms: from the detector's word to the first audible sample; or a function of the run's number.
        fails_in: run number (from 0, warm-ups included) to the error that it ends with.
        raises: likewise, raised as it is.
        cannot_start: raised by `start`.

    Attributes:
        hold_ms: the silence that it waits for.
    """

    hold_ms = HOLD_MS

    def __init__(
        self,
        route: Route = "realtime",
        answer_ms: float | Callable[[int], float] = 300.0,
        *,
        fails_in: Callable[[int], str | None] = lambda run: None,
        raises: Callable[[int], Exception | None] = lambda run: None,
        cannot_start: Exception | None = None,
    ) -> None:
        self.provenance = Provenance(
            route=route,
            endpoints={"session": "fake"},
            models={"session": "fake-model"},
            engine="a fake",
            settings={"silence_duration_ms": HOLD_MS},
        )
        self.answer_ms = answer_ms
        self.asked: list[AudioClip] = []
        self.started = self.resets = self.closed = 0
        self._fails_in = fails_in
        self._raises = raises
        self._cannot_start = cannot_start

    async def start(self) -> None:
        self.started += 1
        if self._cannot_start is not None:
            raise self._cannot_start

    async def reset(self) -> None:
        self.resets += 1

    async def aclose(self) -> None:
        self.closed += 1

    async def run(self, clip: AudioClip) -> AsyncIterator[PipelineEvent]:
        run = len(self.asked)
        self.asked.append(clip)
        marks = Marks()
        now_ms = lambda: asyncio.get_running_loop().time() * 1000  # noqa: E731
        problem = self._raises(run)
        if problem is not None:
            raise problem
        await asyncio.sleep((clip.speech_end_ms or clip.duration_ms) / 1000)
        marks.set("speech_end", now_ms())
        await asyncio.sleep(self.hold_ms / 1000)
        for moment in ("speech_stopped", "committed"):
            marks.set(moment, now_ms())  # type: ignore[arg-type]
        yield Reached("speech_stopped", now_ms())
        yield Heard(clip.transcript)
        error = self._fails_in(run)
        if error is not None:
            yield Finished(status="failed", marks=marks, error=error)
            return
        answer_ms = self.answer_ms if isinstance(self.answer_ms, float | int) else self.answer_ms(run)
        await asyncio.sleep(answer_ms / 1000)
        for moment in ("first_audio", "first_audible"):
            marks.set(moment, now_ms())  # type: ignore[arg-type]
        yield Said("An answer.")
        yield Spoken(np.full(2400, 900, "<i2").tobytes())
        usage = {"session": {"input_tokens": 100, "output_tokens": 50}}
        yield Finished(status="completed", marks=marks, usage=usage)


def virtually(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run on a virtual clock."""
    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        return runner.run(work())
