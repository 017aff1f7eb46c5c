"""`POST /v1/audio/transcriptions`: a whole recording to words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from math import ceil
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from realtime_nb.engines.base import EngineSet, Transcript
from realtime_nb.errors import RemoteProtocolError
from realtime_nb.protocol.session_config import validation_problem
from realtime_nb.server import transcript_formats
from realtime_nb.server.metering import claim
from realtime_nb.server.prompt import USER_AUDIO_MS_PER_TOKEN, text_tokens
from realtime_nb.server.recognition import Chunking, Recording, read_recording, recognise
from realtime_nb.server.request_body import Upload, read_upload
from realtime_nb.server.settled_text import SettledText
from realtime_nb.server.streamed_answer import (
    SSE_HEADERS,
    SSE_MEDIA_TYPE,
    StreamedAnswer,
    events_or_error,
    sse,
    while_connected,
)
from realtime_nb.server.token_bucket import TokenBucket

MAX_FILE_BYTES = 25 * 1024 * 1024
MAX_BODY_BYTES = MAX_FILE_BYTES + 1024 * 1024
"""The file and the rest of the form."""
LANGUAGE = "english"
"""What the bundled recogniser knows; `verbose_json` shows it unless the request names another."""

_LISTS = ("timestamp_granularities", "include", "keywords", "languages")


class TranscriptionForm(msgspec.Struct, kw_only=True):
    """The fields of a request besides the file. Those that no engine here can follow are not listed and do nothing."""

    model: Annotated[str, Meta(min_length=1)]
    language: str | None = None
    prompt: str = ""
    keywords: list[str] = []
    languages: list[str] = []
    response_format: Literal["json", "text", "srt", "verbose_json", "vtt"] = "json"
    temperature: Annotated[float, Meta(ge=0, le=1)] = 0.0
    timestamp_granularities: list[Literal["word", "segment"]] = []
    include: list[Literal["logprobs"]] = []
    stream: bool = False
    chunking_strategy: Chunking | None = None


class Transcriptions:
    """The endpoint.

    Args:
        engines: whose recogniser and detector.
        bucket: what all requests and sessions use together.
    """

    def __init__(self, engines: EngineSet, bucket: TokenBucket) -> None:
        self._engines = engines
        self._bucket = bucket

    async def create(self, request: Request) -> Response:
        """Answer a request."""
        upload = await read_upload(request, MAX_BODY_BYTES)
        form = _form(upload)
        if upload.file is None:
            raise RemoteProtocolError(
                "Missing required parameter: 'file'.", code="missing_required_parameter", param="file"
            )
        if len(upload.file) > MAX_FILE_BYTES:
            raise RemoteProtocolError(
                f"Maximum content size limit ({MAX_FILE_BYTES}) exceeded ({len(upload.file)} bytes read)",
                code="request_too_large",
            )
        return await while_connected(request.receive, self._answer(form, upload.file))

    async def _answer(self, form: TranscriptionForm, file: bytes) -> Response:
        recording = await read_recording(file, self._engines.vad, param="file", chunking=form.chunking_strategy)
        claim(self._bucket, _input_tokens(form, recording))
        if form.stream:
            events = events_or_error(self._events(form, recording))
            return await StreamedAnswer.begun(events, media_type=SSE_MEDIA_TYPE, headers=SSE_HEADERS)
        heard = await recognise(self._engines.transcriber, recording, vocabulary=_vocabulary(form))
        self._bucket.take(text_tokens(heard.text))
        return _whole_answer(form, recording, heard)

    async def _events(self, form: TranscriptionForm, recording: Recording) -> AsyncGenerator[bytes, None]:
        settled, news, woken = SettledText(), list[str](), asyncio.Event()

        def note(text: str) -> None:
            news.append(settled.partial(text))
            woken.set()

        work = asyncio.create_task(
            recognise(
                self._engines.transcriber,
                recording,
                vocabulary=_vocabulary(form),
                on_partial=note,
            ),
            name="transcribe",
        )
        work.add_done_callback(lambda _: woken.set())
        try:
            while not work.done():
                await woken.wait()
                woken.clear()
                delta = "".join(news)
                news.clear()
                if delta:
                    yield _delta(delta)
            heard = work.result()
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
        self._bucket.take(text_tokens(heard.text))
        if rest := "".join(news) + settled.settle(heard.text):
            yield _delta(rest)
        usage = _token_usage(form, recording, heard)
        yield sse({"type": "transcript.text.done", "text": heard.text, "usage": usage})


def _form(upload: Upload) -> TranscriptionForm:
    values: dict[str, Any] = {
        name: given if name in _LISTS else given[-1] for name, given in upload.fields.items() if name in _FIELDS
    }
    values["chunking_strategy"] = _chunking(upload)
    try:
        form = msgspec.convert(values, TranscriptionForm, strict=False)
    except msgspec.ValidationError as problem:
        raise validation_problem(problem) from problem
    if form.stream and form.response_format not in ("json", "text"):
        raise RemoteProtocolError(
            f"Unsupported value: 'response_format' does not support '{form.response_format}' when stream=true. "
            "Supported values are: 'json' and 'text'.",
            code="unsupported_value",
            param="response_format",
        )
    if form.timestamp_granularities and form.response_format != "verbose_json":
        raise RemoteProtocolError(
            "'timestamp_granularities' needs response_format='verbose_json'.",
            code="unsupported_value",
            param="timestamp_granularities",
        )
    if form.include:
        raise RemoteProtocolError(
            "The recogniser here has no log probabilities.", code="unsupported_value", param="include"
        )
    return form


def _chunking(upload: Upload) -> dict[str, str] | None:
    """Return the settings out of "auto" or of the fields that a client makes of an object."""
    prefix = "chunking_strategy["
    named = {name[len(prefix) : -1]: given[-1] for name, given in upload.fields.items() if name.startswith(prefix)}
    strategy = upload.fields.get("chunking_strategy", [named.pop("type", "")])[-1]
    if not strategy and not named:
        return None
    if strategy not in ("auto", "server_vad"):
        raise RemoteProtocolError(
            "Invalid value for 'chunking_strategy': supported are 'auto' and 'server_vad'.",
            code="invalid_value",
            param="chunking_strategy",
        )
    return named


_FIELDS = frozenset(TranscriptionForm.__struct_fields__)


def _vocabulary(form: TranscriptionForm) -> list[str]:
    return [text for text in (form.prompt, *form.keywords) if text]


def _whole_answer(form: TranscriptionForm, recording: Recording, heard: Transcript) -> Response:
    duration_ms = recording.duration_ms
    match form.response_format:
        case "text":
            return PlainTextResponse(heard.text + "\n")
        case "srt":
            return PlainTextResponse(transcript_formats.srt(heard, duration_ms))
        case "vtt":
            return PlainTextResponse(transcript_formats.vtt(heard, duration_ms))
        case "verbose_json":
            granularities = form.timestamp_granularities or ["segment"]
            language = form.language or LANGUAGE
            answer = transcript_formats.verbose(heard, duration_ms, language=language, granularities=granularities)
            return JSONResponse({**answer, "usage": _duration_usage(recording)})
        case _:
            by_time = form.model.startswith("whisper")
            usage = _duration_usage(recording) if by_time else _token_usage(form, recording, heard)
            return JSONResponse({"text": heard.text, "usage": usage})


def _delta(text: str) -> bytes:
    return sse({"type": "transcript.text.delta", "delta": text})


def _audio_tokens(recording: Recording) -> int:
    return ceil(recording.duration_ms / USER_AUDIO_MS_PER_TOKEN)


def _input_tokens(form: TranscriptionForm, recording: Recording) -> int:
    return _audio_tokens(recording) + sum(map(text_tokens, _vocabulary(form)))


def _duration_usage(recording: Recording) -> dict[str, Any]:
    return {"type": "duration", "seconds": ceil(recording.duration_ms / 1000)}


def _token_usage(form: TranscriptionForm, recording: Recording, heard: Transcript) -> dict[str, Any]:
    audio, total_in, total_out = _audio_tokens(recording), _input_tokens(form, recording), text_tokens(heard.text)
    return {
        "type": "tokens",
        "input_tokens": total_in,
        "input_token_details": {"text_tokens": total_in - audio, "audio_tokens": audio},
        "output_tokens": total_out,
        "total_tokens": total_in + total_out,
    }
