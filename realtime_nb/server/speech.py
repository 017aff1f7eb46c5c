"""`POST /v1/audio/speech`: a text to speech, sent while it is being spoken."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator
from contextlib import aclosing
from math import ceil
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from realtime_nb.audio.codec import MEDIA_TYPES, AudioEncoder, CodecName, open_encoder
from realtime_nb.engines.base import EngineSet, SynthesizedChunk
from realtime_nb.errors import RemoteProtocolError
from realtime_nb.protocol.session_config import CustomVoice, check_voice, voice_name
from realtime_nb.server.metering import claim
from realtime_nb.server.production import closing
from realtime_nb.server.prompt import ASSISTANT_AUDIO_MS_PER_TOKEN, text_tokens
from realtime_nb.server.request_body import read_json
from realtime_nb.server.streamed_answer import (
    SSE_HEADERS,
    SSE_MEDIA_TYPE,
    StreamedAnswer,
    events_or_error,
    sse,
    while_connected,
)
from realtime_nb.server.token_bucket import TokenBucket

MAX_CHARACTERS = 4096
MAX_BODY_BYTES = 1024 * 1024
FASTEST = 1.5
"""The synthesizers' bound. The API takes speeds to 4; faster ones are spoken at this, and a header says so."""
SPEED_HEADER = "x-realtime-nb-speed"


class SpeechRequest(msgspec.Struct, kw_only=True):
    """The body of a request. `instructions` change nothing: no engine here takes any."""

    model: Annotated[str, Meta(min_length=1)]
    input: str
    voice: str | CustomVoice
    instructions: str | None = None
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = "mp3"
    speed: Annotated[float, Meta(ge=0.25, le=4.0)] = 1.0
    stream_format: Literal["audio", "sse"] = "audio"


class Speech:
    """The endpoint.

    Args:
        engines: whose voices.
        bucket: what all requests and sessions use together.
    """

    def __init__(self, engines: EngineSet, bucket: TokenBucket) -> None:
        self._engines = engines
        self._bucket = bucket

    async def create(self, request: Request) -> Response:
        """Answer a request once the first of its audio is there."""
        body = await read_json(request, SpeechRequest, MAX_BODY_BYTES)
        codec = self._check(body)
        claim(self._bucket, text_tokens(body.input))
        return await while_connected(request.receive, self._answer(body, codec))

    def _check(self, body: SpeechRequest) -> CodecName:
        _check_length(body.input)
        check_voice(voice_name(body.voice), self._engines.synthesizer.capabilities.voices, "voice")
        return checked_codec(body.response_format, param="response_format")

    async def _answer(self, body: SpeechRequest, codec: CodecName) -> Response:
        headers = {SPEED_HEADER: f"{_engine_speed(body):g}"} if _engine_speed(body) != body.speed else {}
        if body.stream_format == "sse":
            events = events_or_error(self._events(body, codec))
            return await StreamedAnswer.begun(events, media_type=SSE_MEDIA_TYPE, headers={**headers, **SSE_HEADERS})
        counted = _Counted()
        return await StreamedAnswer.begun(
            self._audio(body, codec, counted), media_type=MEDIA_TYPES[codec], headers=headers
        )

    async def _events(self, body: SpeechRequest, codec: CodecName) -> AsyncGenerator[bytes, None]:
        counted = _Counted()
        async with aclosing(self._audio(body, codec, counted)) as pieces:
            async for piece in pieces:
                yield sse({"type": "speech.audio.delta", "audio": base64.b64encode(piece).decode()})
        total_in, total_out = text_tokens(body.input), counted.tokens
        usage = {"input_tokens": total_in, "output_tokens": total_out, "total_tokens": total_in + total_out}
        yield sse({"type": "speech.audio.done", "usage": usage})

    async def _audio(self, body: SpeechRequest, codec: CodecName, counted: _Counted) -> AsyncGenerator[bytes, None]:
        voice, speed = voice_name(body.voice), _engine_speed(body)
        encoder = await asyncio.to_thread(open_encoder, codec)
        try:
            async with closing(self._engines.synthesizer.speak(body.input, voice=voice, speed=speed)) as chunks:
                async for chunk in chunks:
                    counted.audio_ms += len(chunk.pcm16) / 24
                    if piece := await encoded(encoder, chunk):
                        yield piece
            if piece := await encoded(encoder, None):
                yield piece
        finally:
            self._bucket.take(counted.tokens)


class _Counted:
    """How much audio was made."""

    audio_ms = 0.0

    @property
    def tokens(self) -> int:
        return ceil(self.audio_ms / ASSISTANT_AUDIO_MS_PER_TOKEN)


def checked_codec(name: str, *, param: str) -> CodecName:
    """Return the codec of a format, `pcm` for `pcm16`.

    Raises:
        RemoteProtocolError: there is none for it.
    """
    if name == "aac":
        raise RemoteProtocolError(
            "Unsupported value: this server has no AAC encoder. Supported values are: "
            "'mp3', 'opus', 'flac', 'wav' and 'pcm'.",
            code="unsupported_value",
            param=param,
        )
    codec: Any = "pcm" if name == "pcm16" else name
    return codec


async def encoded(encoder: AudioEncoder, chunk: SynthesizedChunk | None) -> bytes:
    """Return the bytes that a chunk brings, or the last ones; what takes time is done in a thread."""

    def encode() -> bytes:
        return encoder.finish() if chunk is None else encoder.encode(chunk.pcm16)

    return await asyncio.to_thread(encode) if encoder.computes else encode()


def _check_length(text: str) -> None:
    if not text.strip():
        raise RemoteProtocolError(
            "Invalid 'input': empty string. Expected a text with something to say.",
            code="empty_string",
            param="input",
        )
    if len(text) > MAX_CHARACTERS:
        raise RemoteProtocolError(
            f"Invalid 'input': string too long. Expected a string with maximum length {MAX_CHARACTERS}, "
            f"but got a string with length {len(text)} instead.",
            code="string_above_max_length",
            param="input",
        )


def _engine_speed(body: SpeechRequest) -> float:
    return min(body.speed, FASTEST)
