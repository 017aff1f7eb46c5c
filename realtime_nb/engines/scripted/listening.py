"""A detector that goes by energy and a recogniser that hears what its script says."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import anyio
import msgspec
import numpy as np

from realtime_nb.engines.base import RECOGNISER_SAMPLE_RATE_HZ, Capabilities, Pcm16, Transcript, WordTime
from realtime_nb.engines.scripted.script import LICENCE, Script, ScriptedCrash, ScriptedDelays, Sleep
from realtime_nb.errors import ConfigurationError

DEFAULT_TEXTS = ("hello", "tell me a joke", "what is the status of my order", "thank you goodbye")


class HeardAs(msgspec.Struct, frozen=True, kw_only=True):
    """What a scripted transcriber makes of one utterance.

    Attributes:
        text: the words.
        confidence: 0 to 1.
        speech_ms: when given, this text belongs to audio whose speech lasts about so long.
    """

    text: str
    confidence: float = 1.0
    speech_ms: float | None = None


class ScriptedVad:
    """A speech detector by energy alone: 0.5 at the threshold, 0.95 some 6 dB above it.

    Args:
        threshold_dbfs: RMS level in dB below full scale that counts as half speech.
    """

    capabilities = Capabilities(name="scripted-vad", licence=LICENCE, description="energy threshold", streaming=True)
    frame_samples = 512

    def __init__(self, threshold_dbfs: float = -45.0) -> None:
        self._threshold_dbfs = threshold_dbfs

    def probability(self, frame: Pcm16) -> float:
        return 1.0 / (1.0 + math.exp(min(60.0, (self._threshold_dbfs - rms_dbfs(frame)) / 2.0)))

    def reset(self) -> None:
        return None


def rms_dbfs(pcm16: Pcm16) -> float:
    """Return the RMS level in dB below full scale, at least -120 (also for no samples)."""
    if not len(pcm16):
        return -120.0
    samples = pcm16.astype(np.float32)
    power = float(np.dot(samples, samples)) / len(samples)
    return max(-120.0, 10.0 * math.log10(power / 32768.0**2)) if power > 0 else -120.0


def speech_duration_ms(pcm16: Pcm16, sample_rate_hz: int = RECOGNISER_SAMPLE_RATE_HZ, floor_dbfs: float = -45.0) -> int:
    """Return the time from the first to the last 20 ms frame louder than `floor_dbfs` (0 when there is none)."""
    frame = sample_rate_hz // 50
    loud = [i for i in range(0, len(pcm16), frame) if rms_dbfs(pcm16[i : i + frame]) > floor_dbfs]
    return (loud[-1] - loud[0]) * 1000 // sample_rate_hz + 20 if loud else 0


class ScriptedTranscriber(Script):
    """Returns scripted texts: by speech duration where a `HeardAs` gives one, else in order, over and over.

    Partials grow by one word for every `word_ms` of audio fed.
    """

    capabilities = Capabilities(
        name="scripted-transcriber", licence=LICENCE, streaming=True, partials=True, word_times=True
    )

    def __init__(
        self,
        texts: Sequence[str | HeardAs] = DEFAULT_TEXTS,
        *,
        delays: ScriptedDelays | None = None,
        crashes: Iterable[ScriptedCrash] = (),
        seed: int = 0,
        word_ms: int = 240,
        sleep: Sleep = anyio.sleep,
    ) -> None:
        super().__init__("scripted transcriber", delays or ScriptedDelays(), crashes, seed, sleep)
        heard = [HeardAs(text=entry) if isinstance(entry, str) else entry for entry in texts]
        if not heard:
            raise ConfigurationError("A scripted transcriber has no texts.", what_now="Give at least one text.")
        self._by_duration = [entry for entry in heard if entry.speech_ms is not None]
        self._in_order = [entry for entry in heard if entry.speech_ms is None]
        self._next = 0
        self.word_ms = word_ms

    async def open(
        self, *, on_partial: Callable[[str], None] | None = None, vocabulary: Sequence[str] = ()
    ) -> ScriptedTranscriberStream:
        return ScriptedTranscriberStream(self, on_partial)

    def take(self) -> HeardAs | None:
        """Return the next text in order, None when every text belongs to a duration."""
        if not self._in_order:
            return None
        heard = self._in_order[self._next % len(self._in_order)]
        self._next += 1
        return heard

    def nearest(self, speech_ms: float) -> HeardAs | None:
        """Return the text whose speech lasts about `speech_ms` (within 15 % or 60 ms)."""
        near = min(self._by_duration, key=lambda entry: abs((entry.speech_ms or 0) - speech_ms), default=None)
        if near is None or abs((near.speech_ms or 0) - speech_ms) > max(60.0, 0.15 * (near.speech_ms or 0)):
            return None
        return near


class ScriptedTranscriberStream:
    """One utterance; see `TranscriberStream`."""

    def __init__(self, owner: ScriptedTranscriber, on_partial: Callable[[str], None] | None) -> None:
        self._owner = owner
        self._call, self._rng = owner.next_call()
        self._on_partial = on_partial
        self._audio: list[Pcm16] = []
        self._fed_samples = 0
        self._ordered: HeardAs | None = None
        self._partials = 0
        self._result: Transcript | None = None

    def feed(self, pcm16: Pcm16) -> None:
        if not len(pcm16):
            return
        if not self._fed_samples:
            self._ordered = self._owner.take()
        self._result = None
        self._fed_samples += len(pcm16)
        if self._owner._by_duration:
            self._audio.append(pcm16)
        words = self._ordered.text.split() if self._ordered else []
        shown = min(len(words), self._fed_samples * 1000 // RECOGNISER_SAMPLE_RATE_HZ // self._owner.word_ms)
        while self._partials < shown:
            self._partials += 1
            if self._on_partial:
                self._on_partial(" ".join(words[: self._partials]))

    async def hypothesis(self) -> Transcript:
        self._owner.maybe_crash(self._call, self._partials)
        if self._result is None:
            await self._owner.pause(self._owner.delays.hypothesis_ms, self._rng)
            self._result = self._transcript()
        return self._result

    async def finish(self) -> Transcript:
        result = await self.hypothesis()
        await self.aclose()
        return result

    async def aclose(self) -> None:
        self._audio.clear()

    def _transcript(self) -> Transcript:
        heard = self._ordered
        if self._audio:
            heard = self._owner.nearest(speech_duration_ms(np.concatenate(self._audio))) or heard
        if heard is None:
            return Transcript(text="", confidence=0.0)
        step = self._owner.word_ms
        words = tuple(WordTime(word, i * step, (i + 1) * step) for i, word in enumerate(heard.text.split()))
        return Transcript(text=heard.text, confidence=heard.confidence, words=words)
