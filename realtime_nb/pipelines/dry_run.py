"""One call of every kind through the official SDK, to nobody, so that what first use builds is built before."""

from __future__ import annotations

import asyncio
import functools
import json
from typing import Any

from .http_library import http_library

_TEXT = {"text": "hello", "usage": {"type": "duration", "seconds": 1}}
_CHOICE = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}
_CALL = {"index": 0, "id": "call", "type": "function", "function": {"name": "a", "arguments": "{}"}}
_DELTAS: list[dict[str, Any]] = [
    {"role": "assistant", "content": "hello", "tool_calls": [_CALL]},
    {"audio": {"id": "audio", "data": "AAAA", "transcript": "hello"}},
]
_USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
_CHAT = {"id": "dry", "object": "chat.completion", "created": 0, "model": "dry", "usage": _USAGE}


async def dry_run() -> None:
    """Do it, once in a process, in a thread with a loop of its own."""
    await asyncio.to_thread(_once)


@functools.cache
def _once() -> None:
    asyncio.run(_calls())


async def _calls() -> None:
    import openai

    http: Any = openai.DefaultAsyncHttpxClient(transport=http_library().MockTransport(_respond))
    async with openai.AsyncOpenAI(base_url="http://nobody/v1", api_key="none", http_client=http) as sdk:
        await sdk.audio.transcriptions.create(file=("a.wav", b"RIFF", "audio/wav"), model="dry")
        await sdk.chat.completions.create(messages=[{"role": "user", "content": "hello"}], model="dry")
        async with await sdk.chat.completions.create(
            messages=[{"role": "user", "content": "hello"}], model="dry", stream=True
        ) as stream:
            async for _ in stream:
                pass
        speech = sdk.audio.speech.with_streaming_response
        async with speech.create(input="hello", model="dry", voice="alloy", response_format="pcm") as response:
            async for _ in response.iter_bytes():
                pass


async def _respond(request: Any) -> Any:
    respond = http_library().Response
    await request.aread()
    if request.url.path.endswith("/transcriptions"):
        return respond(200, json=_TEXT)
    if request.url.path.endswith("/speech"):
        return respond(200, content=b"\0\0", headers={"content-type": "audio/pcm"})
    if json.loads(request.content).get("stream"):
        chunks = [{**_CHAT, "choices": [{"index": 0, "delta": delta}]} for delta in _DELTAS]
        lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
        content = "".join([*lines, "data: [DONE]\n\n"]).encode()
        return respond(200, content=content, headers={"content-type": "text/event-stream"})
    return respond(200, json={**_CHAT, "choices": [_CHOICE]})
