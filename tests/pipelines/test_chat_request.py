"""Chat completions through calls of functions, as servers stream them: in pieces, several at once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from realtime_nb.pipelines.base import ToolUse
from realtime_nb.pipelines.chat_request import ChatAnswer, ChatRequest
from realtime_nb.pipelines.http_library import http_library
from realtime_nb.pipelines.rest_client import RestClient
from realtime_nb.pipelines.tool_use import MAX_ROUNDS, toolbox_of
from realtime_nb.pipelines.turn_run import StageFailed, TurnRun
from tests.pipelines.test_rest_client import SERVER

pytestmark = pytest.mark.anyio

USER = {"role": "user", "content": "both, please"}
HEAD = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "m"}


def city(name: str) -> str:
    """Find a city."""
    return f"{name} found"


def piece(index: int, call_id: str | None = None, name: str | None = None, arguments: str = "") -> dict[str, Any]:
    return {"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}


CALLS = [
    {"tool_calls": [piece(0, "a", "city", "")]},
    {"tool_calls": [piece(0, arguments='{"name": ')]},
    {"tool_calls": [piece(1, "b", "city", '{"name": "Ghent"}')]},
    {"tool_calls": [piece(0, arguments='"Riga"}')]},
]
WORDS = [{"content": "Both "}, {"content": "are there."}]


class Server:
    """Streams one list of deltas per request."""

    def __init__(self, *answers: list[dict[str, Any]]) -> None:
        self.answers, self.asked = list(answers), list[dict[str, Any]]()

    async def __call__(self, request: Any) -> Any:
        self.asked.append(json.loads(await request.aread()))
        deltas = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        chunks: list[dict[str, Any]] = [{**HEAD, "choices": [{"index": 0, "delta": delta}]} for delta in deltas]
        chunks.append({**HEAD, "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}})
        lines = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
        return http_library().Response(200, content=lines.encode(), headers={"content-type": "text/event-stream"})


async def test_calls_in_pieces_are_put_together_used_and_answered() -> None:
    server, turn, answer = Server(CALLS, WORDS), TurnRun("chain-streaming"), ChatAnswer()
    client = RestClient(SERVER, transport=http_library().MockTransport(server))
    request = ChatRequest(client.sdk, turn, toolbox_of([city]), {"model": "m"})
    words = [delta.content async for delta in request.deltas([USER], answer)]
    await client.aclose()
    assert words == ["Both ", "are there."]
    assert [message["role"] for message in server.asked[1]["messages"]] == ["user", "assistant", "tool", "tool"]
    assert [message.get("content") for message in server.asked[1]["messages"][2:]] == ["Riga found", "Ghent found"]
    assert turn.usage["chat"]["total_tokens"] == 10
    turn.finish("completed")
    used = [event async for event in turn.events(_nothing()) if isinstance(event, ToolUse)]
    assert [use.output for use in used] == ["Riga found", "Ghent found"]


async def test_a_model_that_never_stops_calling_is_stopped() -> None:
    server, turn = Server(CALLS), TurnRun("chain-streaming")
    client = RestClient(SERVER, transport=http_library().MockTransport(server))
    request = ChatRequest(client.sdk, turn, toolbox_of([city]), {"model": "m"})
    with pytest.raises(StageFailed, match="went on calling"):
        async for _ in request.deltas([USER], ChatAnswer()):
            pass
    await client.aclose()
    assert len(server.asked) == MAX_ROUNDS


async def _nothing() -> None:
    return None
