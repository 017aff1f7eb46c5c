"""What all endpoints of plain HTTP have in common: who may ask, how much, and what happens to those who leave."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import ceil
from typing import Any

import httpx
import pytest
from openai import RateLimitError

from realtime_nb.engines import scripted
from realtime_nb.engines.base import EngineSet
from realtime_nb.server import app, chat_completions
from realtime_nb.server.app import EmbeddedServer
from realtime_nb.server.limits import Limits
from realtime_nb.server.streamed_answer import StreamedAnswer, while_connected
from tests.server.rest import http, sdk, spoken
from tests.server.talking import PATIENCE_S, serving

pytestmark = pytest.mark.anyio

SPEECH: Any = {"json": {"model": "m", "voice": "alloy", "input": "Where is my order?", "response_format": "pcm"}}
SPEECH_EVENTS: Any = {"json": {**SPEECH["json"], "stream_format": "sse"}}
CHAT: Any = {"json": {"model": "m", "messages": [{"role": "user", "content": "Where is my order?"}]}}
CHAT_STREAM: Any = {"json": {**CHAT["json"], "stream": True}}
CHAT_AUDIO: Any = {
    "json": {**CHAT_STREAM["json"], "modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "pcm16"}}
}
HEARING: Any = {"data": {"model": "m"}, "files": {"file": ("a.wav", spoken())}}
HEARING_STREAM: Any = {**HEARING, "data": {"model": "m", "stream": "true"}}
ENDPOINTS: list[tuple[str, Any]] = [
    ("/audio/speech", SPEECH),
    ("/chat/completions", CHAT),
    ("/audio/transcriptions", HEARING),
]


class Gate:
    """A clock for engines that stands still: whoever sleeps in it stays until he is cancelled."""

    def __init__(self) -> None:
        self.closed = False
        self.asleep = asyncio.Event()
        self.cancelled = asyncio.Event()

    def close(self) -> None:
        """Let nobody through any more."""
        self.closed = True
        self.asleep.clear()
        self.cancelled.clear()

    async def sleep(self, seconds: float) -> None:
        if not self.closed or not seconds:
            return
        self.asleep.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.cancelled.set()


def gated(gate: Gate) -> EngineSet:
    """Engines that stop at every delay once the gate is closed."""
    delays = scripted.ScriptedDelays(hypothesis_ms=1, first_token_ms=1, first_audio_ms=1)
    return scripted.create(delays=delays, sleep=gate.sleep)


async def test_only_those_who_have_the_key_and_a_good_origin() -> None:
    async with serving() as server, httpx.AsyncClient(base_url=server.url) as client:
        key = {"Authorization": f"Bearer {server.token}"}
        for path, request in ENDPOINTS:
            stranger = await client.post(path, **request)
            assert (stranger.status_code, stranger.json()["error"]["code"]) == (401, "invalid_api_key")
            page = await client.post(path, headers={**key, "Origin": "https://evil.example"}, **request)
            assert (page.status_code, page.json()["error"]["code"]) == (403, "invalid_origin")
            assert (await client.post(path, headers=key, **request)).status_code == 200
            assert (await client.get(path, headers=key)).status_code == 405


async def test_what_is_not_here_is_refused_in_the_same_shape() -> None:
    async with serving() as server, http(server) as client:
        for method, path, status in (
            ("POST", "/responses", 404),
            ("GET", "/audio/speech", 405),
            ("GET", "/realtime", 404),
        ):
            answer = await client.request(method, path)
            error = answer.json()["error"]
            assert (answer.status_code, error["message"]) == (status, f"Invalid URL ({method} /v1{path})")
            assert error["type"] == "invalid_request_error"


async def test_a_client_secret_is_no_key_here() -> None:
    async with serving(allow_any_key=True) as server, http(server) as client:
        secret = (await client.post("/realtime/client_secrets")).json()["value"]
        for path, request in ENDPOINTS:
            answer = await client.post(path, headers={"Authorization": f"Bearer {secret}"}, **request)
            assert answer.status_code == 401


async def test_any_model_is_answered_and_the_engine_says_its_name() -> None:
    shown = {
        "/audio/speech": "scripted: scripted-tones",
        "/audio/transcriptions": "scripted: scripted-transcriber",
        "/chat/completions": "scripted: scripted-transcriber + scripted-chat + scripted-tones",
    }
    async with serving() as server, http(server) as client:
        for path, request in ENDPOINTS:
            answer = await client.post(path, **request)
            assert answer.headers["x-realtime-nb-engine"] == shown[path]
            assert answer.headers["x-request-id"].startswith("req_")


async def test_too_many_tokens_a_minute() -> None:
    async with serving(limits=Limits(tokens_per_minute=3)) as server, http(server) as client:
        for path, request in ENDPOINTS:
            answer = await client.post(path, **request)
            error = answer.json()["error"]
            assert (answer.status_code, error["type"], error["code"]) == (429, "tokens", "rate_limit_exceeded")
            assert "Limit 3, Remaining 3" in error["message"]
            assert answer.headers["x-ratelimit-limit-tokens"] == "3"


async def test_tokens_are_shared_by_all_endpoints_and_come_back() -> None:
    now = 0.0
    limits = Limits(tokens_per_minute=100)
    async with sdk(limits=limits, clock=lambda: now) as (client, server), http(server) as bare:
        used = await client.chat.completions.create(**CHAT["json"])
        assert used.usage is not None
        answer = await bare.post("/audio/speech", **SPEECH)
        spent = used.usage.total_tokens + 5  # the text; its speech was not spoken yet when the answer began
        assert int(answer.headers["x-ratelimit-remaining-tokens"]) == 100 - spent
        spent += ceil(len(answer.content) / 48 / 50)
        again = await bare.post("/chat/completions", **CHAT)
        spent += again.json()["usage"]["total_tokens"]
        assert int(again.headers["x-ratelimit-remaining-tokens"]) == 100 - spent
        while True:
            try:
                await client.audio.speech.create(model="m", voice="alloy", input="Where is my order? " * 2)
            except RateLimitError as refused:
                wait_s = int(refused.response.headers["retry-after"])
                break
        now += wait_s
        await client.audio.speech.create(model="m", voice="alloy", input="Where is my order? " * 2)


async def test_a_body_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_completions, "MAX_BODY_BYTES", 1000)
    async with serving() as server, http(server) as client:
        body = {"model": "m", "messages": [{"role": "user", "content": "x" * 2000}]}
        answer = await client.post("/chat/completions", json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")


async def test_a_large_body_is_read_all_the_same() -> None:
    async with serving() as server, http(server) as client:
        data = base64.b64encode(spoken(20_000)).decode()
        part = {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}
        body = {"model": "m", "messages": [{"role": "user", "content": [part]}]}
        answer = await client.post("/chat/completions", json=body)
        assert answer.json()["usage"]["prompt_tokens"] == 204


LEAVING = [
    ("/audio/speech", SPEECH),
    ("/audio/speech", SPEECH_EVENTS),
    ("/chat/completions", CHAT),
    ("/chat/completions", CHAT_STREAM),
    ("/chat/completions", CHAT_AUDIO),
    ("/audio/transcriptions", HEARING),
    ("/audio/transcriptions", HEARING_STREAM),
]
STREAMS = [LEAVING[0], LEAVING[1], LEAVING[4]]


async def test_who_leaves_before_the_answer_stops_the_work() -> None:
    gate = Gate()
    async with serving(gated(gate)) as server, http(server) as client:
        for path, request in LEAVING:
            gate.close()
            asking = asyncio.create_task(client.post(path, **request))
            async with asyncio.timeout(PATIENCE_S):
                await gate.asleep.wait()
                asking.cancel()
                await gate.cancelled.wait()
            gate.closed = False
            assert (await client.post(path, **request)).status_code == 200


async def test_who_leaves_in_the_middle_of_a_stream_stops_the_work() -> None:
    gate = Gate()
    engines = scripted.create(delays=scripted.ScriptedDelays(pace=1), sleep=gate.sleep)
    async with serving(engines) as server, http(server) as client:
        for path, request in STREAMS:
            gate.close()
            async with asyncio.timeout(PATIENCE_S):
                async with client.stream("POST", path, **request) as answer:
                    assert await anext(answer.aiter_raw())
                    await gate.asleep.wait()
                    assert not gate.cancelled.is_set()
                await gate.cancelled.wait()
            gate.closed = False
            assert (await client.post(path, **request)).status_code == 200


async def test_draining_waits_for_answers_and_takes_no_more() -> None:
    gate = Gate()
    delays = scripted.ScriptedDelays(first_token_ms=1)
    release = asyncio.Event()

    async def sleep(seconds: float) -> None:
        if seconds and gate.closed:
            gate.asleep.set()
            await release.wait()

    async with serving(scripted.create(delays=delays, sleep=sleep)) as server, http(server) as client:
        gate.closed = True
        asking = asyncio.create_task(client.post("/chat/completions", **CHAT))
        async with asyncio.timeout(PATIENCE_S):
            await gate.asleep.wait()
            draining = asyncio.create_task(server.drain(PATIENCE_S))
            async with httpx.AsyncClient(base_url=server.url, headers=client.headers) as late:
                while (refused := await late.get("/models")).status_code == 200:
                    await asyncio.sleep(0)
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "server_shutting_down")
            assert not draining.done()
            release.set()
            await draining
            assert (await asking).status_code == 200


@asynccontextmanager
async def closing_at_once(
    engines: EngineSet, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[EmbeddedServer, httpx.AsyncClient]]:
    """A server to be closed in the middle of something: no task is left, nothing is logged, no patience runs out."""
    monkeypatch.setattr(app, "STOP_TIMEOUT_S", 2 * PATIENCE_S)
    before = asyncio.all_tasks()
    server = await EmbeddedServer.start(engines)
    async with http(server) as client, asyncio.timeout(PATIENCE_S):
        yield server, client
    assert asyncio.all_tasks() == before
    assert caplog.records == []


@pytest.mark.parametrize(("path", "request_"), LEAVING)
async def test_closing_the_server_ends_what_is_under_way_at_once(
    path: str, request_: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    async with closing_at_once(gated(gate), caplog, monkeypatch) as (server, client):
        gate.closed = True
        asking = asyncio.create_task(client.post(path, **request_))
        await gate.asleep.wait()
        await server.aclose()
        answer = await asking
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "server_shutting_down")
    assert gate.cancelled.is_set()


@pytest.mark.parametrize(("path", "request_"), STREAMS)
async def test_closing_the_server_cuts_streams(
    path: str, request_: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    engines = scripted.create(delays=scripted.ScriptedDelays(pace=1), sleep=gate.sleep)
    async with closing_at_once(engines, caplog, monkeypatch) as (server, client):
        gate.closed = True
        async with client.stream("POST", path, **request_) as answer:
            pieces = answer.aiter_raw()
            await anext(pieces)
            await gate.asleep.wait()
            await server.aclose()
            with pytest.raises(httpx.TransportError):
                async for _ in pieces:
                    pass


async def test_no_request_leaves_a_task_behind() -> None:
    before = asyncio.all_tasks()
    async with serving() as server:
        async with http(server) as client:
            for path, request in LEAVING:
                assert (await client.post(path, **request)).status_code == 200
    assert asyncio.all_tasks() == before


async def test_a_stream_is_closed_also_when_nobody_began_to_read_it() -> None:
    closed = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        try:
            yield b"one"
            yield b"two"
        finally:
            closed.set()

    async def gone() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        await asyncio.get_running_loop().create_future()

    answer = await StreamedAnswer.begun(pieces(), media_type="text/plain")  # type: ignore[arg-type]
    await answer({"type": "http"}, gone, send)
    assert closed.is_set()


async def test_work_is_cancelled_with_whoever_waits_for_it() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.set()

    async def here() -> dict[str, Any]:
        await asyncio.get_running_loop().create_future()
        return {}

    waiting = asyncio.create_task(while_connected(here, work()))
    await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ended.is_set()
