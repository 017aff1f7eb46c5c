"""How fast a recording is replayed: as it was, at another speed, at once, or step by step."""

from __future__ import annotations

import asyncio
from typing import Literal

from realtime_nb.errors import ConfigurationError

Speed = float | Literal["fast", "step"]
MAX_SPEED = 1000.0
MAX_STEPS = 100_000


class Pace:
    """Decides when the next event of a replay is due. On one loop, but `step` may be called from any thread.

    Args:
        speed: 1.0 as recorded, 2.0 twice as fast, "fast" without waiting, "step" one event for each `step()`.

    Raises:
        ConfigurationError: a speed that is none.
    """

    def __init__(self, speed: Speed = 1.0) -> None:
        if isinstance(speed, str) and speed not in ("fast", "step"):
            raise ConfigurationError(f"{speed!r} is no speed.", what_now='Use a number, "fast" or "step".')
        if not isinstance(speed, str) and not 0 < speed <= MAX_SPEED:
            raise ConfigurationError(
                f"A speed of {speed:g} is none.", what_now=f"Use more than 0, up to {MAX_SPEED:g}."
            )
        self.speed = speed
        self.loop = asyncio.get_running_loop()
        self._steps = asyncio.Semaphore(0)
        self._allowed = 0

    def step(self, n: int = 1) -> None:
        """Let `n` more events go; at most 100,000 are remembered. No effect at other speeds."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._release, n)

    def _release(self, n: int) -> None:
        for _ in range(min(n, MAX_STEPS - self._allowed)):
            self._allowed += 1
            self._steps.release()

    async def until(self, anchor_s: float, delay_ms: float, *, step: bool = True) -> None:
        """Wait until `delay_ms` of the recording have passed since `anchor_s` of the loop's clock. Cancel-safe.

        What is no `step` of its own does not wait when stepped.
        """
        if self.speed == "step":
            if not step:
                return
            await self._steps.acquire()
            self._allowed -= 1
        elif isinstance(self.speed, str):
            await asyncio.sleep(0)
        else:
            due_s = anchor_s + delay_ms / 1000 / self.speed
            await asyncio.sleep(max(0.0, due_s - self.loop.time()))
