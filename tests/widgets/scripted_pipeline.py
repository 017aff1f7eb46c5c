"""A pipeline that answers as told, at once or when it is let go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from realtime_nb.audio import AudioClip
from realtime_nb.errors import RealtimeError
from realtime_nb.pipelines.base import (
    Finished,
    Heard,
    PipelineEvent,
    Provenance,
    Reached,
    Said,
    Spoken,
)
from realtime_nb.timing.clock import monotonic_ms
from realtime_nb.timing.marks import Marks, MomentName, Route

PATH: dict[Route, tuple[MomentName, ...]] = {
    "chain": ("speech_stopped", "uploaded", "transcript", "first_text", "text_ready", "first_audio", "first_audible"),
    "chain-streaming": (
        "speech_stopped",
        "uploaded",
        "transcript",
        "first_text",
        "text_ready",
        "first_audio",
        "first_audible",
    ),
    "chat-audio": ("speech_stopped", "uploaded", "first_audio", "first_audible"),
    "realtime": ("speech_stopped", "committed", "first_audio", "first_audible"),
}
TONE = b"\x00\x10" * 2_400


class ScriptedPipeline:
    """Reaches the moments of its route `step_ms` apart on paper; really waits only at `gate`."""

    def __init__(
        self,
        route: Route,
        *,
        step_ms: float = 100.0,
        refuses: str = "",
        fails: str = "",
        breaks: bool = False,
        gate: asyncio.Event | None = None,
        wait_s: float = 0.0,
        simulated: tuple[str, ...] = (),
    ) -> None:
        self.provenance = Provenance(
            route=route,
            endpoints={"session": "embedded"},
            models={"session": "scripted-1"},
            engine="scripted",
            simulated=simulated,
        )
        self.step_ms = step_ms
        self.refuses = refuses
        self.fails = fails
        self.breaks = breaks
        self.gate = gate
        self.wait_s = wait_s
        self.runs = self.resets = self.closes = 0
        self.running = False

    async def start(self) -> None:
        if self.refuses:
            raise RealtimeError(self.refuses)

    async def reset(self) -> None:
        self.resets += 1

    async def aclose(self) -> None:
        self.closes += 1

    async def run(self, clip: AudioClip) -> AsyncIterator[PipelineEvent]:
        self.runs += 1
        self.running = True
        try:
            marks, at_ms = Marks(), monotonic_ms()
            marks.set("speech_end", at_ms)
            for moment in PATH[self.provenance.route]:
                if self.gate is not None and moment == "first_audio":
                    await self.gate.wait()
                await asyncio.sleep(self.wait_s)
                at_ms += self.step_ms
                marks.set(moment, at_ms)
                yield Reached(moment, at_ms)
                if moment == "transcript" and self.fails:
                    yield Finished(status="failed", marks=marks, error=self.fails)
                    return
                if moment == "first_audio":
                    if self.breaks:
                        raise ZeroDivisionError("a bug")
                    yield Said("Here is your answer.")
                    yield Spoken(TONE)
            marks.cannot("rendered", "no loudspeaker was attached that says what it rendered")
            yield Heard("where is my order")
            yield Finished(status="completed", marks=marks)
        finally:
            self.running = False
