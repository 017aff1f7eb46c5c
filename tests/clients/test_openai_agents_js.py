"""`@openai/agents` (JavaScript): each event goes through its own schemas; its truncate goes by the wall clock."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.chat_stub import HOLD, Call, calling
from tests.clients.stage import PATIENCE_S, STORY, Stage, clip, eventually, playing_for, speak

pytestmark = pytest.mark.anyio

PUPPET = Path(__file__).parent / "agents_js" / "puppet.mjs"
LONGEST_LINE = 1 << 24


class Puppet:
    """The Node process and everything that it reported."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.reports: list[dict[str, Any]] = []

    async def listen(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.reports.append(json.loads(line))

    async def do(self, command: str, **fields: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": command, **fields}).encode() + b"\n")
        await self._process.stdin.drain()

    async def send_audio(self, pcm16: bytes) -> None:
        await self.do("audio", pcm16=base64.b64encode(pcm16).decode())

    def of(self, event: str) -> list[dict[str, Any]]:
        return [report for report in self.reports if report["event"] == event]

    def said(self) -> list[str]:
        """What the history says that the assistant said."""
        history = self.of("history_updated")[-1]["history"] if self.of("history_updated") else []
        messages = [item for item in history if item["type"] == "message" and item["role"] == "assistant"]
        return [part["transcript"] or "" for item in messages for part in item["content"] if "transcript" in part]


@contextlib.asynccontextmanager
async def talking(stage: Stage) -> AsyncIterator[Puppet]:
    process = await asyncio.create_subprocess_exec(
        *("node", PUPPET, stage.url),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=LONGEST_LINE,
    )
    puppet = Puppet(process)
    listening = asyncio.create_task(puppet.listen())
    assert process.stderr is not None
    complaining = asyncio.create_task(process.stderr.read())
    try:
        await eventually(lambda: puppet.of("ready") or process.returncode is not None)
        yield puppet
        await puppet.do("close")
        async with asyncio.timeout(PATIENCE_S):
            assert await process.wait() == 0
        await listening
    finally:
        if process.returncode is None:
            process.kill()
        complaints = (await complaining).decode()
        print(complaints, *(report for report in puppet.reports if report["event"] != "audio"), sep="\n")
    assert complaints == ""
    assert puppet.of("error") == []
    assert puppet.of("unknown_event") == []
    assert puppet.of("connection_change")[-1]["status"] == "disconnected"


async def test_a_spoken_turn(stage: Stage) -> None:
    stage.chat.answer = lambda request: ["Hello to you too."]
    async with talking(stage) as puppet:
        await speak(puppet.send_audio)
        await eventually(lambda: puppet.of("agent_end"))
        await eventually(lambda: puppet.said() == ["Hello to you too."])
        assert puppet.of("agent_end")[0]["output"] == "Hello to you too."
        assert sum(report["audio_ms"] for report in puppet.of("audio")) > 500
        heard = next(item for item in puppet.of("history_updated")[-1]["history"] if item["role"] == "user")
        assert heard["content"][0]["transcript"]
    assert stage.chat.requests[-1]["messages"][0] == {"role": "system", "content": "You are the robot."}


async def test_a_tool_turn(stage: Stage) -> None:
    stage.chat.answer = calling(Call("order_status", {"order_number": 12}))
    async with talking(stage) as puppet:
        await speak(puppet.send_audio)
        await eventually(lambda: "Order 12 is on its way." in puppet.said())
        (ended,) = puppet.of("agent_tool_end")
        assert (ended["tool"], ended["result"]) == ("order_status", "Order 12 is on its way.")
    assert len(stage.wire.responses) == 2


async def test_a_handoff(stage: Stage) -> None:
    stage.chat.answer = calling(Call("transfer_to_human"), then="I am the human.")
    async with talking(stage) as puppet:
        await puppet.do("message", text="Let me talk to a person.")
        await eventually(lambda: "I am the human." in puppet.said())
        (handoff,) = puppet.of("agent_handoff")
        assert (handoff["from"], handoff["to"]) == ("robot", "human")
    asked = [request["messages"][0]["content"] for request in stage.chat.requests]
    assert asked == ["You are the robot.", "You are the human."]


@pytest.mark.parametrize("generating", [False, True])
async def test_a_barge_in_cuts_what_was_not_heard(stage: Stage, generating: bool) -> None:
    story = [STORY, HOLD] if generating else [STORY]
    stage.chat.answer = lambda request: story if len(stage.chat.requests) == 1 else ["All right."]
    async with talking(stage) as puppet:
        await puppet.do("message", text="Tell me a story.")
        await eventually(lambda: sum(report["audio_ms"] for report in puppet.of("audio")) > 5000)
        await eventually(lambda: generating or stage.wire.responses)
        await playing_for(1000)
        await speak(puppet.send_audio)
        await eventually(lambda: "All right." in puppet.said())
        assert puppet.of("audio_interrupted")
        cut = await stage.was_cut()
        assert cut["audio_end_ms"] > 900
    first_end, second_end = stage.wire.responses
    assert second_end["status"] == "completed"
    assert first_end["status"] == ("cancelled" if generating else "completed")


async def test_an_interruption_cancels_and_truncates(stage: Stage) -> None:
    stage.chat.answer = lambda request: [STORY, HOLD] if len(stage.chat.requests) == 1 else ["Go on."]
    async with talking(stage) as puppet:
        await puppet.do("message", text="Tell me a story.")
        await eventually(lambda: sum(report["audio_ms"] for report in puppet.of("audio")) > 5000)
        await playing_for(1000)
        await puppet.do("interrupt")
        await eventually(lambda: stage.wire.responses)
        await puppet.do("message", text="And then?")
        await eventually(lambda: "Go on." in puppet.said())
        assert puppet.of("audio_interrupted")
        assert (await stage.was_cut())["audio_end_ms"] > 900
    cancelled, completed = stage.wire.responses
    assert (cancelled["status"], cancelled["status_details"]["reason"]) == ("cancelled", "client_cancelled")
    assert completed["status"] == "completed"


async def test_the_offline_engines(offline_stage: Stage) -> None:
    async with talking(offline_stage) as puppet:
        await speak(puppet.send_audio, clip("joke"))
        await eventually(lambda: puppet.said() and puppet.said()[-1])
