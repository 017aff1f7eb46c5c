"""Speech to text, text to text, text to speech: each stage whole, or sentence by sentence."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, ClassVar

from realtime_nb.audio import AudioClip
from realtime_nb.server.sentences import SentenceSplitter
from realtime_nb.timing.clock import monotonic_ms
from realtime_nb.timing.marks import Route

from .chat_request import ChatAnswer, ChatRequest
from .heard_here import HeardHere
from .rest_client import stage, uploading
from .stage_server import StageEndpoint
from .turn_pipeline import NO_WORDS
from .turn_run import StageFailed, TurnRun

LONGEST_INPUT = 4096
"""Characters that `/v1/audio/speech` takes at once."""
PARALLEL_SENTENCES = 3
"""Requests to the voice under way at once: the sentence being heard and those after it."""
QUEUED_CHUNKS = 2048
QUEUED_SENTENCES = 1024
"""Written and not heard yet; a voice that lags behind must not look like a slow chat model."""


class ChainPipeline(HeardHere):
    """The batch chain: record to the end of the turn, transcribe all, answer all, then speak all.

    Args:
        transcription: does `/v1/audio/transcriptions`; None chooses as `connect` does.
        chat: does `/v1/chat/completions`.
        speech: does `/v1/audio/speech`.
        options: see `HeardHere` and `TurnPipeline`.
    """

    route: ClassVar[Route] = "chain"

    def __init__(
        self,
        *,
        transcription: StageEndpoint | None = None,
        chat: StageEndpoint | None = None,
        speech: StageEndpoint | None = None,
        **options: Any,
    ) -> None:
        super().__init__({"transcription": transcription, "chat": chat, "speech": speech}, **options)

    async def _answer(self, turn: TurnRun, question: AudioClip) -> list[dict[str, Any]]:
        user = {"role": "user", "content": await self._transcribe(turn, question)}
        answer = ChatAnswer()
        await self._reply(turn, [*self._system(), *self._history, user], answer)
        return [user, *answer.added, {"role": "assistant", "content": answer.text}]

    def _system(self) -> list[dict[str, Any]]:
        return [{"role": "system", "content": self.instructions}] if self.instructions else []

    async def _transcribe(self, turn: TurnRun, question: AudioClip) -> str:
        server = self._servers["transcription"]
        async with stage(server, self.timeouts.transcription_s):
            with uploading(lambda: turn.reach("uploaded")):
                heard = await self._sdk("transcription").audio.transcriptions.create(
                    file=("question.wav", question.to_wav_bytes(), "audio/wav"), model=server.endpoint.model
                )
        text = str(heard.text).strip()
        turn.reach("transcript")
        turn.used("transcription", getattr(heard, "usage", None))
        turn.heard(text)
        if not text:
            raise StageFailed(NO_WORDS, status="no_speech")
        return text

    def _chat(self, turn: TurnRun) -> ChatRequest:
        model = self._servers["chat"].endpoint.model
        return ChatRequest(self._sdk("chat"), turn, self.toolbox, {"model": model})

    async def _reply(self, turn: TurnRun, messages: list[dict[str, Any]], answer: ChatAnswer) -> None:
        async with stage(self._servers["chat"], self.timeouts.chat_s):
            text = await self._chat(turn).whole(messages, answer)
        turn.said(text)
        for piece in _pieces(text):
            turn.reach("text_ready")
            async for chunk, arrived_ms in self._voice(piece):
                turn.spoken(chunk, arrived_ms)

    async def _voice(self, text: str) -> AsyncIterator[tuple[bytes, float]]:
        """Yield speech, 24 kHz PCM16 cut anywhere, with the time of its arrival."""
        server = self._servers["speech"]
        async with stage(server, self.timeouts.speech_s):
            speech = self._sdk("speech").audio.speech.with_streaming_response
            async with speech.create(
                model=server.endpoint.model, input=text, voice=self.voice, response_format="pcm"
            ) as response:
                async for chunk in response.iter_bytes():
                    if chunk:
                        yield chunk, monotonic_ms()


class StreamingChainPipeline(ChainPipeline):
    """The chain with the answer streamed: every sentence goes to the voice as soon as it is complete."""

    route: ClassVar[Route] = "chain-streaming"
    connections: ClassVar[int] = 1 + PARALLEL_SENTENCES

    async def _reply(self, turn: TurnRun, messages: list[dict[str, Any]], answer: ChatAnswer) -> None:
        sentences: asyncio.Queue[asyncio.Queue[_Chunk] | None] = asyncio.Queue(QUEUED_SENTENCES)
        voices = asyncio.Semaphore(PARALLEL_SENTENCES)
        failure: StageFailed | None = None

        async def speak(sentence: str) -> None:
            if sentence.strip():
                turn.reach("text_ready")
                chunks: asyncio.Queue[_Chunk] = asyncio.Queue(QUEUED_CHUNKS)
                await sentences.put(chunks)
                group.create_task(self._fetch(sentence.strip(), chunks, voices), name="pipeline sentence")

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._speak_in_order(turn, sentences), name="pipeline voice")
                await self._think(turn, messages, answer, speak)
                await sentences.put(None)
        except* StageFailed as failures:
            failure = _first(failures)
        if failure is not None:
            raise failure

    async def _think(
        self,
        turn: TurnRun,
        messages: list[dict[str, Any]],
        answer: ChatAnswer,
        speak: Callable[[str], Awaitable[None]],
    ) -> None:
        splitter = SentenceSplitter()
        async with stage(self._servers["chat"], self.timeouts.chat_s):
            async with contextlib.aclosing(self._chat(turn).deltas(messages, answer)) as deltas:
                async for delta in deltas:
                    if delta.content:
                        turn.speaks_after_tools()
                        turn.said(delta.content)
                        answer.text += delta.content
                        for sentence in splitter.push(delta.content):
                            await speak(sentence)
            await speak(splitter.flush())

    async def _fetch(self, sentence: str, chunks: asyncio.Queue[_Chunk], voices: asyncio.Semaphore) -> None:
        async with voices:
            async for chunk in self._voice(sentence):
                await chunks.put(chunk)
        await chunks.put(None)

    async def _speak_in_order(self, turn: TurnRun, sentences: asyncio.Queue[asyncio.Queue[_Chunk] | None]) -> None:
        while (chunks := await sentences.get()) is not None:
            while (chunk := await chunks.get()) is not None:
                turn.spoken(*chunk)


_Chunk = tuple[bytes, float] | None


def _pieces(text: str) -> list[str]:
    """Cut an answer that is too long for one request, at sentences."""
    if len(text) <= LONGEST_INPUT:
        return [text] if text.strip() else []
    splitter = SentenceSplitter()
    pieces = [""]
    for sentence in [*splitter.push(text), splitter.flush()]:
        if len(pieces[-1]) + len(sentence) > LONGEST_INPUT:
            pieces.append("")
        pieces[-1] += sentence
    return [piece for piece in pieces if piece.strip()]


def _first(failures: BaseExceptionGroup[StageFailed]) -> StageFailed:
    failure: BaseException = failures
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    assert isinstance(failure, StageFailed)
    return failure
