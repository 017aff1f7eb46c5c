"""The official `openai` SDK against `realtime-nb serve`: what any client of the service would see."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import psutil
import pytest
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection

from realtime_nb.audio import AudioClip, bundled
from realtime_nb.engines.base import Pcm16
from tests.protocol.strict import check_server_frame
from tests.server.commands import served
from tests.server.talking import FRAME_SAMPLES, PATIENCE_S, silence

pytestmark = pytest.mark.anyio


class Conversation:
    """One connection of the SDK, every frame judged before the SDK reads it."""

    def __init__(self, connection: AsyncRealtimeConnection) -> None:
        self.connection = connection
        self.events: list[Any] = []
        self.appended_ms = 0.0

    async def until(self, *event_types: str) -> Any:
        while True:
            async with asyncio.timeout(PATIENCE_S):
                frame = await self.connection.recv_bytes()
            check_server_frame(frame)
            event = self.connection.parse_event(frame)
            self.events.append(event)
            if event.type in event_types:
                return event

    def of(self, event_type: str) -> list[Any]:
        return [event for event in self.events if event.type == event_type]

    async def stream(self, pcm16: Pcm16) -> None:
        """Speak in real time, 20 ms at a time."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        self.appended_ms += len(pcm16) / 24
        for start in range(0, len(pcm16), FRAME_SAMPLES):
            frame = pcm16[start : start + FRAME_SAMPLES].tobytes()
            await self.connection.input_audio_buffer.append(audio=base64.b64encode(frame).decode())
            await asyncio.sleep(began + (start + FRAME_SAMPLES) / 24_000 - loop.time())


@asynccontextmanager
async def talking(url: str, key: str = "any") -> AsyncIterator[Conversation]:
    async with AsyncOpenAI(base_url=url, api_key=key).realtime.connect(model="gpt-realtime") as connection:
        yield Conversation(connection)


@pytest.fixture
def joke() -> AudioClip:
    return bundled.clip("joke")


async def spoken_turn(conversation: Conversation, clip: AudioClip) -> Any:
    await conversation.connection.session.update(
        session={"type": "realtime", "audio": {"input": {"transcription": {"model": "whisper-1"}}}}
    )
    await conversation.until("session.updated")
    assert clip.speech_end_ms is not None
    should_stop_ms = conversation.appended_ms + clip.speech_end_ms + 500
    speaking = asyncio.create_task(conversation.stream(np.concatenate([clip.samples, silence(1000)])))
    stopped = await conversation.until("input_audio_buffer.speech_stopped")
    assert abs(stopped.audio_end_ms - should_stop_ms) < 200
    done = await conversation.until("response.done")
    await speaking
    return done.response


async def text_turn(conversation: Conversation, text: str = "What can you do?") -> Any:
    await conversation.connection.conversation.item.create(
        item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    )
    await conversation.connection.response.create(response={"output_modalities": ["text"]})
    return (await conversation.until("response.done")).response


async def cancelled_turn(conversation: Conversation) -> Any:
    await conversation.connection.conversation.item.create(
        item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Tell me a joke. " * 20}]}
    )
    await conversation.connection.response.create()
    await conversation.until("response.created")
    await conversation.connection.response.cancel()
    return (await conversation.until("response.done")).response


@pytest.mark.parametrize("engine", ["scripted", "offline"])
async def test_a_spoken_a_typed_and_a_cancelled_turn(engine: str, joke: AudioClip) -> None:
    async with served("--engine", engine) as server:
        async with talking(server.url) as conversation:
            response = await spoken_turn(conversation, joke)
            assert response.status == "completed"
            heard = conversation.of("conversation.item.input_audio_transcription.completed")[0].transcript
            said = conversation.of("response.output_audio_transcript.done")[0].transcript
            audio = b"".join(base64.b64decode(e.delta) for e in conversation.of("response.output_audio.delta"))
            assert said
            assert len(audio) / 48 > 200
            assert np.abs(np.frombuffer(audio, np.int16)).max() > 2000
            if engine == "offline":
                assert heard == "tell me a joke"
            typed = await text_turn(conversation)
            assert typed.status == "completed"
            assert typed.output[0].content[0].text
            cancelled = await cancelled_turn(conversation)
            assert cancelled.status in ("cancelled", "completed")
            assert len(conversation.of("response.done")) == 3
        status, stderr = await server.stop()
        assert (status, stderr) == (0, "")


async def test_a_wrong_key_closes_as_the_service_does() -> None:
    from websockets.exceptions import ConnectionClosedError

    async with served("--engine", "scripted", "--api-key", "right") as server:
        async with talking(server.url, "wrong") as conversation:
            error = await conversation.until("error")
            assert error.error.code == "invalid_api_key"
            with pytest.raises(ConnectionClosedError) as closed:
                await conversation.until("session.created")
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 3000
        async with talking(server.url, "right") as conversation:
            await conversation.until("session.created")


async def test_workers_killed_in_the_middle_of_a_turn_fail_it_and_the_next_one_works(joke: AudioClip) -> None:
    async with served("--engine", "offline") as server, talking(server.url) as conversation:
        speaking = asyncio.create_task(conversation.stream(np.concatenate([joke.samples, silence(1000)])))
        await conversation.until("input_audio_buffer.speech_started")
        for child in psutil.Process(server.process.pid).children(recursive=True):
            child.kill()
        failed = (await conversation.until("response.done")).response
        assert failed.status == "failed"
        assert failed.status_details.error.code == "server_error"
        assert "died" in failed.status_details.error.message
        await speaking
        assert (await spoken_turn(conversation, joke)).status == "completed"


async def test_stopping_leaves_no_child_behind() -> None:
    async with served("--engine", "offline") as server:
        async with talking(server.url) as conversation:
            await conversation.until("session.created")
            children = psutil.Process(server.process.pid).children(recursive=True)
            assert children
            status, stderr = await server.stop()
        assert (status, stderr) == (0, "")
        _, alive = psutil.wait_procs(children, timeout=PATIENCE_S)
        assert alive == []
