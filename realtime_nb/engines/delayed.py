"""Engines that answer as late as published measurements say hosted ones do. Always labelled *simulated*.

`registry.create("offline+hosted-fast")` and `realtime_nb.connect(engine="scripted+hosted-typical")` put a profile
around any engines. A stage then takes the time that is drawn for it, or its own where that is longer. Medians and 95th
percentiles are as published; between them a log-normal is assumed.
"""

from __future__ import annotations

import contextlib
import math
import random
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import anyio
import msgspec

from realtime_nb.engines.base import (
    Capabilities,
    ChatDelta,
    ChatRequest,
    EngineSet,
    Pcm16,
    SynthesizedChunk,
    TranscriberStream,
    Transcript,
)
from realtime_nb.errors import ConfigurationError

NORMAL_QUANTILE_95 = 1.6448536269514722
_LABEL = re.compile(r"stage delays: [^·;]+? \(simulated\)")


class Delay(msgspec.Struct, frozen=True):
    """How long something takes, in ms: log-normal with this median and 95th percentile, constant without the latter."""

    median_ms: float
    p95_ms: float | None = None

    def draw(self, chance: random.Random) -> float:
        """Return one delay in ms."""
        if self.p95_ms is None:
            return self.median_ms
        sigma = math.log(self.p95_ms / self.median_ms) / NORMAL_QUANTILE_95
        return self.median_ms * math.exp(sigma * chance.gauss(0.0, 1.0))


class DelayProfile(msgspec.Struct, frozen=True, kw_only=True):
    """Delays of the stages.

    Attributes:
        name: for people, and behind the "+" of an engine's name.
        transcription: from asking for the words to the words.
        first_text: from asking the model to its first words.
        first_audio: from asking the voice to its first sound.
        source: who published what.
    """

    name: str
    transcription: Delay
    first_text: Delay
    first_audio: Delay
    source: str

    @property
    def label(self) -> str:
        """What everything measured with it must say."""
        return f"stage delays: {self.name} (simulated)"


_STT = "pipecat-ai/stt-benchmark, README (1,000 samples; time to final segment, median and P95)"
_LLM = "kwindla/aiewf-eval, README (time to first answer token, P50 and P95)"
_TTS = "kyutai-labs/unmute, README (start of speech, no spread published)"
PROFILES: Mapping[str, DelayProfile] = MappingProxyType(
    {
        profile.name: profile
        for profile in (
            DelayProfile(
                name="hosted-fast",
                transcription=Delay(247, 298),
                first_text=Delay(529, 655),
                first_audio=Delay(450),
                source=f"transcription: Deepgram nova-3, {_STT}; text: the fastest model of {_LLM}; "
                f"voice: several GPUs, {_TTS}",
            ),
            DelayProfile(
                name="hosted-typical",
                transcription=Delay(637, 965),
                first_text=Delay(739, 1492),
                first_audio=Delay(750),
                source=f"transcription: gpt-4o-transcribe, {_STT}; text: gpt-5.1, {_LLM}; voice: one L40S, {_TTS}",
            ),
        )
    }
)
"""Profiles by name."""


def delay_profile(name: str) -> DelayProfile:
    """Return a profile by name.

    Raises:
        ConfigurationError: there is none of that name; the message lists them.
    """
    if name not in PROFILES:
        raise ConfigurationError(f"There are no stage delays {name!r}.", what_now=f"Use one of: {', '.join(PROFILES)}.")
    return PROFILES[name]


def simulated_in(label: str) -> tuple[str, ...]:
    """Return what an engine's label says to be simulated."""
    return tuple(dict.fromkeys(_LABEL.findall(label)))


def delayed(engines: EngineSet, profile: DelayProfile, *, seed: int = 0) -> EngineSet:
    """Return the engines with a profile's delays around them; their label says so."""
    return msgspec.structs.replace(
        engines,
        label=f"{engines.label} · {profile.label}",
        transcriber=_DelayedTranscriber(engines.transcriber, _Drawer(profile.transcription, f"{seed}/transcription")),
        chat=_DelayedChat(engines.chat, _Drawer(profile.first_text, f"{seed}/text")),
        synthesizer=_DelayedSynthesizer(engines.synthesizer, _Drawer(profile.first_audio, f"{seed}/audio")),
    )


class _Drawer:
    """Draws one delay a call and waits for what is left of it."""

    def __init__(self, delay: Delay, seed: str) -> None:
        self._delay = delay
        self._chance = random.Random(seed)

    def begin(self) -> Callable[[], float]:
        """Begin a stage; what is returned says how many seconds are left of it."""
        due_s = anyio.current_time() + self._delay.draw(self._chance) / 1000
        return lambda: max(0.0, due_s - anyio.current_time())


class _Around:
    """Everything else is the engine's own."""

    def __init__(self, engine: Any, drawer: _Drawer) -> None:
        self._engine = engine
        self._drawer = drawer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    @property
    def capabilities(self) -> Capabilities:
        return self._engine.capabilities

    async def start(self) -> None:
        await self._engine.start()

    async def aclose(self) -> None:
        await self._engine.aclose()


class _DelayedTranscriber(_Around):
    async def open(
        self, *, on_partial: Callable[[str], None] | None = None, vocabulary: Sequence[str] = ()
    ) -> TranscriberStream:
        stream = await self._engine.open(on_partial=on_partial, vocabulary=vocabulary)
        return _DelayedStream(stream, self._drawer)


class _DelayedStream(_Around):
    """Asked again without new audio it answers at once, as the engines do."""

    _fed = 0
    _heard: tuple[int, Transcript] | None = None

    def feed(self, pcm16: Pcm16) -> None:
        self._fed += len(pcm16)
        self._engine.feed(pcm16)

    async def hypothesis(self) -> Transcript:
        if self._heard is None or self._heard[0] != self._fed:
            fed, left_s = self._fed, self._drawer.begin()
            heard = await self._engine.hypothesis()
            await anyio.sleep(left_s())
            self._heard = (fed, heard)
        return self._heard[1]

    async def finish(self) -> Transcript:
        await self.hypothesis()
        return await self._engine.finish()


class _DelayedChat(_Around):
    async def reply(self, request: ChatRequest) -> AsyncIterator[ChatDelta]:
        left_s = self._drawer.begin()
        async with contextlib.aclosing(self._engine.reply(request)) as deltas:
            async for delta in deltas:
                await anyio.sleep(left_s())
                yield delta


class _DelayedSynthesizer(_Around):
    async def speak(self, text: str, *, voice: str = "alloy", speed: float = 1.0) -> AsyncIterator[SynthesizedChunk]:
        left_s = self._drawer.begin()
        async with contextlib.aclosing(self._engine.speak(text, voice=voice, speed=speed)) as chunks:
            async for chunk in chunks:
                await anyio.sleep(left_s())
                yield chunk
