"""Failures of a server, in plain words, by the official client."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from realtime_nb.pipelines.http_library import http_library
from realtime_nb.pipelines.rest_client import RestClient, stage, uploading
from realtime_nb.pipelines.stage_server import StageEndpoint, StageServer, find_server, without_credentials
from realtime_nb.pipelines.turn_run import StageFailed
from realtime_nb.session.endpoint import Endpoint

pytestmark = pytest.mark.anyio

KEY = "sk-secret"
SERVER = StageServer(
    "chat", Endpoint(choice="url", base_url="https://user:pass@example.org/v1?a=b", model="m", api_key=KEY)
)


def answering(status: int, message: str = "Because.") -> Any:
    async def answer(request: Any) -> Any:
        await request.aread()
        return http_library().Response(status, json={"error": {"message": message, "type": "t", "code": None}})

    return http_library().MockTransport(answer)


async def ask(client: RestClient) -> Any:
    async with stage(client.server, 5):
        return await client.sdk.chat.completions.create(model="m", messages=[{"role": "user", "content": "hello"}])


@pytest.mark.parametrize(
    ("status", "says", "what_now"),
    [
        (401, "refused the key", "OPENAI_API_KEY"),
        (404, "does not have 'm'", "another model="),
        (429, "reached its limit: Try again in 2 s", "fewer runs"),
        (500, "answered 500: Try again in 2 s", "Try again"),
    ],
)
async def test_refusals_say_who_what_and_what_now(status: int, says: str, what_now: str) -> None:
    client = RestClient(SERVER, transport=answering(status, "Try again in 2 s"))
    with pytest.raises(StageFailed, match=r"The chat model at https://example\.org/v1") as caught:
        await ask(client)
    await client.aclose()
    assert says in str(caught.value)
    assert what_now in caught.value.what_now
    assert caught.value.status == "failed"
    assert KEY not in str(caught.value)


async def test_nothing_is_retried() -> None:
    asked = 0

    async def answer(request: Any) -> Any:
        nonlocal asked
        asked += 1
        return http_library().Response(500, json={})

    client = RestClient(SERVER, transport=http_library().MockTransport(answer))
    with pytest.raises(StageFailed):
        await ask(client)
    await client.aclose()
    assert asked == 1


async def test_a_broken_connection_is_a_failed_stage() -> None:
    async def answer(request: Any) -> Any:
        raise http_library().ConnectError("nobody listens", request=request)

    client = RestClient(SERVER, transport=http_library().MockTransport(answer))
    with pytest.raises(StageFailed, match="cannot be reached: nobody listens"):
        await ask(client)
    await client.aclose()


async def test_a_stage_has_its_time() -> None:
    with pytest.raises(StageFailed, match=r"did not finish within 0\.01 s") as caught:
        async with stage(SERVER, 0.01):
            await asyncio.sleep(60)
    assert caught.value.status == "timed_out"


async def test_a_server_without_a_list_of_models_can_be_warmed() -> None:
    client = RestClient(SERVER, transport=answering(404))
    await client.warm(connections=3)
    await client.aclose()


async def test_only_requests_inside_are_watched() -> None:
    sent: list[str] = []
    client = RestClient(SERVER, transport=answering(200))
    request = client.sdk._client.build_request("GET", "https://example.org")
    with uploading(lambda: sent.append("up")):
        for hook in client.sdk._client.event_hooks["request"]:
            await hook(request)
    await request.extensions["trace"]("http11.send_request_body.started", {})
    assert sent == []
    await request.extensions["trace"]("http11.send_request_body.complete", {})
    assert sent == ["up"]
    other = client.sdk._client.build_request("GET", "https://example.org")
    for hook in client.sdk._client.event_hooks["request"]:
        await hook(other)
    assert "trace" not in other.extensions
    await client.aclose()


async def test_servers_are_chosen_as_sessions_choose_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "REALTIME_NB_URL", "REALTIME_NB_MODEL"):
        monkeypatch.delenv(name, raising=False)
    there = await find_server("speech", StageEndpoint(url="ws://localhost:9/v1/realtime"), engine="scripted")
    assert (there.rest_url, there.said) == (
        "http://localhost:9/v1",
        "http://localhost:9/v1/realtime".replace("http", "ws"),
    )
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    hosted = await find_server("speech", StageEndpoint(), engine="scripted")
    assert (hosted.said, hosted.endpoint.model, hosted.endpoint.api_key) == (
        *("https://api.openai.com/v1", "gpt-4o-mini-tts"),
        KEY,
    )
    assert KEY not in repr(hosted) + repr(StageEndpoint(api_key=KEY))


def test_addresses_are_said_without_secrets() -> None:
    assert without_credentials("https://user:pass@[::1]:8443/v1?key=1") == "https://[::1]:8443/v1"


async def test_the_environments_proxy_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    client = RestClient(SERVER)
    carriers = [type(carrier).__name__ for carrier in client.sdk._client._mounts.values()]
    await client.aclose()
    assert "AsyncHTTPTransport" in carriers
