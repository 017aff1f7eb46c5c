"""The offline recogniser: streams of 16 kHz audio in, partial and final transcripts out.

The work is done in child processes (`pocketsphinx_worker`): one at first, another for each processor once more than
`STREAMS_A_WORKER` people speak at the same time. In each child's memory at once: two streams' decoders (the second
general decoder only once two people speak at the same time); further streams are decoded with the domain model alone,
and beyond `MAX_STREAMS` in all `open` waits for one to end.
"""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from collections.abc import Callable, Sequence
from typing import Any

from realtime_nb.engines.base import Capabilities, Pcm16, Transcript, WordTime
from realtime_nb.engines.loudness import SILENT_DBFS, NoiseFloor, level_dbfs
from realtime_nb.engines.worker import WorkerProcess
from realtime_nb.engines.worker_pool import WorkerPool
from realtime_nb.errors import EngineCrashed, EngineUnavailable

MAX_STREAMS = 16
STREAMS_A_WORKER = 2
MAX_HELD_SAMPLES = 16_000 * 2
"""Silence after a hypothesis that is kept back before it is decoded after all."""


class PocketsphinxTranscriber:
    """A `Transcriber` for English, offline, on one core.

    Attributes:
        worker: the first child process.
    """

    capabilities = Capabilities(
        name="pocketsphinx",
        licence="BSD-2-Clause",
        description="CMU pocketsphinx, a domain model and a general English model side by side",
        streaming=True,
        partials=True,
        word_times=True,
    )

    def __init__(self) -> None:
        factory = "realtime_nb.engines.pocketsphinx_worker:main"
        self._pool = WorkerPool(factory, name="pocketsphinx recogniser", busy_at=STREAMS_A_WORKER)
        self.worker = self._pool.workers[0]
        self._slots = asyncio.Semaphore(MAX_STREAMS)
        self._next_stream = 0

    async def start(self) -> None:
        """Start the child and load both models. Calling twice is fine.

        Raises:
            EngineUnavailable: pocketsphinx is missing.
            EngineCrashed: the child died.
        """
        await self._pool.start()

    async def open(
        self,
        *,
        on_partial: Callable[[str], None] | None = None,
        vocabulary: Sequence[str] = (),
    ) -> PocketsphinxStream:
        """Open a stream; waits while `MAX_STREAMS` are open. Cancelling is safe.

        Args:
            on_partial: called on the loop with the whole text so far whenever it changes.
            vocabulary: sentences or words to expect besides the bundled domains (at most 2,000 words are used).

        Raises:
            EngineCrashed: the child died while it opened the stream.
            EngineUnavailable: pocketsphinx is missing.
        """
        await self._slots.acquire()
        self._next_stream += 1
        worker = self._pool.take()

        def release() -> None:
            self._pool.give_back(worker)
            self._slots.release()

        stream = PocketsphinxStream(worker, self._next_stream, on_partial, release)
        try:
            await stream.begin(vocabulary)
        except BaseException:
            await stream.aclose()
            raise
        return stream

    async def aclose(self) -> None:
        """Stop the children. Closing twice is fine."""
        await self._pool.aclose()


class PocketsphinxStream:
    """One user turn. Made by `PocketsphinxTranscriber.open`."""

    def __init__(
        self,
        worker: WorkerProcess,
        stream: int,
        on_partial: Callable[[str], None] | None,
        release: Callable[[], None],
    ) -> None:
        self._worker = worker
        self._stream = stream
        self._release = release
        self._generation = 0
        self._open = True
        self._failure: EngineCrashed | None = None
        self._latest: Transcript | None = None
        self._sounds = 0
        self._held: list[Pcm16] = []
        self._held_samples = 0
        self._floor = NoiseFloor(20.0)
        self._peak_dbfs = SILENT_DBFS
        self._forget_partials = worker.on_push(stream, on_partial) if on_partial is not None else None

    async def begin(self, vocabulary: Sequence[str]) -> None:
        """Open the stream in the child; called once, by `open`."""
        await self._worker.start()
        self._generation = self._worker.generation
        await self._worker.request("open", {"stream": self._stream, "vocabulary": list(vocabulary)})

    def feed(self, pcm16: Pcm16) -> None:
        """Queue audio, 16 kHz int16. Silence after a hypothesis is kept back, so that it does not undo it."""
        if not self._open or not len(pcm16):
            return
        silent = self._is_silent(pcm16)
        if self._latest is not None and silent:
            self._held.append(pcm16)
            self._held_samples += len(pcm16)
            if self._held_samples <= MAX_HELD_SAMPLES:
                return
        else:
            self._latest = None
            self._sounds += not silent
            self._held.append(pcm16)
        try:
            for held in self._held:
                self._worker.notify("feed", {"stream": self._stream, "pcm16": held.tobytes()})
        except EngineCrashed as error:
            self._failure = error
        self._held.clear()
        self._held_samples = 0

    async def hypothesis(self) -> Transcript:
        """Return the transcript as if the turn ended now. Cancelling is safe; the stream stays usable.

        Raises:
            EngineCrashed: the child died during this turn, or fell too far behind.
        """
        if self._latest is not None:
            return self._latest
        if self._failure is None and (not self._worker.running or self._worker.generation != self._generation):
            self._failure = EngineCrashed(
                "The pocketsphinx recogniser died during this turn.", what_now="It is restarted on the next turn."
            )
        if self._failure is not None:
            raise self._failure
        if not self._open:
            raise EngineCrashed("This recogniser stream is closed.", what_now="Open another for the next turn.")
        asked_at = self._sounds
        answer: dict[str, Any] = await self._worker.request("hypothesis", {"stream": self._stream})
        transcript = Transcript(
            text=answer["text"],
            confidence=answer["confidence"],
            words=tuple(WordTime(*word) for word in answer["words"]),
            in_domain=answer["in_domain"],
        )
        if self._sounds == asked_at:
            self._latest = transcript
        return transcript

    async def finish(self) -> Transcript:
        """Return the final transcript and release the stream; at once after a hypothesis that only silence followed."""
        try:
            return await self.hypothesis()
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Release the stream without a result. Closing twice is fine."""
        if not self._open:
            return
        self._open = False
        if self._forget_partials is not None:
            self._forget_partials()
        self._held.clear()
        if self._worker.running and self._worker.generation == self._generation:
            try:
                self._worker.notify("close_stream", {"stream": self._stream})
            except EngineCrashed:
                pass  # the next turn restarts it
        self._release()

    def _is_silent(self, pcm16: Pcm16) -> bool:
        level = level_dbfs(pcm16)
        floor = self._floor.update(level)
        self._peak_dbfs = max(self._peak_dbfs, level)
        return level < max(min(floor, self._peak_dbfs - 20.0) + 8.0, self._peak_dbfs - 38.0, -58.0)


def create() -> PocketsphinxTranscriber:
    """Return the recogniser; nothing starts yet.

    Raises:
        EngineUnavailable: pocketsphinx is not installed.
    """
    if importlib.util.find_spec("pocketsphinx") is None:
        new_python = sys.version_info >= (3, 14)
        raise EngineUnavailable(
            "The offline recogniser needs pocketsphinx, which is not installed.",
            what_now=(
                "It has no wheel for Python 3.14 yet: use Python 3.11 to 3.13."
                if new_python
                else "Install it with: pip install 'realtime-nb[embedded]'"
            ),
        )
    return PocketsphinxTranscriber()
