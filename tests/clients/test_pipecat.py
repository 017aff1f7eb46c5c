"""`pipecat-ai`: its OpenAI realtime service in a pipeline with context aggregators and no transport.

It has no handoff. With the server's turn detection it never cancels a response itself, so its cancel is tested with
the turns driven by the pipeline. Its truncate goes by the wall clock from the first audio on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pipecat.frames.frames import (
    BotStoppedSpeakingFrame,
    EndFrame,
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMRunFrame,
    TTSAudioRawFrame,
    TTSTextFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.runner import WorkerRunner
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.openai.realtime import events
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService

from tests.clients.chat_stub import HOLD, Call, calling, last_message
from tests.clients.stage import PATIENCE_S, STORY, Stage, clip, eventually, playing_for, speak

pytestmark = pytest.mark.anyio


async def order_status(params: FunctionCallParams, order_number: int) -> None:
    """Look up an order.

    Args:
        order_number: its number.
    """
    await params.result_callback({"status": f"Order {order_number} is on its way."})


class Keeper(FrameProcessor):
    """Keeps every frame that passes downstream."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[Frame] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if direction is FrameDirection.DOWNSTREAM:
            self.frames.append(frame)
        await self.push_frame(frame, direction)


class Talk:
    """A running pipeline."""

    def __init__(self, worker: PipelineWorker, keeper: Keeper, context: LLMContext) -> None:
        self.worker = worker
        self.context = context
        self.errors: list[ErrorFrame] = []
        self._keeper = keeper

    def of(self, kind: type[Frame]) -> list[Any]:
        return [frame for frame in self._keeper.frames if isinstance(frame, kind)]

    def audio_ms(self) -> float:
        return sum(len(frame.audio) for frame in self.of(TTSAudioRawFrame)) / 48

    def words(self) -> str:
        return "".join(frame.text for frame in self.of(TTSTextFrame))

    async def begin(self) -> None:
        """Let the model answer the context, hear it to its end, as a transport would report."""
        await self.worker.queue_frame(LLMRunFrame())
        await eventually(lambda: self.of(LLMFullResponseEndFrame))
        await self.worker.queue_frame(BotStoppedSpeakingFrame(), FrameDirection.UPSTREAM)

    async def send_audio(self, pcm16: bytes) -> None:
        await self.worker.queue_frame(InputAudioRawFrame(audio=pcm16, sample_rate=24_000, num_channels=1))


@contextlib.asynccontextmanager
async def talking(stage: Stage, *, server_turns: bool = True, first: str = "Begin.") -> AsyncIterator[Talk]:
    detection = events.TurnDetection() if server_turns else False
    audio = events.AudioConfiguration(
        input=events.AudioInput(turn_detection=detection, transcription=events.InputAudioTranscription())
    )
    llm = OpenAIRealtimeLLMService(
        api_key="any",
        base_url=f"{stage.url}/realtime",
        settings=OpenAIRealtimeLLMService.Settings(
            system_instruction="Be kind.", session_properties=events.SessionProperties(audio=audio)
        ),
    )
    context = LLMContext([{"role": "user", "content": first}], tools=[order_status])
    aggregators, keeper = LLMContextAggregatorPair(context), Keeper()
    worker = PipelineWorker(
        Pipeline([aggregators.user(), llm, keeper, aggregators.assistant()]),
        cancel_on_idle_timeout=False,
        enable_rtvi=False,
    )
    talk = Talk(worker, keeper, context)
    started = asyncio.Event()

    @worker.event_handler("on_pipeline_started")
    async def on_started(worker: PipelineWorker, frame: Frame) -> None:
        started.set()

    @worker.event_handler("on_pipeline_error")
    async def on_error(worker: PipelineWorker, frame: ErrorFrame) -> None:
        talk.errors.append(frame)

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    try:
        async with asyncio.timeout(PATIENCE_S):
            await started.wait()
        yield talk
        await worker.queue_frame(EndFrame())
        async with asyncio.timeout(PATIENCE_S):
            await running
    finally:
        running.cancel()
    assert talk.errors == []


