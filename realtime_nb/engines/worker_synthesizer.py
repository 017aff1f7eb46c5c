"""The kernel's side of a voice that lives in a worker process."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

import msgspec
import numpy as np

from realtime_nb.engines.base import Capabilities, SynthesizedChunk, WordTime
from realtime_nb.engines.speech_text import MAX_TEXT_CHARACTERS, sentences
from realtime_nb.engines.worker_pool import WorkerPool
from realtime_nb.errors import EngineError, EngineUnavailable

FIDELITY_NOTE = (
    "The offline voices carry the names of the API's voices so that the same code runs on both. "
    "They are other voices and do not imitate the real ones."
)
"""What interfaces show beside a choice of offline voices."""

MIN_SPEED, MAX_SPEED = 0.25, 1.5
UTTERANCES_A_WORKER = 2
"""A sentence takes 50 to 150 ms of processor time; beyond this another worker is started."""


class WorkerSynthesizer:
    """Ten preset voices spoken by a library in worker processes. A `realtime_nb.engines.base.Synthesizer`.

    Chunks are 24 kHz: the first 40 ms, then 100 ms. The silence before each sentence is trimmed to 25 ms, so the first
    chunk is audible; voices are set to about -20 dBFS RMS and never clip. Sentences are spoken one after the other:
    the audio of a long text begins when its first sentence does.

    Word times are those of the text as it is spoken (`speech_text.speakable`): words without their punctuation.
    """

    def __init__(self, factory: str, *, capabilities: Capabilities, presets: Mapping[str, msgspec.Struct]) -> None:
        self.capabilities = capabilities
        self._presets = {name: msgspec.to_builtins(preset) for name, preset in presets.items()}
        self._pool = WorkerPool(factory, name=f"{capabilities.name} voice worker", busy_at=UTTERANCES_A_WORKER)

    async def start(self) -> None:
        """Start the worker and speak one short text with each voice library, unheard. Calling twice is fine.

        Raises:
            EngineUnavailable: the library is not installed (and how to install it).
            EngineCrashed: the worker died.
        """
        await self._pool.start()

    def speak(self, text: str, *, voice: str = "alloy", speed: float = 1.0) -> AsyncGenerator[SynthesizedChunk, None]:
        """Stream the speech of `text`; nothing for a text without a word. Closing the iterator stops the work.

        Args:
            text: at most 4,096 characters; markup and emoji are not spoken.
            voice: one of `capabilities.voices`.
            speed: 0.25 to 1.5.

        Raises:
            EngineUnavailable: there is no such voice.
            EngineError: the text is too long, or the speed out of range.
            EngineCrashed: the worker died (raised while iterating).
        """
        if voice not in self._presets:
            raise EngineUnavailable(f"There is no voice {voice!r}.", what_now=f"Voices: {', '.join(self._presets)}.")
        if not MIN_SPEED <= speed <= MAX_SPEED:
            raise EngineError(f"A speed of {speed} is not possible.", what_now=f"Use {MIN_SPEED} to {MAX_SPEED}.")
        if len(text) > MAX_TEXT_CHARACTERS:
            raise EngineError(
                f"A text of {len(text):,} characters is too long to speak at once.",
                what_now=f"Speak it in parts of at most {MAX_TEXT_CHARACTERS:,} characters.",
            )
        return self._chunks({"sentences": sentences(text), "preset": self._presets[voice], "speed": speed})

    async def _chunks(self, payload: dict[str, Any]) -> AsyncGenerator[SynthesizedChunk, None]:
        if not payload["sentences"]:
            return
        worker = self._pool.take()
        try:
            async with aclosing(worker.stream("speak", payload)) as items:
                async for item in items:
                    yield SynthesizedChunk(
                        pcm16=np.frombuffer(item["pcm16"], dtype="<i2"),
                        words=tuple(WordTime(word, start_ms, end_ms) for word, start_ms, end_ms in item["words"]),
                    )
        finally:
            self._pool.give_back(worker)

    async def aclose(self) -> None:
        """End the worker; utterances under way raise `EngineCrashed`. Closing twice is fine."""
        await self._pool.aclose()
