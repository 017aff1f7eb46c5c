"""`POST /v1/chat/completions`: text and speech in, text, speech and function calls out, whole or streamed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from starlette.requests import Request
from starlette.responses import Response

from realtime_nb.engines.base import EngineSet
from realtime_nb.errors import RemoteProtocolError
from realtime_nb.protocol.ids import IdFactory
from realtime_nb.protocol.session_config import check_voice, voice_name
from realtime_nb.server.chat_answer import ChatAnswer
from realtime_nb.server.chat_body import ChatBody, check
from realtime_nb.server.chat_prompt import ChatPrompt, PromptReader
from realtime_nb.server.chat_reply import SaidPiece
from realtime_nb.server.kept_answers import KeptAnswers
from realtime_nb.server.limits import Limits
from realtime_nb.server.metering import claim
from realtime_nb.server.production import Production
from realtime_nb.server.request_body import read_json
from realtime_nb.server.speech import checked_codec
from realtime_nb.server.streamed_answer import (
    SSE_END,
    SSE_HEADERS,
    SSE_MEDIA_TYPE,
    StreamedAnswer,
    events_or_error,
    sse,
    while_connected,
)
from realtime_nb.server.token_bucket import TokenBucket

MAX_BODY_BYTES = 48 * 1024 * 1024
"""A recording of 25 MiB is 33 MiB of base64; and there are those of earlier turns."""


class ChatCompletions:
    """The endpoint.

    Args:
        engines: what hears, thinks and speaks.
        bucket: what all requests and sessions use together.
        limits: of the server.
        unix_clock: Unix time in seconds.
    """

    def __init__(
        self,
        engines: EngineSet,
        bucket: TokenBucket,
        limits: Limits,
        unix_clock: Callable[[], float] = time.time,
    ) -> None:
        self._engines = engines
        self._bucket = bucket
        self._limits = limits
        self._clock = unix_clock
        self._ids = IdFactory()
        self._answers = KeptAnswers(unix_clock)
        self._reader = PromptReader(engines, self._answers)

    async def create(self, request: Request) -> Response:
        """Answer a request; a stream begins once its first piece is there."""
        body = await read_json(request, ChatBody, MAX_BODY_BYTES)
        check(body)
        if body.audio is not None and body.spoken:
            check_voice(voice_name(body.audio.voice), self._engines.synthesizer.capabilities.voices, "audio.voice")
            checked_codec(body.audio.format, param="audio.format")
        return await while_connected(request.receive, self._answer(body))

    async def _answer(self, body: ChatBody) -> Response:
        longest = self._limits.output_tokens
        claim(self._bucket, 0)  # before anything is heard
        prompt = await self._reader.read(body)
        self._check_context(prompt)
        claim(self._bucket, prompt.tokens.total)
        answer = ChatAnswer(
            body,
            prompt.tokens,
            ids=self._ids,
            created=int(self._clock()),
            longest_tokens=min(body.longest_tokens or longest, longest),
            engine=self._engines.model,
        )
        if body.stream:
            events = events_or_error(self._chunks(prompt, answer))
            return await StreamedAnswer.begun(events, media_type=SSE_MEDIA_TYPE, headers=SSE_HEADERS)
        return Response(await self._whole(prompt, answer), media_type="application/json")

    async def _whole(self, prompt: ChatPrompt, answer: ChatAnswer) -> bytes:
        async with aclosing(self._pieces(prompt, answer)) as pieces:
            async for _ in pieces:
                pass
        expires_at = self._keep(answer)
        return await asyncio.to_thread(answer.whole, expires_at)

    async def _chunks(self, prompt: ChatPrompt, answer: ChatAnswer) -> AsyncGenerator[bytes, None]:
        async with aclosing(self._pieces(prompt, answer)) as pieces:
            async for piece in pieces:
                if chunks := b"".join(map(sse, answer.chunks(piece))):
                    yield chunks
        for chunk in answer.last_chunks(self._keep(answer)):
            yield sse(chunk)
        yield SSE_END

    async def _pieces(self, prompt: ChatPrompt, answer: ChatAnswer) -> AsyncGenerator[SaidPiece, None]:
        reply = answer.reply
        production = Production(prompt.request, self._engines, voice=answer.voice, speed=1.0)
        try:
            async with aclosing(reply.pieces(production)) as pieces:
                async for piece in pieces:
                    yield piece
        finally:
            self._bucket.take(reply.text_tokens + reply.audio_tokens)

    def _keep(self, answer: ChatAnswer) -> int:
        reply = answer.reply
        if not reply.audio_ms:
            return 0
        return self._answers.keep(answer.audio_id, transcript=reply.text, audio_ms=reply.audio_ms)

    def _check_context(self, prompt: ChatPrompt) -> None:
        longest, needed = self._limits.context_tokens, prompt.tokens.total
        if needed > longest:
            raise RemoteProtocolError(
                f"This model's maximum context length is {longest} tokens. However, your messages resulted in "
                f"{needed} tokens.",
                code="context_length_exceeded",
                param="messages",
            )
