"""One turn through a pipeline while it happens: its events on their way out, its marks on one clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from typing import Any

from realtime_nb.errors import RealtimeError
from realtime_nb.session.turn_timeline import INAUDIBLE, NO_PLAYER
from realtime_nb.timing.clock import monotonic_ms
from realtime_nb.timing.ideal_player import FRAME_MS, IdealPlayer
from realtime_nb.timing.marks import PATHS, Marks, MomentName, Route

from .base import Finished, Heard, PipelineEvent, Reached, Said, Spoken, StartedOver, Status, ToolUse

NOT_REACHED = "the turn ended before"
MAX_EVENTS = 50_000


class StageFailed(RealtimeError):
    """A stage did not do its work; ends the turn, not the pipeline."""

    def __init__(self, message: str, *, what_now: str = "", status: Status = "failed") -> None:
        super().__init__(message, what_now=what_now)
        self.status: Status = status


class TurnRun:
    """Collects one turn. On one loop; nothing here waits.

    Args:
        route: the pipeline's.

    Attributes:
        marks: so far; times on the machine's monotonic clock.
        usage: by stage, as reported; numbers of several calls of a stage are added.
        player: knows when the answer's first sound was due.
    """

    def __init__(self, route: Route) -> None:
        self._route = route
        self.usage: dict[str, Any] = {}
        self._events: asyncio.Queue[PipelineEvent] = asyncio.Queue(MAX_EVENTS)
        self._begin_again()

    def _begin_again(self) -> None:
        self.marks = Marks()
        self.player = IdealPlayer()
        self._odd = b""
        self._tool_output_ms: float | None = None

    def start_over(self) -> None:
        """The user went on after the detector's word: what was measured and answered since then is void."""
        end, why = self.marks.moments.get("speech_end"), self.marks.unmeasured.get("speech_end")
        self._begin_again()
        if end is not None:
            self.marks.moments["speech_end"] = end
        elif why is not None:
            self.marks.cannot("speech_end", why)
        self._put(StartedOver())

    def reach(self, moment: MomentName, time_ms: float | None = None) -> None:
        """Note a moment, now by default; only the first time counts."""
        if moment not in self.marks.moments:
            self.marks.set(moment, monotonic_ms() if time_ms is None else time_ms)
            self._tell(moment)

    def heard(self, text: str, *, final: bool = True) -> None:
        """The user's words."""
        self._put(Heard(text, final))

    def said(self, text: str, time_ms: float | None = None) -> None:
        """A piece of the answer's words; the first one is a moment."""
        if text:
            self.reach("first_text", time_ms)
            self._put(Said(text))

    def spoken(self, pcm16: bytes, arrived_ms: float | None = None) -> None:
        """A piece of the answer's audio, cut anywhere; the first byte and the first audible sample are moments."""
        if not pcm16:
            return
        arrived_ms = monotonic_ms() if arrived_ms is None else arrived_ms
        self.reach("first_audio", arrived_ms)
        pcm16 = self._odd + pcm16
        whole = len(pcm16) - len(pcm16) % 2
        pcm16, self._odd = pcm16[:whole], pcm16[whole:]
        if self.player.take(pcm16, arrived_ms) and self.player.audible_ms is not None:
            self.marks.set("first_audible", self.player.audible_ms, error_ms=FRAME_MS, source="derived")
            self._tell("first_audible")
        if pcm16:
            self._put(Spoken(pcm16))

    def rendered(self, time_ms: float, error_ms: float) -> None:
        """The first audible sample left a loudspeaker."""
        self.marks.set("rendered", time_ms, error_ms=error_ms)
        self._tell("rendered")

    def tool_called(self, time_ms: float | None = None) -> None:
        """The model asked for a function; the first call is the moment."""
        self.reach("tool_call", time_ms)

    def tool_answered(self, use: ToolUse, time_ms: float | None = None) -> None:
        """A function's output was handed back; the last one is the moment."""
        self._tool_output_ms = monotonic_ms() if time_ms is None else time_ms
        self._put(use)

    def speaks_after_tools(self) -> None:
        """The outputs are all in: the moment of the last of them counts."""
        if self._tool_output_ms is not None:
            self.reach("tool_output", self._tool_output_ms)

    def used(self, stage: str, usage: Any) -> None:
        """Add what a stage says that it used."""
        if usage is not None:
            plain = usage if isinstance(usage, dict) else usage.model_dump(exclude_none=True)
            self.usage[stage] = _added(self.usage.get(stage), plain)

    def finish(self, status: Status, error: str | None = None) -> None:
        """End the turn with everything measured so far."""
        self.speaks_after_tools()
        if "first_audio" in self.marks.moments and status == "completed":
            self.marks.cannot("first_audible", INAUDIBLE)
        if status == "completed":
            self.marks.cannot("rendered", NO_PLAYER)
        why = "nothing said when that was" if status == "completed" else NOT_REACHED
        for step in PATHS[self._route]:
            if not step.optional or step.moment == "rendered":
                self.marks.cannot(step.moment, self.marks.unmeasured.get(step.moment, why))
        self._put(Finished(status=status, marks=self.marks, error=error, usage=self.usage or None))

    async def events(self, work: Coroutine[Any, Any, None]) -> AsyncGenerator[PipelineEvent, None]:
        """Do the work of the turn and yield its events up to `Finished`. Closing cancels the work and awaits it."""
        task = asyncio.create_task(self._guarded(work), name="pipeline turn")
        try:
            while True:
                event = await self._events.get()
                yield event
                if isinstance(event, Finished):
                    return
        finally:
            task.cancel()
            await asyncio.wait([task])
            work.close()  # cancelled before its first step, nobody awaited it

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except StageFailed as failure:
            self.finish(failure.status, str(failure))
        except RealtimeError as failure:
            self.finish("failed", str(failure))
        except Exception as failure:
            self.finish("failed", f"The pipeline broke: {failure!r}. Please report this.")

    def _tell(self, moment: MomentName) -> None:
        self._put(Reached(moment, self.marks.moments[moment].time_ms))

    def _put(self, event: PipelineEvent) -> None:
        self._events.put_nowait(event)


def _added(before: Any, more: Any) -> Any:
    """Return two reports of usage added up, number by number."""
    if isinstance(more, dict):
        old = before if isinstance(before, dict) else {}
        return {**old, **{key: _added(old.get(key), value) for key, value in more.items()}}
    if isinstance(more, int | float) and not isinstance(more, bool) and isinstance(before, int | float):
        return before + more
    return more
