"""A reply being made: the chat model's text cut into sentences, sentences spoken, all as pieces in a bounded queue.

A production knows nothing of the wire. It may run before anybody knows whether the turn is over; what it has made by
then waits in its queue, and is thrown away with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

import msgspec
import numpy as np

from realtime_nb.engines.base import ChatRequest, EngineSet, Pcm16, SynthesizedChunk, TextDelta, ToolCall
from realtime_nb.server.sentences import SentenceSplitter
from realtime_nb.server.word_marks import WordFinder

T = TypeVar("T")

QUEUED_PIECES = 64
"""What may be made ahead of the wire: about six seconds of speech."""
QUEUED_SENTENCES = 8
DELTA_SAMPLES = 2400
"""Audio per piece, 100 ms; the first of a reply goes out as it comes."""


class Written(msgspec.Struct, frozen=True):
    """A piece of a text answer."""

    text: str


class Spoken(msgspec.Struct, frozen=True):
    """A piece of speech.

    Attributes:
        text: the words that begin in it, spaces included.
        pcm16: int16, 24 kHz.
        marks: (milliseconds after the start of this item's audio, characters of this item said by then).
    """

    text: str
    pcm16: Pcm16
    marks: tuple[tuple[float, int], ...]


class Called(msgspec.Struct, frozen=True):
    """A function call."""

    name: str
    arguments: str


class Broke(msgspec.Struct, frozen=True):
    """An engine failed, with an `EngineError` if it keeps its promises; nothing follows."""

    error: Exception


class Ended(msgspec.Struct, frozen=True):
    """Nothing follows."""


Piece = Written | Spoken | Called | Broke | Ended


class Production:
    """Makes one reply. `run` is the work; `take` gives its pieces; cancel the task of `run` to stop everything.

    Args:
        request: what the chat model reads.
        engines: the chat model and the voice.
        voice: of the synthesizer.
        speed: 0.25 to 1.5.
    """

    def __init__(self, request: ChatRequest, engines: EngineSet, *, voice: str, speed: float) -> None:
        self.request = request
        self._engines = engines
        self._voice = voice
        self._speed = speed
        self._pieces: asyncio.Queue[Piece] = asyncio.Queue(QUEUED_PIECES)
        self._parts: asyncio.Queue[str | ToolCall | None] = asyncio.Queue(QUEUED_SENTENCES)
        self._item_ms = 0.0
        self._item_chars = 0
        self._first_audio = True

    async def take(self) -> Piece:
        """Wait for the next piece. Cancellation-safe."""
        return await self._pieces.get()

    @property
    def waiting(self) -> bool:
        """Whether `take` would not wait."""
        return not self._pieces.empty()

    async def run(self) -> None:
        """Make everything, waiting while the queue is full. An engine's failure becomes the last piece."""
        try:
            if self.request.spoken:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._think(), name="reply-think")
                    group.create_task(self._speak(), name="reply-speak")
            else:
                await self._write()
        except* Exception as failures:
            await self._pieces.put(Broke(_first(failures)))
        else:
            await self._pieces.put(Ended())

    async def _write(self) -> None:
        async with closing(self._engines.chat.reply(self.request)) as deltas:
            async for delta in deltas:
                if isinstance(delta, TextDelta):
                    await self._pieces.put(Written(delta.text))
                else:
                    await self._pieces.put(Called(delta.name, delta.arguments))

    async def _think(self) -> None:
        splitter = SentenceSplitter()
        async with closing(self._engines.chat.reply(self.request)) as deltas:
            async for delta in deltas:
                if isinstance(delta, TextDelta):
                    for sentence in splitter.push(delta.text):
                        await self._parts.put(sentence)
                else:
                    if rest := splitter.flush():
                        await self._parts.put(rest)
                    await self._parts.put(delta)
        if rest := splitter.flush():
            await self._parts.put(rest)
        await self._parts.put(None)

    async def _speak(self) -> None:
        while (part := await self._parts.get()) is not None:
            if isinstance(part, ToolCall):
                self._item_ms, self._item_chars = 0.0, 0
                await self._pieces.put(Called(part.name, part.arguments))
            else:
                await self._speak_sentence(part)

    async def _speak_sentence(self, sentence: str) -> None:
        finder, shown, start_ms = WordFinder(sentence), 0, self._item_ms
        marks: list[tuple[float, int]] = []
        held: list[Pcm16] = []
        if sentence.strip():
            spoken = self._engines.synthesizer.speak(sentence.strip(), voice=self._voice, speed=self._speed)
            async with closing(spoken) as chunks:
                async for chunk in chunks:
                    held.append(chunk.pcm16)
                    self._item_ms += len(chunk.pcm16) / 24
                    marks += self._marks(chunk, finder, start_ms)
                    if self._first_audio or sum(map(len, held)) >= DELTA_SAMPLES:
                        end = marks[-1][1] - self._item_chars if marks else shown
                        await self._send(sentence[shown : max(end, shown)], held, marks)
                        shown = max(end, shown)
                        held, marks = [], []
        marks.append((self._item_ms, self._item_chars + len(sentence)))
        await self._send(sentence[shown:], held, marks)
        self._item_chars += len(sentence)

    def _marks(self, chunk: SynthesizedChunk, finder: WordFinder, start_ms: float) -> list[tuple[float, int]]:
        return [(start_ms + word.end_ms, self._item_chars + finder.end_of(word.word)) for word in chunk.words]

    async def _send(self, text: str, held: list[Pcm16], marks: list[tuple[float, int]]) -> None:
        audio = np.concatenate(held) if held else np.zeros(0, np.int16)
        self._first_audio = self._first_audio and not len(audio)
        await self._pieces.put(Spoken(text, audio, tuple(marks)))


@asynccontextmanager
async def closing(iterator: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """Close an engine's iterator on the way out, which stops its work."""
    try:
        yield iterator
    finally:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            await close()


def _first(failures: ExceptionGroup[Exception]) -> Exception:
    failure: Exception = failures
    while isinstance(failure, ExceptionGroup):
        failure = failure.exceptions[0]
    return failure
