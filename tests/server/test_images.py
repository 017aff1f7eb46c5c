from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from realtime_nb.engines import brain, scripted
from realtime_nb.engines.registry import with_chat
from tests.protocol.test_images import jpeg, png, uri
from tests.server.talking import Client, connected, serving

pytestmark = pytest.mark.anyio

PIXEL = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABpfZFQAAAAABJRU5ErkJggg=="
)


def looking(*image_urls: str, text: str = "What is this?", **part: Any) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "input_text", "text": text}] if text else []
    content += [{"type": "input_image", "image_url": url, **part} for url in image_urls]
    return {"type": "message", "role": "user", "content": content}


async def ask(client: Client, item: dict[str, Any], **response: Any) -> dict[str, Any]:
    await client.send("conversation.item.create", item=item)
    await client.send("response.create", response={"output_modalities": ["text"], **response})
    done: dict[str, Any] = (await client.until("response.done"))["response"]
    return done


class SeeingServer:
    """A chat completions endpoint that says what it was shown."""

    def __init__(self) -> None:
        self.shown: list[Any] = []
        self.base_url = ""

    async def complete(self, request: Request) -> StreamingResponse:
        body = await request.json()
        self.shown.append(body["messages"][-1]["content"])
        return StreamingResponse(self._stream(), media_type="text/event-stream")

    async def _stream(self) -> AsyncIterator[str]:
        for content in ("A single ", "pixel."):
            choice = {"index": 0, "delta": {"content": content}, "finish_reason": None}
            chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
            yield f"data: {json.dumps(chunk)}\n\n"
        yield "data: [DONE]\n\n"


@pytest.fixture
async def seeing() -> AsyncIterator[SeeingServer]:
    chat = SeeingServer()
    routes = [Route("/v1/chat/completions", chat.complete, methods=["POST"])]
    runner = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), port=0, log_config=None, lifespan="off"))
    serving_task = asyncio.create_task(runner.serve())
    while not runner.started:
        await asyncio.sleep(0.005)
    chat.base_url = f"http://127.0.0.1:{runner.servers[0].sockets[0].getsockname()[1]}/v1"
    yield chat
    runner.should_exit = True
    await serving_task


async def test_a_model_with_eyes_gets_the_very_image(seeing: SeeingServer) -> None:
    engines = with_chat(scripted.create(), f"{seeing.base_url}#seeing")
    async with serving(engines) as server, connected(server) as client:
        response = await ask(client, looking(PIXEL, detail="low"))
        assert response["output"][0]["content"][0]["text"] == "A single pixel."
        words, image = seeing.shown[0]
        assert words == {"type": "text", "text": "What is this?"}
        assert (image["type"], image["image_url"]["url"]) == ("image_url", PIXEL)
        item = client.of("conversation.item.done")[0]["item"]
        assert item["content"][1] == {"type": "input_image", "image_url": PIXEL, "detail": "low"}


async def test_the_offline_brain_says_that_it_cannot_see() -> None:
    async with serving(with_chat(scripted.create(), brain.create())) as server, connected(server) as client:
        for item in (looking(PIXEL), looking(PIXEL, text="")):
            response = await ask(client, item)
            assert "cannot see images" in response["output"][0]["content"][0]["text"]


async def test_images_are_counted_and_cached() -> None:
    async with serving() as server, connected(server) as client:
        first = await ask(client, looking(uri(png(1024, 1024))))
        assert first["usage"]["input_token_details"]["image_tokens"] == 765
        again = await ask(client, looking(uri(jpeg(64, 64), "jpeg"), detail="low"))
        details = again["usage"]["input_token_details"]
        assert (details["image_tokens"], details["cached_tokens_details"]["image_tokens"]) == (850, 765)
        assert again["usage"]["input_tokens"] == sum(
            details[kind] for kind in ("text_tokens", "audio_tokens", "image_tokens")
        )


@pytest.mark.parametrize("image_url", ["https://example.org/cat.png", "data:image/gif;base64,R0lGODlh", PIXEL[:60]])
async def test_what_is_no_image_is_refused_and_not_inserted(image_url: str) -> None:
    async with serving() as server, connected(server) as client:
        await client.send("conversation.item.create", event_id="mine", item=looking(image_url))
        error = (await client.until("error"))["error"]
        assert (error["code"], error["param"]) == ("invalid_value", "item.content[1].image_url")
        assert error["event_id"] == "mine"
        own = {"input": [looking(PIXEL), looking(image_url)]}
        await client.send("response.create", response=own)
        assert (await client.until("error"))["error"]["param"] == "response.input[1].content[1].image_url"
        assert client.of("conversation.item.added", "response.created") == []
