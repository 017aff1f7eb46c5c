from __future__ import annotations

import asyncio
import base64
import io
from typing import Any

import numpy as np
import pytest
import soundfile
from openai import APIConnectionError, APIStatusError, OpenAI

from realtime_nb.audio.codec import CODECS, MP3_DELAY_MS
from realtime_nb.engines import scripted
from realtime_nb.engines.base import Pcm16
from tests.server.rest import events, http, sdk
from tests.server.talking import PATIENCE_S

pytestmark = pytest.mark.anyio

TEXT = "Your order is on its way and comes tomorrow. Is there anything else?"


def expected_ms(text: str = TEXT, speed: float = 1.0) -> float:
    return scripted.word_times(text, speed=speed)[-1].end_ms


def pitch_hz(pcm16: Pcm16) -> float:
    spectrum = np.abs(np.fft.rfft(pcm16.astype(float)))
    return float(np.argmax(spectrum) * 24_000 / len(pcm16))


def decoded(data: bytes, form: str) -> Pcm16:
    if form == "pcm":
        return np.frombuffer(data, np.int16)
    pcm16, rate_hz = soundfile.read(io.BytesIO(data), dtype="int16")
    assert rate_hz == 24_000
    return pcm16


async def test_every_format_says_the_same() -> None:
    async with sdk() as (client, _):
        for form in CODECS:
            async with client.audio.speech.with_streaming_response.create(
                model="gpt-4o-mini-tts", voice="cedar", input=TEXT, response_format=form
            ) as answer:
                data = b"".join([piece async for piece in answer.iter_bytes()])
            audio = await asyncio.to_thread(decoded, data, form)
            late_ms = MP3_DELAY_MS if form == "mp3" else 0
            assert abs(len(audio) / 24 - late_ms - expected_ms()) < 100, form
            assert 1000 < np.sqrt(np.mean(audio.astype(float) ** 2)) < 20_000, form
            assert abs(pitch_hz(audio) - scripted.VOICE_FREQUENCIES_HZ["cedar"]) < 5, form


@pytest.mark.parametrize("form", ["pcm", "wav", "mp3", "opus"])
async def test_the_first_audio_waits_for_the_first_chunk_only(form: str) -> None:
    release = asyncio.Event()
    began = asyncio.Event()

    async def sleep(seconds: float) -> None:
        if began.is_set() and seconds:
            await release.wait()
        began.set()

    engines = scripted.create(delays=scripted.ScriptedDelays(pace=1.0), sleep=sleep)
    async with sdk(engines) as (_, server), http(server) as client:
        body = {"model": "m", "voice": "alloy", "input": TEXT, "response_format": form}
        began.clear()
        async with asyncio.timeout(PATIENCE_S), client.stream("POST", "/audio/speech", json=body) as answer:
            pieces = answer.aiter_raw()
            first = await anext(pieces)
            assert first
            assert not release.is_set()
            release.set()
            rest = b"".join([piece async for piece in pieces])
    audio = await asyncio.to_thread(decoded, first + rest, form)
    assert len(audio) / 24 > expected_ms() - 100


