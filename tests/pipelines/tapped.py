"""Scripted engines with a tap: when each handed over its result, by the machine's clock, whatever the marks say."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from realtime_nb.audio import AudioClip
from realtime_nb.engines import registry, scripted
from realtime_nb.engines.base import (
    ChatDelta,
    ChatRequest,
    EngineSet,
    Pcm16,
    SynthesizedChunk,
    TranscriberStream,
    Transcript,
)

RATE_HZ = 24_000
_numbers = itertools.count(1)


def now_ms() -> float:
    """The same clock as everybody's, read here on its own."""
    return time.monotonic_ns() / 1e6


def question(speech_ms: int = 600, before_ms: int = 200, after_ms: int = 0) -> AudioClip:
    """A tone: what a detector by energy takes for speech, its end known to the sample."""
    times = np.arange(speech_ms * RATE_HZ // 1000) / RATE_HZ
    tone = (9000 * np.sin(2 * np.pi * 400 * times)).astype(np.int16)
    silence = np.zeros(before_ms * RATE_HZ // 1000, np.int16), np.zeros(after_ms * RATE_HZ // 1000, np.int16)
    return AudioClip(
        np.concatenate([silence[0], tone, silence[1]]),
        title="tone",
        speech_start_ms=before_ms,
        speech_end_ms=before_ms + speech_ms,
    )


class Taps:
    """When things happened, by name, all times of each."""

    def __init__(self) -> None:
        self.times_ms: dict[str, list[float]] = {}
        self.frames: dict[int, list[float]] = {}

    def clear(self) -> None:
        self.times_ms.clear()
        self.frames.clear()

    def note(self, name: str) -> None:
        self.times_ms.setdefault(name, []).append(now_ms())

    def first(self, name: str) -> float:
        return self.times_ms[name][0]

    def last(self, name: str) -> float:
        return self.times_ms[name][-1]

    @property
    def began_ms(self) -> float:
        """When the first sample was spoken, by the detector that heard first (of a session: in its first turn).

        No frame of 20 ms reaches the detector earlier than it can.

        The detector's frame k, of 32 ms, is complete when the paced frame of 20 ms that holds its end has come.
        """
        frames = min(self.frames.values(), key=lambda times: times[0])
        return min(at - -(-(32 * (k + 1)) // 20) * 20 for k, at in enumerate(frames))


class _Tapped:
    """Everything that is not tapped is the engine's own."""

    def __init__(self, inner: Any, taps: Taps) -> None:
        self._inner, self._taps = inner, taps

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class TappedVad(_Tapped):
    """Notes when each of its frames came."""

    def __init__(self, taps: Taps) -> None:
        super().__init__(scripted.ScriptedVad(), taps)

    def probability(self, frame: Pcm16) -> float:
        self._taps.frames.setdefault(id(self), []).append(now_ms())
        return self._inner.probability(frame)


class _Stream(_Tapped):
    async def hypothesis(self) -> Transcript:
        heard = await self._inner.hypothesis()
        self._taps.note("transcript")
        return heard

    async def finish(self) -> Transcript:
        heard = await self.hypothesis()
        await self.aclose()
        return heard


class _Transcriber(_Tapped):
    async def open(self, **options: Any) -> TranscriberStream:
        self._taps.note("opened")
        return _Stream(await self._inner.open(**options), self._taps)


class _Chat(_Tapped):
    async def reply(self, request: ChatRequest) -> AsyncIterator[ChatDelta]:
        async for delta in self._inner.reply(request):
            self._taps.note("delta")
            yield delta
        self._taps.note("replied")


class _Voice(_Tapped):
    async def speak(self, text: str, *, voice: str = "alloy", speed: float = 1.0) -> AsyncIterator[SynthesizedChunk]:
        self._taps.note("voice_asked")
        async for chunk in self._inner.speak(text, voice=voice, speed=speed):
            self._taps.note("chunk")
            yield chunk


def tapped(inner: EngineSet, taps: Taps) -> EngineSet:
    """Return the same engines with taps on them."""
    return EngineSet(
        name=inner.name,
        model=inner.model,
        label=inner.label,
        vad=lambda: TappedVad(taps),
        transcriber=_Transcriber(inner.transcriber, taps),  # type: ignore[arg-type]
        chat=_Chat(inner.chat, taps),  # type: ignore[arg-type]
        synthesizer=_Voice(inner.synthesizer, taps),  # type: ignore[arg-type]
    )


@contextmanager
def engine(make: Callable[[], EngineSet]) -> Iterator[str]:
    """Give engines a name that `engine=` takes while the block runs."""
    name = f"test-{next(_numbers)}"
    registry._BUILT_IN[name] = lambda **_: make()
    try:
        yield name
    finally:
        del registry._BUILT_IN[name]


@contextmanager
def tapped_engine(taps: Taps, **options: Any) -> Iterator[str]:
    """As `engine`, for scripted engines with taps."""
    with engine(lambda: tapped(scripted.create(**options), taps)) as name:
        yield name
