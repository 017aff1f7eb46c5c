"""Against a real HTTP server on a real port."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import anyio
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from realtime_nb.engines import openai_compatible
from realtime_nb.engines.base import ChatMessage, ChatRequest, ChatTool, TextDelta, ToolCall
from realtime_nb.errors import EngineError, EngineOverloaded, EngineUnavailable

pytestmark = pytest.mark.anyio

WEATHER = ChatTool(
    name="get_weather",
    description="Weather of a city",
    parameters={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)


def chunk(delta: dict, finish: str | None = None) -> dict:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


def call_piece(index: int, arguments: str, name: str | None = None, identity: str | None = None) -> dict:
    return {
        "tool_calls": [
            {"index": index, "id": identity, "type": "function", "function": {"name": name, "arguments": arguments}}
        ]
    }


class ChatServer:
    """Answers with `chunks`; `status` other than 200 answers an error; remembers the request bodies."""

    def __init__(self) -> None:
        self.chunks: list[dict | None] = [chunk({"role": "assistant", "content": "Hi"}), chunk({"content": " there."})]
        self.status = 200
        self.models = ["tiny", "big"]
        self.bodies: list[dict] = []
        self.hang = anyio.Event()
        self.base_url = ""

    async def complete(self, request: Request) -> Response:
        self.bodies.append(await request.json())
        if self.status != 200:
            return JSONResponse({"error": {"message": f"no such thing {self.status}"}}, status_code=self.status)
        return StreamingResponse(self._stream(), media_type="text/event-stream")

    async def _stream(self) -> AsyncIterator[str]:
        for piece in self.chunks:
            if piece is None:
                await self.hang.wait()
            elif "break" in piece:
                raise ConnectionAbortedError
            else:
                yield f"data: {json.dumps(piece)}\n\n"
        yield "data: [DONE]\n\n"

    async def list_models(self, request: Request) -> Response:
        if self.status == 401:
            return JSONResponse({"error": {"message": "bad key"}}, status_code=401)
        return JSONResponse({"object": "list", "data": [{"id": name, "object": "model"} for name in self.models]})


@pytest.fixture
async def server() -> AsyncIterator[ChatServer]:
    chat = ChatServer()
    routes = [
        Route("/v1/chat/completions", chat.complete, methods=["POST"]),
        Route("/v1/models", chat.list_models),
    ]
    config = uvicorn.Config(Starlette(routes=routes), port=0, log_config=None, lifespan="off")
    runner = uvicorn.Server(config)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(runner.serve)
        while not runner.started:
            await anyio.lowlevel.checkpoint()
        chat.base_url = f"http://127.0.0.1:{runner.servers[0].sockets[0].getsockname()[1]}/v1"
        yield chat
        chat.hang.set()
        runner.should_exit = True


async def collect(model, request: ChatRequest) -> list:
    return [delta async for delta in model.reply(request)]


def said(text: str, **fields) -> ChatRequest:
    return ChatRequest(messages=(ChatMessage(role="user", text=text),), **fields)


async def test_streams_text_from_the_first_model_listed(server):
    model = openai_compatible.create(server.base_url)
    assert await collect(model, said("hello", instructions="Be kind.", max_output_tokens=50)) == [
        TextDelta("Hi"),
        TextDelta(" there."),
    ]
    body = server.bodies[0]
    assert body["model"] == "tiny"
    assert body["max_tokens"] == 50
    assert body["messages"] == [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "hello"}]
    assert "tools" not in body
    await model.aclose()
    await model.aclose()


async def test_streamed_tool_calls_are_put_together(server):
    server.chunks = [
        chunk({"content": "One moment."}),
        chunk(call_piece(0, "", "get_weather", "a")),
        chunk(call_piece(0, '{"city":')),
        chunk(call_piece(0, ' "Paris"}')),
        chunk(call_piece(1, '{"city": "Rome"}', "get_weather", "b")),
        chunk(call_piece(1, "", "get_weather", "c")),
        chunk({}, "tool_calls"),
    ]
    model = openai_compatible.create(server.base_url, "big")
    deltas = await collect(model, said("weather", tools=(WEATHER,), tool_choice="get_weather"))
    assert deltas == [
        TextDelta("One moment."),
        ToolCall("get_weather", '{"city": "Paris"}'),
        ToolCall("get_weather", '{"city": "Rome"}'),
        ToolCall("get_weather", "{}"),
    ]
    assert server.bodies[0]["tool_choice"] == {"type": "function", "function": {"name": "get_weather"}}
    assert server.bodies[0]["tools"][0]["function"]["parameters"] == WEATHER.parameters
    await model.aclose()


async def test_calls_outputs_and_images_go_the_chat_way(server):
    messages = (
        ChatMessage(role="user", text="look", image_urls=("data:image/png;base64,AA",)),
        ChatMessage(role="tool_call", name="get_weather", text='{"city": "Rome"}', call_id="1"),
        ChatMessage(role="user", text="hello?"),
        ChatMessage(role="tool_call", name="get_weather", text="{}", call_id="2"),
        ChatMessage(role="tool_output", text='"sunny"', call_id="1"),
        ChatMessage(role="tool_output", text="lost", call_id="9"),
    )
    model = openai_compatible.create(server.base_url, "big")
    await collect(model, ChatRequest(messages=messages, tools=(WEATHER,)))
    sent = server.bodies[0]["messages"]
    assert [m["role"] for m in sent] == ["user", "assistant", "tool", "user", "assistant", "tool", "user"]
    assert sent[0]["content"][1]["image_url"]["url"] == "data:image/png;base64,AA"
    assert sent[2] == {"role": "tool", "tool_call_id": "1", "content": '"sunny"'}
    assert sent[5]["content"] == "No result yet."
    assert "lost" in sent[6]["content"]
    await model.aclose()


async def test_speech_in_which_nothing_was_understood_is_no_empty_message(server):
    chat = openai_compatible.create(server.base_url, model="tiny")
    unheard = ChatMessage(role="user", text="", confidence=0.0)
    assert [delta async for delta in chat.reply(ChatRequest(messages=(unheard,)))]
    assert server.bodies[-1]["messages"] == [{"role": "user", "content": "[inaudible]"}]
    await chat.aclose()


async def test_thoughts_are_not_spoken(server):
    pieces = ["<thi", "nk>hmm <b>", " so</th", "ink>\n\nThe answer", " is 2 <", " 3."]
    server.chunks = [chunk({"content": piece}) for piece in pieces]
    model = openai_compatible.create(server.base_url, "big")
    assert "".join(delta.text for delta in await collect(model, said("?"))) == "The answer is 2 < 3."
    await model.aclose()


@pytest.mark.parametrize(
    ("status", "kind", "advice"),
    [
        (401, EngineUnavailable, "chat_api_key"),
        (404, EngineUnavailable, "tiny, big"),
        (429, EngineOverloaded, "Wait"),
        (400, EngineError, "tools"),
        (500, EngineError, "log"),
    ],
)
async def test_refusals_say_what_to_do(server, status, kind, advice):
    server.status = status
    model = openai_compatible.create(server.base_url, "missing")
    with pytest.raises(kind, match=str(status)) as caught:
        await collect(model, said("hello"))
    assert advice in caught.value.what_now
    await model.aclose()


async def test_a_server_that_is_not_there():
    with pytest.raises(EngineUnavailable, match="cannot be reached"):
        await openai_compatible.create("http://127.0.0.1:9/v1").start()


async def test_a_server_without_models(server):
    server.models = []
    with pytest.raises(EngineUnavailable, match="no model"):
        await openai_compatible.create(server.base_url).start()


async def test_a_silent_server_times_out(server):
    server.chunks = [chunk({"content": "Hi"}), None]
    model = openai_compatible.create(server.base_url, "big", timeout_s=0.2)
    heard = []
    with pytest.raises(EngineError) as caught:
        async for delta in model.reply(said("hello")):
            heard.append(delta)
    assert heard == [TextDelta("Hi")]
    assert caught.value.what_now
    await model.aclose()


async def test_a_server_that_breaks_off(server):
    server.chunks = [chunk({"content": "Hi"}), {"break": True}]
    model = openai_compatible.create(server.base_url, "big")
    with pytest.raises(EngineError, match=r"broke off|cannot be reached"):
        await collect(model, said("hello"))
    await model.aclose()


async def test_closing_a_reply_leaves_the_engine_usable(server):
    server.chunks = [chunk({"content": "Hi"}), None]
    model = openai_compatible.create(server.base_url, "big")
    reply = model.reply(said("hello"))
    assert await anext(reply) == TextDelta("Hi")
    await reply.aclose()
    server.chunks = server.chunks[:1]
    assert await collect(model, said("again")) == [TextDelta("Hi")]
    await model.aclose()