async def test_server_sent_events() -> None:
    async with sdk() as (_, server), http(server) as client:
        body = {"model": "m", "voice": "alloy", "input": TEXT, "response_format": "pcm", "stream_format": "sse"}
        answer = await client.post("/audio/speech", json=body)
        assert answer.headers["content-type"].startswith("text/event-stream")
        *deltas, done = events(answer.text)
    assert {delta["type"] for delta in deltas} == {"speech.audio.delta"}
    audio = b"".join(base64.b64decode(delta["audio"]) for delta in deltas)
    assert abs(len(audio) / 48 - expected_ms()) < 60
    tokens_out = -(-len(audio) // 48 // 50)
    assert done["type"] == "speech.audio.done"
    assert done["usage"]["input_tokens"] == 17
    assert abs(done["usage"]["output_tokens"] - tokens_out) <= 1
    assert done["usage"]["total_tokens"] == 17 + done["usage"]["output_tokens"]


@pytest.mark.parametrize(("asked", "spoken", "header"), [(1.5, 1.5, None), (0.5, 0.5, None), (4.0, 1.5, "1.5")])
async def test_speeds_that_no_voice_can_do_are_spoken_as_fast_as_it_can(
    asked: float, spoken: float, header: str | None
) -> None:
    async with sdk() as (client, _):
        answer = await client.audio.speech.with_raw_response.create(
            model="tts-1", voice="alloy", input=TEXT, response_format="pcm", speed=asked, instructions="Whisper."
        )
        assert answer.headers.get("x-realtime-nb-speed") == header
        assert abs(len(answer.content) / 48 - expected_ms(speed=spoken)) < 60


REFUSALS: list[tuple[dict[str, Any], str, str]] = [
    ({"input": ""}, "empty_string", "input"),
    ({"input": "x" * 4097}, "string_above_max_length", "input"),
    ({"voice": "fable"}, "invalid_value", "voice"),
    ({"voice": {"id": "voice_1234"}}, "invalid_value", "voice"),
    ({"voice": 3}, "invalid_value", "voice"),
    ({"speed": 4.1}, "invalid_value", "speed"),
    ({"speed": 0.1}, "invalid_value", "speed"),
    ({"response_format": "aac"}, "unsupported_value", "response_format"),
    ({"response_format": "midi"}, "invalid_value", "response_format"),
    ({"stream_format": "morse"}, "invalid_value", "stream_format"),
    ({"model": None}, "invalid_value", "model"),
]


async def test_refusals() -> None:
    async with sdk() as (_, server), http(server) as client:
        for changes, code, param in REFUSALS:
            body = {"model": "m", "voice": "alloy", "input": "Hi.", **changes}
            answer = await client.post("/audio/speech", json=body)
            error = answer.json()["error"]
            assert (answer.status_code, error["code"], error["param"]) == (400, code, param), changes


async def test_what_is_missing_is_named() -> None:
    async with sdk() as (_, server), http(server) as client:
        for name in ("model", "voice", "input"):
            body = {key: "alloy" for key in ("model", "voice", "input") if key != name}
            error = (await client.post("/audio/speech", json=body)).json()["error"]
            assert (error["code"], error["param"]) == ("missing_required_parameter", name)
        broken = await client.post("/audio/speech", content=b"{")
        assert (broken.status_code, broken.json()["error"]["code"]) == (400, "invalid_json")


async def test_a_voice_that_fails_before_its_first_audio_has_a_status() -> None:
    engines = scripted.create(synthesizer_crashes=[scripted.ScriptedCrash(call=1)])
    async with sdk(engines) as (client, _):
        with pytest.raises(APIStatusError) as failed:
            await client.audio.speech.create(model="m", voice="alloy", input=TEXT)
        assert (failed.value.status_code, failed.value.code) == (500, "server_error")
        assert (await client.audio.speech.create(model="m", voice="alloy", input=TEXT)).content


async def test_one_that_fails_later_gives_no_whole_answer() -> None:
    engines = scripted.create(synthesizer_crashes=[scripted.ScriptedCrash(call=n, after=3) for n in (1, 2)])
    async with sdk(engines) as (client, server), http(server) as bare:
        with pytest.raises(APIConnectionError):
            await client.audio.speech.create(model="m", voice="alloy", input=TEXT, response_format="pcm")
        body = {"model": "m", "voice": "alloy", "input": TEXT, "response_format": "pcm", "stream_format": "sse"}
        *deltas, last = events((await bare.post("/audio/speech", json=body)).text)
        assert len(deltas) == 3
        assert last["error"]["code"] == "server_error"


async def test_the_synchronous_client() -> None:
    async with sdk() as (_, server):

        def speak() -> bytes:
            with OpenAI(base_url=server.url, api_key=server.token) as client:
                return client.audio.speech.create(model="m", voice="verse", input="Hi.", response_format="wav").content

        data = await asyncio.to_thread(speak)
    assert data.startswith(b"RIFF")
