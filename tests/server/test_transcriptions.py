from __future__ import annotations

import asyncio
import io
import tempfile
from typing import Any

import numpy as np
import pytest
import soundfile
from openai import APIStatusError, BadRequestError
from openai.types.audio import Transcription, TranscriptionStreamEvent, TranscriptionVerbose

from realtime_nb.audio import AudioClip
from realtime_nb.engines import scripted
from realtime_nb.engines.base import EngineSet, Transcript, WordTime
from realtime_nb.server import transcript_formats, transcriptions
from realtime_nb.server.settled_text import SettledText
from tests.server.rest import events, http, sdk, spoken, strictly
from tests.server.talking import silence, tone

pytestmark = pytest.mark.anyio

TEXT = "where is my order"


def engines(**options: Any) -> EngineSet:
    return scripted.create(texts=[TEXT], **options)


def crashing() -> EngineSet:
    return engines(transcriber_crashes=[scripted.ScriptedCrash(call=1)])


async def test_the_words_and_what_they_cost_by_tokens_or_by_time() -> None:
    async with sdk(engines()) as (client, _):
        by_tokens = await client.audio.transcriptions.create(
            model="gpt-4o-transcribe", file=("a.wav", spoken()), prompt="orders"
        )
        assert isinstance(by_tokens, Transcription)
        usage: Any = strictly(by_tokens).usage
        assert by_tokens.text == TEXT
        assert (usage.type, usage.input_tokens, usage.output_tokens, usage.total_tokens) == ("tokens", 14, 5, 19)
        assert (usage.input_token_details.audio_tokens, usage.input_token_details.text_tokens) == (12, 2)
        by_time = await client.audio.transcriptions.create(model="whisper-1", file=("a.wav", spoken()))
        assert strictly(by_time).text == TEXT
        assert by_time.usage is not None
        assert (by_time.usage.type, by_time.usage.seconds) == ("duration", 2)


async def test_word_and_segment_times() -> None:
    async with sdk(engines()) as (client, _):
        both = await client.audio.transcriptions.create(
            model="whisper-1",
            file=("a.wav", spoken()),
            response_format="verbose_json",
            timestamp_granularities=["word", "segment"],
        )
        assert isinstance(strictly(both), TranscriptionVerbose)
        assert both.words is not None
        assert [(word.word, word.start, word.end) for word in both.words] == [
            ("where", 0.0, 0.24),
            ("is", 0.24, 0.48),
            ("my", 0.48, 0.72),
            ("order", 0.72, 0.96),
        ]
        assert both.segments is not None
        (segment,) = both.segments
        assert (segment.text, segment.start, segment.end, both.duration) == (TEXT, 0.0, 0.96, 1.2)
        plain = await client.audio.transcriptions.create(
            model="whisper-1", file=("a.wav", spoken()), response_format="verbose_json", language="en"
        )
        assert plain.segments
        assert plain.words is None
        assert plain.language == "en"


async def test_plain_text_and_subtitles() -> None:
    async with sdk(engines()) as (client, _):
        answers = {}
        for form in ("text", "srt", "vtt"):
            answers[form] = await client.audio.transcriptions.create(
                model="whisper-1",
                file=("a.wav", spoken()),
                response_format=form,  # type: ignore[call-overload]
            )
        assert answers["text"] == f"{TEXT}\n"
        assert answers["srt"] == f"1\n00:00:00,000 --> 00:00:00,960\n{TEXT}\n"
        assert answers["vtt"] == f"WEBVTT\n\n00:00:00.000 --> 00:00:00.960\n{TEXT}\n"


async def test_a_stream_grows_to_the_text() -> None:
    async with sdk(engines()) as (client, _):
        stream = await client.audio.transcriptions.create(
            model="gpt-4o-transcribe", file=("a.wav", spoken()), stream=True
        )
        received: list[TranscriptionStreamEvent] = [strictly(event) async for event in stream]
        *deltas, done = received
        assert done.type == "transcript.text.done"
        assert done.text == TEXT
        assert done.usage is not None
        assert done.usage.total_tokens == 17
        assert len(deltas) > 1
        assert "".join(delta.delta for delta in deltas if delta.type == "transcript.text.delta") == TEXT


PAUSED = np.concatenate([silence(300), tone(800), silence(1200), tone(500), silence(800)])


