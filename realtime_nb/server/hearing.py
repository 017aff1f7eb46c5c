"""User audio to words: one stream of the recogniser per turn, fed while the user speaks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from typing import Any

import numpy as np

from realtime_nb.engines.base import Pcm16, TranscriberStream, Transcript
from realtime_nb.errors import EngineError
from realtime_nb.protocol import server_events as se
from realtime_nb.protocol.items import InputAudio, Item, Message
from realtime_nb.protocol.session_config import AudioFormat, no_logprobs
from realtime_nb.server.context import vocabulary
from realtime_nb.server.input_audio import decode_whole
from realtime_nb.server.settled_text import SettledText
from realtime_nb.server.wire import Wire

logger = logging.getLogger(__name__)

NO_AUDIO: Pcm16 = np.zeros(0, np.int16)
NOTHING_HEARD = Transcript(text="", confidence=0.0)
FEED_SAMPLES = 16_000 * 20
"""How much of a recording a recogniser gets before it must have caught up."""


class Utterance:
    """One user turn being recognised. `feed` never waits; what comes before the stream is open is kept for it.

    Attributes:
        item_id: of the user item that it will be.
        closed: whether it was released.
    """

    def __init__(self, wire: Wire, item_id: str) -> None:
        self.item_id = item_id
        self._wire = wire
        self._stream: TranscriberStream | None = None
        self._early: list[Pcm16] = []
        self._failure: EngineError | None = None
        self._answer: asyncio.Future[Transcript] | None = None
        self._settled = SettledText()
        self.closed = False
        self._opening = wire.spawn(self._open(), name="utterance-open")

    async def _open(self) -> None:
        config = self._wire.protocol.config
        transcription = config.audio.input.transcription
        expected = vocabulary(config.instructions, config.tools, transcription.prompt if transcription else None)
        try:
            stream = await self._wire.engines.transcriber.open(on_partial=self._on_partial, vocabulary=expected)
        except Exception as failure:
            self._fail(failure)
            return
        if self.closed:
            await stream.aclose()
            return
        self._stream = stream
        early, self._early = self._early, []
        for pcm16 in early:
            self._feed(stream, pcm16)

    def feed(self, pcm16: Pcm16) -> None:
        """Add audio, int16 at 16 kHz."""
        self._answer = None
        if self._stream is not None:
            self._feed(self._stream, pcm16)
        elif self._failure is None:
            self._early.append(pcm16)

    def _feed(self, stream: TranscriberStream, pcm16: Pcm16) -> None:
        try:
            stream.feed(pcm16)
        except Exception as failure:
            self._fail(failure)

    def _fail(self, failure: Exception) -> EngineError:
        """Note the first failure and return it; one that an engine should not raise is logged and becomes its own."""
        if not isinstance(failure, EngineError):
            logger.error("the recogniser broke its promises", exc_info=failure)
            failure = EngineError(f"The recogniser failed: {type(failure).__name__}.")
        self._failure = self._failure or failure
        return self._failure

    async def hypothesis(self) -> Transcript:
        """Return the transcript as if the turn ended now. With nothing fed since the last call it is the same answer.

        Cancelling is safe and leaves the recogniser at work for the next caller.

        Raises:
            EngineError: the recogniser failed; so will every later call.
        """
        if self._answer is None:
            self._answer = asyncio.get_running_loop().create_future()
            self._wire.spawn(self._ask(self._answer), name="utterance-hypothesis")
        return await asyncio.shield(self._answer)

    async def _ask(self, answer: asyncio.Future[Transcript]) -> None:
        try:
            await asyncio.wait([self._opening])
            if self._failure is not None:
                raise self._failure
            heard = NOTHING_HEARD if self._stream is None else await self._stream.hypothesis()
        except Exception as failure:
            noted = self._fail(failure)
            if not answer.done():
                answer.set_exception(noted)
                answer.exception()  # nobody may be waiting any more
        else:
            if not answer.done():
                answer.set_result(heard)

    async def aclose(self) -> None:
        """Release the stream. Closing twice is fine."""
        self.closed = True
        if self._stream is not None:
            stream, self._stream = self._stream, None
            await stream.aclose()

    def _on_partial(self, text: str) -> None:
        if self._announces():
            self._send(self._settled.partial(text))

    def send_delta(self, settled: str) -> None:
        """Announce the transcript so far if the session asks for it and it goes on what was announced."""
        if self._announces():
            self._send(self._settled.settle(settled))

    def _announces(self) -> bool:
        return not self.closed and self._wire.protocol.config.audio.input.transcription is not None

    def _send(self, delta: str) -> None:
        if delta:
            protocol = self._wire.protocol
            protocol.emit(
                se.TranscriptionDelta(item_id=self.item_id, delta=delta, logprobs=no_logprobs(protocol.config))
            )
            self._wire.flush()


class Ears:
    """What was heard on one connection: transcripts there and on their way.

    Attributes:
        transcripts: by item id; what the chat model reads, whether or not the session asks for transcription.
    """

    def __init__(self, wire: Wire) -> None:
        self.transcripts: dict[str, Transcript] = {}
        self._wire = wire
        self._utterances: list[Utterance] = []
        self._pending: dict[str, asyncio.Event] = {}
        self._failures: dict[str, EngineError] = {}

    def listen(self, item_id: str) -> Utterance:
        """Begin a user turn."""
        self._utterances = [one for one in self._utterances if not one.closed]
        self._utterances.append(Utterance(self._wire, item_id))
        return self._utterances[-1]

    async def aclose(self) -> None:
        """Release the recogniser of turns that the end of the connection cut off; its tasks have ended."""
        for utterance in self._utterances:
            await utterance.aclose()

    def settle(self, utterance: Utterance, *, seconds: float) -> None:
        """Turn a finished utterance into its item's transcript; `heard` waits for it."""
        self._begin(utterance, self._settle(utterance, seconds))

    def recall(self, item_id: str, audio: bytes, audio_format: AudioFormat, *, seconds: float | None = None) -> None:
        """Recognise a recording that nobody listened to while it came in.

        Args:
            item_id: of the item that holds it.
            audio: in the wire's format.
            audio_format: that format.
            seconds: its length if its transcription is to be announced.
        """
        utterance = self.listen(item_id)
        self._begin(utterance, self._settle(utterance, seconds, decode_whole(audio, audio_format)))

    def _begin(self, utterance: Utterance, work: Coroutine[Any, Any, None]) -> None:
        self._pending[utterance.item_id] = asyncio.Event()
        self._wire.spawn(work, name="utterance-settle")

    async def _settle(self, utterance: Utterance, seconds: float | None, recording: Pcm16 = NO_AUDIO) -> None:
        item_id = utterance.item_id
        try:
            for start in range(0, len(recording), FEED_SAMPLES):
                utterance.feed(recording[start : start + FEED_SAMPLES])
                await utterance.hypothesis()
            heard = await utterance.hypothesis()
        except EngineError as failure:
            self.transcripts[item_id] = NOTHING_HEARD
            self._failures[item_id] = failure
            self._announce_failure(item_id, failure)
        else:
            self.transcripts[item_id] = heard
            self._announce(utterance, heard, seconds)
        finally:
            self._pending.pop(item_id).set()
            await utterance.aclose()

    def _announce(self, utterance: Utterance, heard: Transcript, seconds: float | None) -> None:
        protocol = self._wire.protocol
        if seconds is not None and protocol.config.audio.input.transcription is not None:
            utterance.send_delta(heard.text)
            protocol.transcribed(utterance.item_id, heard.text, seconds=seconds)
            self._wire.flush()

    def _announce_failure(self, item_id: str, failure: EngineError) -> None:
        if self._wire.protocol.config.audio.input.transcription is not None:
            error = se.ErrorDetails(type="server_error", code="transcription_failed", message=str(failure))
            self._wire.protocol.emit(se.TranscriptionFailed(item_id=item_id, content_index=0, error=error))
            self._wire.flush()

    async def hear(self, items: Iterable[Item], audio_format: AudioFormat) -> None:
        """Wait until every user item among `items` has its words, recognising recordings where needed.

        Args:
            items: with their ids set.
            audio_format: of recordings that the client brought.

        Raises:
            EngineError: the recogniser failed on one; the same item does not raise again.
        """
        ids = []
        for item in items:
            if isinstance(item, Message) and item.role == "user":
                ids.append(str(item.id))
                self._recall_if_unheard(item, audio_format)
        for item_id in ids:
            pending = self._pending.get(item_id)
            if pending is not None:
                await pending.wait()
        for item_id in ids:
            if item_id in self._failures:
                raise self._failures.pop(item_id)

    def _recall_if_unheard(self, item: Message, audio_format: AudioFormat) -> None:
        item_id = str(item.id)
        if item_id in self._pending or item_id in self.transcripts:
            return
        for part in item.content:
            if isinstance(part, InputAudio) and not part.transcript and isinstance(part.audio, bytes) and part.audio:
                self.recall(item_id, part.audio, audio_format)
                return
