"""The REST endpoints on the offline engines: real speech, real words."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
import soundfile
from openai import AsyncOpenAI

from realtime_nb.audio import AudioClip, bundled
from realtime_nb.engines import registry
from tests.server.rest import sdk, strictly

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def client(anyio_backend: str) -> AsyncIterator[AsyncOpenAI]:
    async with sdk(registry.create("offline")) as (client, _):
        yield client


def recorded(name: str) -> AudioClip:
    return bundled.clip(name)


async def test_words_are_where_they_are_said(client: AsyncOpenAI) -> None:
    clip = await asyncio.to_thread(recorded, "joke")
    heard: Any = await client.audio.transcriptions.create(
        model="whisper-1",
        file=("joke.wav", clip.to_wav_bytes()),
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )
    assert strictly(heard).text == "tell me a joke"
    assert clip.speech_start_ms is not None
    assert clip.speech_end_ms is not None
    assert abs(heard.words[0].start * 1000 - clip.speech_start_ms) < 150
    assert abs(heard.words[-1].end * 1000 - clip.speech_end_ms) < 250
    assert abs(heard.duration * 1000 - clip.duration_ms) < 2


@pytest.mark.parametrize("kind", ["silence", "hiss", "noise", "tone"])
async def test_nothing_is_invented(client: AsyncOpenAI, kind: str) -> None:
    times = np.arange(3 * 24_000) / 24_000
    noise = np.random.default_rng(1).standard_normal(len(times))
    signals = {"silence": 0 * times, "hiss": 40 * noise, "noise": 3000 * noise, "tone": 8000 * np.sin(2765 * times)}
    file = AudioClip(signals[kind].astype(np.int16)).to_wav_bytes()
    assert (await client.audio.transcriptions.create(model="m", file=("a.wav", file))).text == ""


@pytest.mark.parametrize("form", ["mp3", "opus"])
async def test_what_is_spoken_here_is_heard_here(client: AsyncOpenAI, form: Any) -> None:
    speech = await client.audio.speech.create(
        model="gpt-4o-mini-tts", voice="cedar", input="Tell me a joke.", response_format=form
    )
    heard = await client.audio.transcriptions.create(
        model="gpt-4o-transcribe", file=(f"a.{form}", speech.content), prompt="Tell me a joke."
    )
    assert heard.text == "tell me a joke"


async def test_a_spoken_question_gets_a_spoken_answer_and_the_next_one_knows_it(client: AsyncOpenAI) -> None:
    clip = await asyncio.to_thread(recorded, "joke")
    part = {"data": base64.b64encode(clip.to_wav_bytes()).decode(), "format": "wav"}
    asked: Any = {"role": "user", "content": [{"type": "input_audio", "input_audio": part}]}
    options: Any = {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}
    first = await client.chat.completions.create(model="gpt-audio", messages=[asked], **options)
    answer = strictly(first).choices[0].message.audio
    assert answer is not None
    pcm16, _ = await asyncio.to_thread(soundfile.read, io.BytesIO(base64.b64decode(answer.data)), dtype="int16")
    assert len(pcm16) / 24_000 > 1.5
    assert np.abs(pcm16).max() > 2000
    again: Any = [
        asked,
        {"role": "assistant", "audio": {"id": answer.id}},
        {"role": "user", "content": "Say that again."},
    ]
    second = await client.chat.completions.create(model="gpt-audio", messages=again)
    assert answer.transcript in (second.choices[0].message.content or "")


async def test_a_tool_is_called_from_speech(client: AsyncOpenAI) -> None:
    clip = await asyncio.to_thread(recorded, "order_status")
    part = {"data": base64.b64encode(clip.to_wav_bytes()).decode(), "format": "wav"}
    parameters = {"type": "object", "properties": {"order_number": {"type": "integer"}}, "required": ["order_number"]}
    tool: Any = {"name": "order_status", "description": "Look up the status of an order.", "parameters": parameters}
    asked: Any = {"role": "user", "content": [{"type": "input_audio", "input_audio": part}]}
    completion = await client.chat.completions.create(
        model="gpt-audio", messages=[asked], tools=[{"type": "function", "function": tool}], tool_choice="required"
    )
    (call,) = strictly(completion).choices[0].message.tool_calls or []
    assert call.type == "function"
    assert call.function.name == "order_status"