@pytest.mark.parametrize("strategy", ["auto", {"type": "server_vad", "silence_duration_ms": 300, "threshold": 0.6}])
async def test_a_recording_in_chunks(strategy: Any) -> None:
    async with sdk(scripted.create(texts=["one two", "three"])) as (client, _):
        options: Any = {"file": ("a.wav", AudioClip(PAUSED).to_wav_bytes()), "chunking_strategy": strategy}
        heard = await client.audio.transcriptions.create(
            model="whisper-1", response_format="verbose_json", timestamp_granularities=["word"], **options
        )
        assert heard.text == "one two three"
        assert heard.words is not None
        assert [word.word for word in heard.words] == ["one", "two", "three"]
        assert heard.words[0].start < 0.3
        assert abs(heard.words[2].start - 2.0) < 0.15  # 300 ms before the second tone
        stream = await client.audio.transcriptions.create(model="m", stream=True, **options)
        *deltas, done = [event async for event in stream]
        assert done.type == "transcript.text.done"
        assert done.text == "one two three"
        assert "".join(event.delta for event in deltas if event.type == "transcript.text.delta") == done.text


async def test_chunks_need_pauses_that_are_long_enough() -> None:
    async with sdk(scripted.create(texts=["one two", "three"])) as (client, _):
        answer = await client.audio.transcriptions.create(
            model="m",
            file=("a.wav", AudioClip(PAUSED).to_wav_bytes()),
            chunking_strategy={"type": "server_vad", "silence_duration_ms": 2000},
        )
        assert answer.text == "one two"


async def test_silence_has_no_chunks() -> None:
    async with sdk(engines()) as (client, _):
        file = AudioClip.silence(1000).to_wav_bytes()
        answer = await client.audio.transcriptions.create(model="m", file=("a.wav", file), chunking_strategy="auto")
        assert answer.text == ""


async def test_any_file_that_can_be_read_whatever_its_name() -> None:
    stereo = np.repeat(np.concatenate([tone(800), silence(200)])[:, None], 2, axis=1)
    async with sdk(engines()) as (client, _):
        for container, subtype in (("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", None)):
            file = io.BytesIO()
            await asyncio.to_thread(soundfile.write, file, stereo, 24_000, subtype, format=container)
            answer = await client.audio.transcriptions.create(model="m", file=("blob", file.getvalue()))
            assert answer.text == TEXT, (container, subtype)


async def test_a_long_recording_does_not_stop_the_loop_and_is_not_written_to_a_disk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", None)
    async with sdk(engines()) as (client, _):
        file = spoken(60_000)
        assert len(file) > 2 << 20
        answer = await client.audio.transcriptions.create(model="whisper-1", file=("a.wav", file))
        assert answer.usage is not None
        assert (answer.text, answer.usage.seconds) == (TEXT, 61)  # type: ignore[union-attr]


async def test_silence_has_no_words_and_costs_no_recognition() -> None:
    engine_set = engines()
    async with sdk(engine_set) as (client, _):
        file = AudioClip.silence(1000).to_wav_bytes()
        for form, expected in (("json", ""), ("verbose_json", ""), ("vtt", "WEBVTT\n"), ("srt", "")):
            answer: Any = await client.audio.transcriptions.create(
                model="whisper-1",
                file=("a.wav", file),
                response_format=form,  # type: ignore[call-overload]
            )
            assert getattr(answer, "text", answer) == expected
        stream = await client.audio.transcriptions.create(model="m", file=("a.wav", file), stream=True)
        assert [event.type async for event in stream] == ["transcript.text.done"]
    assert isinstance(engine_set.transcriber, scripted.ScriptedTranscriber)
    assert engine_set.transcriber.calls == 0


REFUSALS: list[tuple[dict[str, Any], bytes | None, int, str | None, str | None]] = [
    ({}, b"this is no audio", 400, "invalid_value", "file"),
    ({}, b"", 400, "invalid_value", "file"),
    ({}, AudioClip.silence(50).to_wav_bytes(), 400, "audio_too_short", "file"),
    ({}, None, 400, "missing_required_parameter", "file"),
    ({"response_format": "diarized_json"}, spoken(), 400, "invalid_value", "response_format"),
    ({"response_format": "srt", "stream": "true"}, spoken(), 400, "unsupported_value", "response_format"),
    ({"timestamp_granularities[]": "word"}, spoken(), 400, "unsupported_value", "timestamp_granularities"),
    ({"include[]": "logprobs"}, spoken(), 400, "unsupported_value", "include"),
    ({"temperature": "7"}, spoken(), 400, "invalid_value", "temperature"),
    ({"model": ""}, spoken(), 400, "invalid_value", "model"),
    ({"chunking_strategy": "by mood"}, spoken(), 400, "invalid_value", "chunking_strategy"),
    ({"chunking_strategy[type]": "semantic_vad"}, spoken(), 400, "invalid_value", "chunking_strategy"),
    (
        {"chunking_strategy[type]": "server_vad", "chunking_strategy[threshold]": "2"},
        spoken(),
        400,
        "invalid_value",
        "chunking_strategy.threshold",
    ),
]


