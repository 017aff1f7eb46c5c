from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI
from openai.types.realtime import ClientSecretCreateResponse
from websockets.asyncio.client import connect

from realtime_nb.errors import RemoteProtocolError
from realtime_nb.server import client_secrets
from realtime_nb.server.app import EmbeddedServer
from realtime_nb.server.client_secrets import ClientSecrets
from tests.server.talking import Client, connected, serving
from tests.server.test_app import closing

pytestmark = pytest.mark.anyio

SESSION = {
    "type": "realtime",
    "model": "my-model",
    "instructions": "Be brief.",
    "audio": {"input": {"turn_detection": None}, "output": {"voice": "cedar"}},
}


class WallClock:
    """Unix time that only a test moves."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


async def post(server: EmbeddedServer, body: Any = None, *, key: str | None = None) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
    async with httpx.AsyncClient() as http:
        return await http.post(
            f"{server.url}/realtime/client_secrets",
            content=content,
            headers={"Authorization": f"Bearer {key or server.token}", "Content-Type": "application/json"},
        )


async def secret(server: EmbeddedServer, **body: Any) -> str:
    answer = await post(server, body)
    assert answer.status_code == 200, answer.text
    ClientSecretCreateResponse.model_validate_json(answer.content, strict=True)
    value: str = answer.json()["value"]
    return value


@asynccontextmanager
async def browser(server: EmbeddedServer, key: str, query: str = "") -> AsyncIterator[Client]:
    url = server.url.replace("http", "ws", 1) + f"/realtime?{query}"
    async with connect(url, subprotocols=["realtime", f"openai-insecure-api-key.{key}"]) as socket:  # type: ignore[list-item]
        assert socket.subprotocol == "realtime"
        yield Client(socket)


async def refused(client: Client) -> tuple[str, int]:
    event = await client.receive()
    assert event["type"] == "error"
    code, reason = await closing(client)
    assert reason == f"invalid_request_error.{event['error']['code']}"
    return event["error"]["code"], code


async def test_a_secret_lives_ten_minutes_unless_asked_otherwise() -> None:
    clock = WallClock()
    async with serving(unix_clock=clock) as server:
        for body, ttl_s in (({}, 600), ({"expires_after": {"seconds": 7200}}, 7200), (b"", 600)):
            answer = (await post(server, body)).json()
            assert answer["value"].startswith("ek_")
            assert answer["expires_at"] == clock.now + ttl_s
            assert answer["session"]["type"] == "realtime"
            assert answer["session"]["expires_at"] == clock.now + 3600


async def test_the_sdk_reads_the_answer_and_the_session_it_asked_for() -> None:
    async with serving() as server:
        sdk = AsyncOpenAI(base_url=server.url, api_key=server.token)
        answer = await sdk.realtime.client_secrets.create(
            expires_after={"anchor": "created_at", "seconds": 10},
            session=SESSION,  # type: ignore[arg-type]
        )
        session = answer.session
        assert (session.type, session.model, session.instructions) == ("realtime", "my-model", "Be brief.")
        assert session.audio is not None
        assert session.audio.output is not None
        assert session.audio.output.voice == "cedar"
        await sdk.close()


async def test_its_sessions_open_with_its_settings_by_header_and_by_subprotocol() -> None:
    async with serving() as server:
        key = await secret(server, session=SESSION)
        ids = set()
        for opening in (
            connected(server, "", key=key),
            browser(server, key),
            connected(server, "model=other", key=key),
        ):
            async with opening as client:
                session = (await client.receive())["session"]
                assert (session["model"], session["instructions"]) == ("my-model", "Be brief.")
                assert session["audio"]["output"]["voice"] == "cedar"
                assert session["audio"]["input"]["turn_detection"] is None
                changed = await client.update(instructions="Be long.", audio={"output": {"voice": "ash"}})
                assert (changed["instructions"], changed["audio"]["output"]["voice"]) == ("Be long.", "ash")
                ids.add(session["id"])
        assert len(ids) == 3


async def test_a_secret_without_a_model_takes_the_urls_or_the_servers() -> None:
    async with serving() as server:
        key = await secret(server)
        for query, model in (("model=mine", "mine"), ("", "realtime-nb-scripted")):
            async with connected(server, query, key=key) as client:
                assert (await client.receive())["session"]["model"] == model


async def test_a_transcription_secret_opens_transcription_sessions() -> None:
    audio = {"input": {"transcription": {"model": "whisper-1", "language": "en"}}}
    async with serving() as server:
        key = await secret(server, session={"type": "transcription", "audio": audio})
        for query in ("", "intent=transcription"):
            async with connected(server, query, key=key) as client:
                session = (await client.receive())["session"]
                assert session["type"] == "transcription"
                assert session["audio"]["input"]["transcription"]["language"] == "en"


async def test_a_secret_of_one_type_opens_no_session_of_the_other() -> None:
    async with serving() as server:
        key = await secret(server, session=SESSION)
        async with connected(server, "intent=transcription", key=key) as client:
            assert await refused(client) == ("invalid_value", 4000)
        open_secret = await secret(server)
        async with connected(server, "intent=transcription", key=open_secret) as client:
            assert (await client.receive())["session"]["type"] == "transcription"


@pytest.mark.parametrize("options", [{}, {"allow_any_key": True}])
async def test_after_its_time_it_opens_nothing_but_its_session_goes_on(options: dict[str, Any]) -> None:
    clock = WallClock()
    async with serving(unix_clock=clock, **options) as server:
        key = await secret(server, expires_after={"seconds": 10})
        clock.now += 9.9
        async with connected(server, key=key) as early:
            await early.receive()
            clock.now += 0.1
            async with connected(server, key=key) as late:
                assert await refused(late) == ("invalid_api_key", 3000)
            async with browser(server, key, "model=m") as late:
                assert await refused(late) == ("invalid_api_key", 3000)
            await early.say("still here")
            await early.send("response.create")
            assert (await early.until("response.done"))["response"]["status"] == "completed"


async def test_an_unknown_secret_is_refused_even_where_any_key_is_accepted() -> None:
    async with serving(allow_any_key=True) as server, connected(server, key="ek_made_up") as client:
        assert await refused(client) == ("invalid_api_key", 3000)


async def test_a_secret_makes_no_secrets_and_lists_no_models() -> None:
    for options in ({}, {"allow_any_key": True}):
        async with serving(**options) as server, httpx.AsyncClient() as http:
            key = await secret(server)
            assert (await post(server, key=key)).status_code == 401
            listed = await http.get(f"{server.url}/models", headers={"Authorization": f"Bearer {key}"})
            assert listed.status_code == 401


BAD_BODIES = [
    (b"{", "invalid_json", None),
    (b"[]", "invalid_value", None),
    ({"expires_after": {"seconds": 9}}, "invalid_value", "expires_after.seconds"),
    ({"expires_after": {"seconds": 7201}}, "invalid_value", "expires_after.seconds"),
    ({"expires_after": {"anchor": "last_used"}}, "invalid_value", "expires_after.anchor"),
    ({"ttl": 60}, "unknown_parameter", "ttl"),
    ({"session": {"instructions": "x"}}, "missing_required_parameter", "session.type"),
    ({"session": {"type": "chat"}}, "invalid_value", "session.type"),
    ({"session": {"type": "realtime", "voice": "ash"}}, "unknown_parameter", "session.voice"),
    (
        {"session": {"type": "realtime", "audio": {"output": {"voice": "hal"}}}},
        "invalid_value",
        "session.audio.output.voice",
    ),
    ({"session": {"type": "realtime", "model": 3}}, "invalid_value", "session.model"),
]


@pytest.mark.parametrize(("body", "code", "param"), BAD_BODIES)
async def test_a_bad_body_is_a_400_that_says_what_is_wrong(body: Any, code: str, param: str | None) -> None:
    async with serving() as server:
        answer = await post(server, body)
        assert answer.status_code == 400
        error = answer.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", code, param)
        assert error["message"]


async def test_a_body_without_end_is_not_read_to_its_end() -> None:
    async with serving() as server:
        assert (await post(server, b" " * (1024 * 1024 + 1))).status_code == 413


def test_there_are_never_more_secrets_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_secrets, "MAX_LIVE_SECRETS", 2)
    clock = WallClock()
    made = ClientSecrets(model="m", voices=(), session_s=3600, clock=clock)
    first = made.create(b"")["value"]
    made.create(b"")
    with pytest.raises(RemoteProtocolError) as full:
        made.create(b"")
    assert full.value.code == "rate_limit_exceeded"
    clock.now += 600
    assert made.create(b"")["value"] != first
    assert made.scope(first) is None


async def test_a_model_is_retrieved_by_its_name() -> None:
    async with serving() as server:
        sdk = AsyncOpenAI(base_url=server.url, api_key=server.token)
        model = await sdk.models.retrieve("realtime-nb-scripted")
        assert (model.id, model.object) == ("realtime-nb-scripted", "model")
        assert [one.id async for one in sdk.models.list()] == [model.id]
        await sdk.close()
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {server.token}"}) as http:
            unknown = await http.get(f"{server.url}/models/org/other")
            assert unknown.status_code == 404
            assert unknown.json()["error"]["code"] == "model_not_found"


async def test_secrets_made_at_once_are_all_different() -> None:
    async with serving() as server:
        assert len(set(await asyncio.gather(*(secret(server) for _ in range(20))))) == 20
