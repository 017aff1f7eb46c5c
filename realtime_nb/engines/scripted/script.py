"""What every scripted engine has in common: a call counter, planned crashes and delays drawn from a seed."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterable

import msgspec

from realtime_nb.errors import EngineCrashed

Sleep = Callable[[float], Awaitable[None]]
"""Sleeps for seconds, as `asyncio.sleep`; give a virtual clock's to go faster than time."""

LICENCE = "Apache-2.0"


class ScriptedDelays(msgspec.Struct, frozen=True, kw_only=True):
    """How long each step takes, in milliseconds.

    Attributes:
        start_ms: each engine's `start`.
        hypothesis_ms: from asking a transcriber for a text to the text.
        first_token_ms: from asking the chat model to its first delta.
        per_word_ms: between words of the chat model's answer.
        first_audio_ms: from asking the synthesizer to its first chunk.
        pace: seconds that the synthesizer takes per second of speech (0: at once, 1: real time).
        jitter_ms: up to so much is added to each of the above (not to `pace`), drawn from the seed.
    """

    start_ms: float = 0
    hypothesis_ms: float = 0
    first_token_ms: float = 0
    per_word_ms: float = 0
    first_audio_ms: float = 0
    pace: float = 0
    jitter_ms: float = 0


class ScriptedCrash(msgspec.Struct, frozen=True, kw_only=True):
    """Make an engine raise `EngineCrashed`.

    Attributes:
        call: in which use of the engine, from 1 (streams of a transcriber, replies, utterances).
        after: how many pieces come out first (partials, deltas, chunks).
    """

    call: int
    after: int = 0


class Script:
    """What every scripted engine has: a call counter, planned crashes, delays drawn from a seed."""

    def __init__(
        self, name: str, delays: ScriptedDelays, crashes: Iterable[ScriptedCrash], seed: int, sleep: Sleep
    ) -> None:
        self.calls = 0
        self.starts = 0
        self.delays = delays
        self._name = name
        self._crashes = {crash.call: crash.after for crash in crashes}
        self._seed = seed
        self._sleep = sleep

    async def start(self) -> None:
        self.starts += 1
        await self._sleep(self.delays.start_ms / 1000)

    async def aclose(self) -> None:
        return None

    def next_call(self) -> tuple[int, random.Random]:
        self.calls += 1
        return self.calls, random.Random(f"{self._seed}/{self._name}/{self.calls}")

    def maybe_crash(self, call: int, pieces: int) -> None:
        if call in self._crashes and pieces >= self._crashes[call]:
            raise EngineCrashed(
                f"The {self._name} crashed in call {call} after {pieces} pieces, as its script says.",
                what_now="Remove the ScriptedCrash to let it go on.",
            )

    async def pause(self, delay_ms: float, rng: random.Random) -> None:
        await self._sleep((delay_ms + rng.random() * self.delays.jitter_ms) / 1000)