async def test_refusals() -> None:
    async with sdk(engines()) as (_, server), http(server) as client:
        for fields, file, status, code, param in REFUSALS:
            files = {"file": ("a.wav", file)} if file is not None else {"other": ("a.wav", b"x")}
            answer = await client.post("/audio/transcriptions", data={"model": "m", **fields}, files=files)
            error = answer.json()["error"]
            assert (answer.status_code, error["code"], error["param"]) == (status, code, param), fields
            assert error["type"] == "invalid_request_error"
            assert error["message"]


async def test_a_body_that_is_no_form_and_one_that_is_broken() -> None:
    async with sdk(engines()) as (_, server), http(server) as client:
        for content_type in ("application/json", "multipart/form-data", "multipart/form-data; boundary=x"):
            answer = await client.post("/audio/transcriptions", content=b"{}", headers={"Content-Type": content_type})
            assert answer.status_code == 400
            assert answer.json()["error"]["type"] == "invalid_request_error"


async def test_a_file_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcriptions, "MAX_FILE_BYTES", 1000)
    async with sdk(engines()) as (client, _):
        with pytest.raises(APIStatusError, match="Maximum content size limit") as refused:
            await client.audio.transcriptions.create(model="m", file=("a.wav", spoken()))
        assert refused.value.status_code == 413


async def test_a_body_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcriptions, "MAX_BODY_BYTES", 1000)
    async with sdk(engines()) as (client, _):
        with pytest.raises(APIStatusError, match="Maximum content size limit") as refused:
            await client.audio.transcriptions.create(model="m", file=("a.wav", spoken()))
        assert refused.value.status_code == 413


async def test_a_recogniser_that_crashes() -> None:
    async with sdk(crashing()) as (client, _):
        with pytest.raises(APIStatusError) as failed:
            await client.audio.transcriptions.create(model="m", file=("a.wav", spoken()))
        assert (failed.value.status_code, failed.value.code) == (500, "server_error")
        assert (await client.audio.transcriptions.create(model="m", file=("a.wav", spoken()))).text == TEXT


async def test_one_that_crashes_in_the_middle_of_a_stream_ends_it_with_an_error() -> None:
    # Twenty seconds are heard, with 83 words; then comes the rest.
    crash = scripted.ScriptedCrash(call=1, after=84)
    delays = scripted.ScriptedDelays(hypothesis_ms=1)
    engine_set = scripted.create(texts=["word " * 100], transcriber_crashes=[crash], delays=delays)
    async with sdk(engine_set) as (_, server), http(server) as client:
        form = {"model": "m", "stream": "true"}
        answer = await client.post("/audio/transcriptions", data=form, files={"file": ("a.wav", spoken(22_000))})
        assert answer.status_code == 200
        *deltas, last = events(answer.text)
        assert {delta["type"] for delta in deltas} == {"transcript.text.delta"}
        assert last["error"]["code"] == "server_error"


async def test_bad_requests_of_the_sdk_are_its_own_errors() -> None:
    async with sdk(engines()) as (client, _):
        with pytest.raises(BadRequestError) as refused:
            await client.audio.transcriptions.create(model="m", file=("a.m4a", b"\0\0\0\x18ftypM4A "))
        assert "Supported formats" in refused.value.message
        assert (refused.value.code, refused.value.param) == ("invalid_value", "file")


def words(*times: tuple[str, int, int]) -> Transcript:
    found = tuple(WordTime(*one) for one in times)
    return Transcript(text=" ".join(word.word for word in found), words=found)


def test_a_pause_begins_a_new_segment() -> None:
    heard = words(("one", 0, 400), ("two", 500, 900), ("three", 2000, 2400))
    segments = transcript_formats.segments(heard, 3000)
    assert [(one.text, one.start_ms, one.end_ms) for one in segments] == [("one two", 0, 900), ("three", 2000, 2400)]


def test_no_segment_is_too_long_to_read() -> None:
    heard = words(*((f"word{n}", n * 500, n * 500 + 490) for n in range(60)))
    segments = transcript_formats.segments(heard, 30_000)
    assert max(one.end_ms - one.start_ms for one in segments) <= transcript_formats.SEGMENT_MAX_MS
    assert " ".join(one.text for one in segments) == heard.text


def test_without_word_times_there_is_one_segment() -> None:
    segments = transcript_formats.segments(Transcript(text="hello"), 1200)
    assert [(one.text, one.start_ms, one.end_ms) for one in segments] == [("hello", 0, 1200)]
    assert transcript_formats.segments(Transcript(text=""), 1200) == []


def test_only_what_stands_is_announced() -> None:
    settled = SettledText()
    partials = ["the", "the cat", "the cat sat", "the cap", "the cap is on"]
    assert [settled.partial(text) for text in partials] == ["", "the", " cat", "", ""]
    assert settled.settle("the cap is on") == ""
    assert settled.text == "the cat"
