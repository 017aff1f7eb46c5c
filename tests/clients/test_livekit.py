"""`livekit-plugins-openai`: its `RealtimeModel` without a room; who plays is the caller, and says how much was heard.

Handoff, and running the tools that the model calls, are `AgentSession`'s work and need a LiveKit room.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from livekit import rtc
from livekit.agents import NOT_GIVEN, llm
from livekit.plugins.openai.realtime import RealtimeModel
from openai.types.realtime.realtime_audio_input_turn_detection import ServerVad

from tests.clients.chat_stub import HOLD, Call, calling
from tests.clients.stage import PATIENCE_S, SEMANTIC_SILENCE_MS, STORY, Stage, clip, eventually, speak

pytestmark = pytest.mark.anyio

TURN_DETECTION = ServerVad(type="server_vad", silence_duration_ms=500, create_response=True, interrupt_response=True)


@llm.function_tool
async def order_status(order_number: int) -> str:
    """Look up an order."""
    return f"Order {order_number} is on its way."


class Reply:
    """One generation, read to its end."""

    def __init__(self, generation: llm.GenerationCreatedEvent) -> None:
        self.user_initiated = generation.user_initiated
        self.message_id = ""
        self.words = ""
        self.audio_ms = 0.0
        self.calls: list[llm.FunctionCall] = []
        self.ended = False
        self.task = asyncio.create_task(self._read(generation))

    async def _read(self, generation: llm.GenerationCreatedEvent) -> None:
        await asyncio.gather(self._read_messages(generation), self._read_calls(generation))
        self.ended = True

    async def _read_messages(self, generation: llm.GenerationCreatedEvent) -> None:
        async for message in generation.message_stream:
            self.message_id = message.message_id
            await asyncio.gather(self._read_words(message), self._read_audio(message))

    async def _read_words(self, message: llm.MessageGeneration) -> None:
        async for text in message.text_stream:
            self.words += text

    async def _read_audio(self, message: llm.MessageGeneration) -> None:
        async for frame in message.audio_stream:
            self.audio_ms += frame.duration * 1000

    async def _read_calls(self, generation: llm.GenerationCreatedEvent) -> None:
        async for call in generation.function_stream:
            self.calls.append(call)


class Talk:
    """A session and what it emitted."""

    def __init__(self, session: llm.RealtimeSession[Any]) -> None:
        self.session = session
        self.replies: list[Reply] = []
        self.heard: list[str] = []
        self.emitted: list[str] = []
        self.errors: list[llm.RealtimeModelError] = []
        session.on("generation_created", lambda generation: self.replies.append(Reply(generation)))
        session.on("input_speech_started", lambda event: self.emitted.append("input_speech_started"))
        session.on("input_speech_stopped", lambda event: self.emitted.append("input_speech_stopped"))
        session.on("metrics_collected", lambda metrics: self.emitted.append("metrics_collected"))
        session.on("error", self.errors.append)
        session.on("input_audio_transcription_completed", self._on_heard)

    def _on_heard(self, event: llm.InputTranscriptionCompleted) -> None:
        if event.is_final:
            self.heard.append(event.transcript)

    async def send_audio(self, pcm16: bytes) -> None:
        self.session.push_audio(rtc.AudioFrame(pcm16, 24_000, 1, len(pcm16) // 2))

    async def say(self, text: str) -> None:
        """Put a typed user message into the conversation and ask for a reply."""
        context = self.session.chat_ctx.copy()
        context.add_message(role="user", content=text)
        await self.session.update_chat_ctx(context)
        await self.reply()

    async def reply(self) -> Reply:
        async with asyncio.timeout(PATIENCE_S):
            await self.session.generate_reply()
        return self.replies[-1]

    async def ended(self, count: int) -> Reply:
        """Wait for the count-th generation to end."""
        await eventually(lambda: len(self.replies) >= count and self.replies[count - 1].ended)
        return self.replies[count - 1]


@contextlib.asynccontextmanager
async def talking(stage: Stage, *, own: bool = False) -> AsyncIterator[Talk]:
    """A session; `own` leaves the turn detection at what the plugin asks for by itself, a semantic one."""
    async with aiohttp.ClientSession() as http:
        model = RealtimeModel(
            base_url=stage.http_url,
            api_key="any",
            http_session=http,
            turn_detection=NOT_GIVEN if own else TURN_DETECTION,
        )
        session = model.session()
        talk = Talk(session)
        try:
            await session.update_instructions("Be kind.")
            await session.update_tools([order_status])
            yield talk
        finally:
            await session.aclose()
            await model.aclose()
    for reply in talk.replies:
        await reply.task
    assert talk.errors == []


async def test_a_spoken_turn(stage: Stage) -> None:
    stage.chat.answer = lambda request: ["Hello to you too."]
    async with talking(stage) as talk:
        await speak(talk.send_audio)
        reply = await talk.ended(1)
        assert reply.words == "Hello to you too."
        assert reply.audio_ms > 500
        assert not reply.user_initiated
        await eventually(lambda: talk.heard)
        await eventually(lambda: "metrics_collected" in talk.emitted)
        assert [one for one in talk.emitted if one.startswith("input")] == [
            "input_speech_started",
            "input_speech_stopped",
        ]
    assert stage.chat.requests[-1]["messages"][0] == {"role": "system", "content": "Be kind."}


async def test_a_spoken_turn_with_its_own_settings(stage: Stage) -> None:
    stage.chat.answer = lambda request: ["Hello to you too."]
    async with talking(stage, own=True) as talk:
        await speak(talk.send_audio, silence_ms=SEMANTIC_SILENCE_MS)
        assert (await talk.ended(1)).words == "Hello to you too."
    assert (
        stage.wire.asked("session.update")[0]["session"]["audio"]["input"]["turn_detection"]["type"] == "semantic_vad"
    )


async def test_a_tool_turn(stage: Stage) -> None:
    stage.chat.answer = calling(Call("order_status", {"order_number": 12}))
    async with talking(stage) as talk:
        await speak(talk.send_audio)
        (call,) = (await talk.ended(1)).calls
        assert (call.name, call.arguments) == ("order_status", '{"order_number": 12}')
        context = talk.session.chat_ctx.copy()
        output = await order_status(12)
        context.items.append(
            llm.FunctionCallOutput(call_id=call.call_id, name=call.name, output=output, is_error=False)
        )
        await talk.session.update_chat_ctx(context)
        await talk.reply()
        reply = await talk.ended(2)
        assert reply.words == "Order 12 is on its way."
        assert reply.user_initiated


@pytest.mark.parametrize("generating", [False, True])
async def test_a_barge_in_cuts_what_was_not_heard(stage: Stage, generating: bool) -> None:
    story = [STORY, HOLD] if generating else [STORY]
    stage.chat.answer = lambda request: story if len(stage.chat.requests) == 1 else ["All right."]
    async with talking(stage) as talk:
        await talk.say("Tell me a story.")
        story_told = talk.replies[0]
        await eventually(lambda: story_told.audio_ms > 5000)
        await eventually(lambda: generating or story_told.ended)
        stage.may_be_refused = {"response_cancel_not_active"}  # the server cancels at speech too; the plugin expects it
        speaking = asyncio.create_task(speak(talk.send_audio))
        await eventually(lambda: "input_speech_started" in talk.emitted)
        talk.session.interrupt()
        talk.session.truncate(message_id=story_told.message_id, modalities=["audio", "text"], audio_end_ms=2345)
        await speaking
        assert (await talk.ended(2)).words == "All right."
        assert (await stage.was_cut())["audio_end_ms"] == 2345
    first_end, second_end = stage.wire.responses
    assert second_end["status"] == "completed"
    assert first_end["status"] == ("cancelled" if generating else "completed")


async def test_a_cancel(stage: Stage) -> None:
    stage.chat.answer = lambda request: [STORY, HOLD] if len(stage.chat.requests) == 1 else ["Go on."]
    async with talking(stage) as talk:
        await talk.say("Tell me a story.")
        await eventually(lambda: talk.replies[0].audio_ms > 5000)
        talk.session.interrupt()
        cancelled = await talk.ended(1)
        talk.session.truncate(message_id=cancelled.message_id, modalities=["audio", "text"], audio_end_ms=1234)
        await talk.say("And then?")
        assert (await talk.ended(2)).words == "Go on."
        assert (await stage.was_cut())["audio_end_ms"] == 1234
    first_end, second_end = stage.wire.responses
    assert (first_end["status"], first_end["status_details"]["reason"]) == ("cancelled", "client_cancelled")
    assert second_end["status"] == "completed"


async def test_an_item_never_heard_is_deleted(stage: Stage) -> None:
    stage.chat.answer = lambda request: ["Never mind."] if len(stage.chat.requests) == 1 else ["Go on."]
    async with talking(stage) as talk:
        await talk.say("Tell me a story.")
        unheard = await talk.ended(1)
        talk.session.truncate(message_id=unheard.message_id, modalities=["audio", "text"], audio_end_ms=0)
        await eventually(lambda: talk.session.chat_ctx.get_by_id(unheard.message_id) is None)
        await talk.say("And then?")
        assert (await talk.ended(2)).words == "Go on."
    assert stage.wire.of("conversation.item.deleted")[0]["item_id"] == unheard.message_id
    asked = [message["content"] for message in stage.chat.requests[-1]["messages"] if message["role"] != "system"]
    assert asked == ["Tell me a story.", "And then?"]


async def test_the_offline_engines(offline_stage: Stage) -> None:
    async with talking(offline_stage) as talk:
        await speak(talk.send_audio, clip("joke"))
        assert (await talk.ended(1)).words
        await eventually(lambda: talk.heard == ["tell me a joke"])
