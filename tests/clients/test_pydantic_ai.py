"""`pydantic-ai` realtime: truncates before it cancels, attributes the playback position itself.

It has no handoff of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from openai import AsyncOpenAI
from pydantic_ai import Agent
from pydantic_ai.messages import FunctionToolResultEvent, ModelResponse, SpeechPart
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.realtime import RealtimeSession, RealtimeTurnCompleteEvent
from pydantic_ai.realtime.openai import OpenAIRealtimeModel

from tests.clients.chat_stub import HOLD, Call, calling
from tests.clients.stage import STORY, Stage, clip, eventually, speak

pytestmark = pytest.mark.anyio


class Talk:
    """A session, every event it reported and the audio that its player was given."""

    def __init__(self, session: RealtimeSession) -> None:
        self.session = session
        self.events: list[Any] = []
        self.heard = bytearray()
        self.playing = asyncio.Event()
        self.playing.set()
        self.pause_after_ms = float("inf")

    async def listen(self) -> None:
        async for event in self.session:
            self.events.append(event)

    async def play(self) -> None:
        """A player that stops asking for audio while it is paused."""
        async for chunk in self.session.stream_audio():
            self.heard += chunk
            if len(self.heard) / 48 > self.pause_after_ms:
                self.playing.clear()
            await self.playing.wait()

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def said(self) -> list[str]:
        """What the history says that the model said."""
        responses = [message for message in self.session.all_messages() if isinstance(message, ModelResponse)]
        parts = [part for response in responses for part in response.parts if isinstance(part, SpeechPart)]
        return [part.transcript or "" for part in parts]


@contextlib.asynccontextmanager
async def talking(stage: Stage, agent: Agent[None, str], *, barge_in: bool = False) -> AsyncIterator[Talk]:
    client = AsyncOpenAI(base_url=stage.http_url, api_key="any")
    model = OpenAIRealtimeModel("gpt-realtime", provider=OpenAIProvider(openai_client=client))
    async with agent.realtime(model=model).session(handle_barge_in=barge_in) as session:
        talk = Talk(session)
        tasks = [asyncio.create_task(talk.listen()), asyncio.create_task(talk.play())]
        await asyncio.sleep(0)
        yield talk
    await asyncio.gather(*tasks)
    await client.close()


async def test_a_spoken_turn(stage: Stage) -> None:
    stage.chat.answer = lambda request: ["Hello to you too."]
    async with talking(stage, Agent(instructions="Be kind.")) as talk:
        await speak(talk.session.send_audio)
        await eventually(lambda: talk.of(RealtimeTurnCompleteEvent))
        assert talk.said() == ["Hello to you too."]
        await eventually(lambda: len(talk.heard) / 48 > 500)
    assert stage.chat.requests[-1]["messages"][0] == {"role": "system", "content": "Be kind."}
    assert [response["status"] for response in stage.wire.responses] == ["completed"]


async def test_a_tool_turn(stage: Stage) -> None:
    stage.chat.answer = calling(Call("order_status", {"order_number": 12}))
    agent: Agent[None, str] = Agent()

    @agent.tool_plain
    def order_status(order_number: int) -> str:
        """Look up an order."""
        return f"Order {order_number} is on its way."

    async with talking(stage, agent) as talk:
        await speak(talk.session.send_audio)
        await eventually(lambda: "Order 12 is on its way." in talk.said())
        (result,) = talk.of(FunctionToolResultEvent)
        assert result.part.content == "Order 12 is on its way."
    assert len(stage.wire.responses) == 2


@pytest.mark.parametrize("generating", [False, True])
async def test_a_barge_in_cuts_what_was_not_heard(stage: Stage, generating: bool) -> None:
    story = [STORY, HOLD] if generating else [STORY]
    stage.chat.answer = lambda request: story if len(stage.chat.requests) == 1 else ["All right."]
    async with talking(stage, Agent(), barge_in=True) as talk:
        talk.pause_after_ms = 2000  # audio comes faster than it would be polled for
        await talk.session.send("Tell me a story.")
        await eventually(lambda: not talk.playing.is_set())
        heard_ms = len(talk.heard) / 48
        (item_id,) = {event["item_id"] for event in stage.wire.of("response.output_audio.delta")}
        await eventually(lambda: stage.wire.audio_ms(item_id) > heard_ms + 1000)  # else nothing is unheard
        await eventually(lambda: generating or stage.wire.responses)
        await speak(talk.session.send_audio)
        await eventually(lambda: stage.wire.asked("conversation.item.truncate"))
        talk.pause_after_ms = float("inf")
        talk.playing.set()
        await eventually(lambda: "All right." in talk.said())
        cut = await stage.was_cut()
        assert 0 < cut["audio_end_ms"] <= heard_ms
    first_end, second_end = stage.wire.responses
    assert second_end["status"] == "completed"
    assert first_end["status"] == ("cancelled" if generating else "completed")


async def test_a_cancel_that_truncates_first(stage: Stage) -> None:
    stage.chat.answer = lambda request: [STORY, HOLD] if len(stage.chat.requests) == 1 else ["Go on."]
    async with talking(stage, Agent()) as talk:
        await talk.session.send("Tell me a story.")
        await eventually(lambda: len(talk.heard) / 48 > 3000)
        await talk.session.interrupt(played_ms=1234)
        await eventually(lambda: stage.wire.responses)
        await talk.session.send("And then?")
        await eventually(lambda: "Go on." in talk.said())
        assert (await stage.was_cut())["audio_end_ms"] == 1234
    cancelled, completed = stage.wire.responses
    assert (cancelled["status"], cancelled["status_details"]["reason"]) == ("cancelled", "client_cancelled")
    assert completed["status"] == "completed"
    assert [event["type"] for event in stage.wire.asked("conversation.item.truncate", "response.cancel")] == [
        "conversation.item.truncate",
        "response.cancel",
    ]


async def test_the_offline_engines(offline_stage: Stage) -> None:
    async with talking(offline_stage, Agent()) as talk:
        await speak(talk.session.send_audio, clip("joke"))
        await eventually(lambda: talk.of(RealtimeTurnCompleteEvent))
        assert talk.said()[0]
