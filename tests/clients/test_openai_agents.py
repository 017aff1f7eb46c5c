"""`openai-agents` (Python): every event is validated strictly, an item is retrieved after each truncate."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from agents import function_tool
from agents.realtime import (
    RealtimeAgent,
    RealtimeModelSendInterrupt,
    RealtimePlaybackTracker,
    RealtimeRunner,
    RealtimeSession,
    RealtimeSessionEvent,
    realtime_handoff,
)

from tests.clients.chat_stub import HOLD, Call, calling
from tests.clients.stage import SEMANTIC_SILENCE_MS, STORY, Stage, clip, eventually, speak

pytestmark = pytest.mark.anyio

SERVER_VAD = {"type": "server_vad", "silence_duration_ms": 500, "interrupt_response": True}


@function_tool
def order_status(order_number: int) -> str:
    """Look up an order."""
    return f"Order {order_number} is on its way."


class Talk:
    """A session and every event it reported."""

    def __init__(self, session: RealtimeSession, tracker: RealtimePlaybackTracker) -> None:
        self.session = session
        self.tracker = tracker
        self.events: list[RealtimeSessionEvent] = []

    async def listen(self) -> None:
        async for event in self.session:
            self.events.append(event)

    def of(self, kind: str) -> list[Any]:
        return [event for event in self.events if event.type == kind]

    def said(self) -> list[str]:
        """What the history says that the assistant said."""
        history = self.of("history_updated")[-1].history if self.of("history_updated") else []
        messages = [item for item in history if item.type == "message" and item.role == "assistant"]
        return [part.transcript or "" for item in messages for part in item.content if part.type == "audio"]


@contextlib.asynccontextmanager
async def talking(stage: Stage, agent: RealtimeAgent[Any], *, own: bool = False) -> AsyncIterator[Talk]:
    """A session; `own` leaves the turn detection at what the SDK asks for by itself, a semantic one."""
    tracker = RealtimePlaybackTracker()
    session = await RealtimeRunner(agent).run(
        model_config={
            "url": f"{stage.url}/realtime?model=gpt-realtime",
            "api_key": "any",
            "playback_tracker": tracker,
            "initial_model_settings": {} if own else {"turn_detection": SERVER_VAD},  # type: ignore[typeddict-item]
        }
    )
    async with session:
        talk = Talk(session, tracker)
        listening = asyncio.create_task(talk.listen())
        yield talk
    await listening
    assert talk.of("error") == []


def says(text: str) -> Callable[[dict[str, Any]], list[Any]]:
    return lambda request: [text]


async def test_a_spoken_turn(stage: Stage) -> None:
    stage.chat.answer = says("Hello to you too.")
    async with talking(stage, RealtimeAgent(name="host", instructions="Be kind.")) as talk:
        await speak(talk.session.send_audio)
        await eventually(lambda: talk.of("audio_end"))
        await eventually(lambda: talk.said() == ["Hello to you too."])
        assert sum(len(event.audio.data) for event in talk.of("audio")) / 48 > 500
        heard = next(item for item in talk.of("history_updated")[-1].history if item.type == "message")
        assert heard.role == "user"
        assert heard.content[0].transcript
    assert stage.chat.requests[-1]["messages"][0] == {"role": "system", "content": "Be kind."}
    assert [response["status"] for response in stage.wire.responses] == ["completed"]


async def test_a_spoken_turn_with_its_own_settings(stage: Stage) -> None:
    stage.chat.answer = says("Hello to you too.")
    async with talking(stage, RealtimeAgent(name="host"), own=True) as talk:
        await speak(talk.session.send_audio, silence_ms=SEMANTIC_SILENCE_MS)
        await eventually(lambda: talk.said() == ["Hello to you too."])
    assert (
        stage.wire.asked("session.update")[0]["session"]["audio"]["input"]["turn_detection"]["type"] == "semantic_vad"
    )


async def test_a_tool_turn(stage: Stage) -> None:
    stage.chat.answer = calling(Call("order_status", {"order_number": 12}))
    async with talking(stage, RealtimeAgent(name="shop", tools=[order_status])) as talk:
        await speak(talk.session.send_audio)
        await eventually(lambda: talk.said() == ["Order 12 is on its way."])
        (ended,) = talk.of("tool_end")
        assert ended.output == "Order 12 is on its way."
    assert len(stage.wire.responses) == 2


async def test_a_handoff(stage: Stage) -> None:
    stage.chat.answer = calling(Call("transfer_to_human"), then="I am the human.")
    human = RealtimeAgent(name="human", instructions="You are the human.")
    robot = RealtimeAgent(name="robot", instructions="You are the robot.", handoffs=[realtime_handoff(human)])
    async with talking(stage, robot) as talk:
        await talk.session.send_message("Let me talk to a person.")
        await eventually(lambda: talk.said() == ["I am the human."])
        (handoff,) = talk.of("handoff")
        assert (handoff.from_agent.name, handoff.to_agent.name) == ("robot", "human")
    asked = [request["messages"][0]["content"] for request in stage.chat.requests]
    assert asked == ["You are the robot.", "You are the human."]


@pytest.mark.parametrize("generating", [False, True])
async def test_a_barge_in_cuts_what_was_not_heard(stage: Stage, generating: bool) -> None:
    story = [STORY, HOLD] if generating else [STORY]
    stage.chat.answer = lambda request: story if len(stage.chat.requests) == 1 else ["All right."]
    async with talking(stage, RealtimeAgent(name="teller")) as talk:
        await talk.session.send_message("Tell me a story.")
        first = (await eventually(lambda: talk.of("audio")))[0].audio
        await eventually(lambda: stage.wire.audio_ms(first.item_id) > 5000)
        if not generating:
            await eventually(lambda: talk.of("audio_end"))
        talk.tracker.on_play_ms(first.item_id, first.content_index, 2345)
        await speak(talk.session.send_audio)
        await eventually(lambda: "All right." in talk.said())
        assert talk.of("audio_interrupted")
        cut = await stage.was_cut()
        assert (cut["item_id"], cut["audio_end_ms"]) == (first.item_id, 2345)
        await eventually(lambda: 0 < len(talk.said()[0].split()) < 15)
        assert STORY.startswith(talk.said()[0])
    first_end, second_end = stage.wire.responses
    assert second_end["status"] == "completed"
    if generating:
        assert first_end["status"] == "cancelled"
        assert first_end["status_details"]["reason"] == "turn_detected"
    assert stage.wire.of("conversation.item.retrieved")


async def test_a_cancel(stage: Stage) -> None:
    stage.chat.answer = lambda request: [STORY, HOLD] if len(stage.chat.requests) == 1 else ["Ok."]
    async with talking(stage, RealtimeAgent(name="thinker")) as talk:
        await talk.session.send_message("Think.")
        first = (await eventually(lambda: talk.of("audio")))[0].audio
        talk.tracker.on_play_ms(first.item_id, first.content_index, 300)
        await talk.session.model.send_event(RealtimeModelSendInterrupt(force_response_cancel=True))
        await eventually(lambda: stage.wire.responses)
        await talk.session.send_message("Go on.")
        await eventually(lambda: "Ok." in talk.said())
    cancelled, completed = stage.wire.responses
    assert (cancelled["status"], cancelled["status_details"]["reason"]) == ("cancelled", "client_cancelled")
    assert completed["status"] == "completed"
    assert stage.chat.dropped


async def test_the_offline_engines(offline_stage: Stage) -> None:
    async with talking(offline_stage, RealtimeAgent(name="host")) as talk:
        await speak(talk.session.send_audio, clip("joke"))
        await eventually(lambda: talk.of("audio_end"))
        await eventually(lambda: talk.said() and talk.said()[-1])
        heard = next(item for item in talk.of("history_updated")[-1].history if item.type == "message")
        assert heard.content[0].transcript == "tell me a joke"