async def test_a_spoken_turn(stage: Stage) -> None:
    stage.chat.answer = lambda request: ["Welcome. "] if len(stage.chat.requests) == 1 else ["Hello to you too."]
    async with talking(stage) as talk:
        await talk.begin()
        await speak(talk.send_audio)
        await eventually(lambda: talk.words() == "Welcome.Hello to you too.")
        await eventually(lambda: len(stage.wire.responses) == 2)
        assert talk.audio_ms() > 800
        assert talk.of(UserStartedSpeakingFrame)
        assert talk.of(UserStoppedSpeakingFrame)
        heard = [message for message in talk.context.get_messages() if message["role"] == "user"]
        assert len(heard) == 2
    assert [response["status"] for response in stage.wire.responses] == ["completed", "completed"]
    assert stage.wire.asked("conversation.item.truncate") == []


async def test_a_tool_turn(stage: Stage) -> None:
    stage.chat.answer = calling(Call("order_status", {"order_number": 12}), then="It is on its way.")
    async with talking(stage, first="Where is my order?") as talk:
        await talk.worker.queue_frame(LLMRunFrame())
        await eventually(lambda: talk.words() == "It is on its way.")
        await eventually(lambda: len(stage.wire.responses) == 2)
    assert stage.chat.requests[0]["messages"][0] == {"role": "system", "content": "Be kind."}
    assert "Order 12 is on its way." in last_message(stage.chat.requests[-1])["content"]


@pytest.mark.parametrize("generating", [False, True])
async def test_a_barge_in_cuts_what_was_not_heard(stage: Stage, generating: bool) -> None:
    story = [STORY, HOLD] if generating else [STORY]
    stage.chat.answer = lambda request: story if len(stage.chat.requests) == 1 else ["All right."]
    async with talking(stage, first="Tell me a story.") as talk:
        await talk.worker.queue_frame(LLMRunFrame())
        await eventually(lambda: talk.audio_ms() > 5000)
        await eventually(lambda: generating or stage.wire.responses)
        await playing_for(1000)
        await speak(talk.send_audio)
        await eventually(lambda: talk.words().endswith("All right."))
        await eventually(lambda: len(stage.wire.responses) == 2)
        assert talk.of(InterruptionFrame)
        cut = await stage.was_cut()
        assert cut["audio_end_ms"] > 900
    first_end, second_end = stage.wire.responses
    assert second_end["status"] == "completed"
    assert first_end["status"] == ("cancelled" if generating else "completed")


async def test_a_cancel_with_turns_driven_by_the_pipeline(stage: Stage) -> None:
    stage.chat.answer = lambda request: [STORY, HOLD] if len(stage.chat.requests) == 1 else ["Go on."]
    async with talking(stage, server_turns=False, first="Tell me a story.") as talk:
        await talk.worker.queue_frame(LLMRunFrame())
        await eventually(lambda: talk.audio_ms() > 5000)
        await playing_for(1000)
        await talk.worker.queue_frame(InterruptionFrame())
        await eventually(lambda: stage.wire.responses)
        await speak(talk.send_audio)
        await talk.worker.queue_frame(UserStoppedSpeakingFrame())
        await eventually(lambda: talk.words().endswith("Go on."))
        await eventually(lambda: len(stage.wire.responses) == 2)
        assert (await stage.was_cut())["audio_end_ms"] > 900
    cancelled, completed = stage.wire.responses
    assert (cancelled["status"], cancelled["status_details"]["reason"]) == ("cancelled", "client_cancelled")
    assert completed["status"] == "completed"
    assert [event["type"] for event in stage.wire.asked("response.cancel", "conversation.item.truncate")] == [
        "response.cancel",
        "conversation.item.truncate",
    ]


async def test_the_offline_engines(offline_stage: Stage) -> None:
    async with talking(offline_stage, first="Hello.") as talk:
        await talk.begin()
        greeting = talk.words()
        await speak(talk.send_audio, clip("joke"))
        await eventually(lambda: len(offline_stage.wire.responses) == 2)
        await eventually(lambda: len(talk.words()) > len(greeting) > 0)
