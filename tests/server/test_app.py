from __future__ import annotations

import asyncio
import logging
import threading

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from realtime_nb.engines import scripted
from realtime_nb.errors import ConfigurationError
from realtime_nb.server.app import EmbeddedServer
from tests.server.talking import PATIENCE_S, Client, connected, serving

pytestmark = pytest.mark.anyio


async def closing(client: Client) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as closed:
        async with asyncio.timeout(PATIENCE_S):
            await client.socket.recv()
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


async def test_the_first_frame_is_the_whole_session() -> None:
    async with serving() as server, connected(server, "model=my-model") as client:
        created = await client.receive()
        session = created["session"]
        assert created["type"] == "session.created"
        assert session["model"] == "my-model"
        assert session["id"].startswith("sess_")
        assert session["expires_at"] > 1_700_000_000
        assert session["audio"]["input"]["turn_detection"]["type"] == "server_vad"
        assert session["audio"]["output"]["format"] == {"type": "audio/pcm", "rate": 24000}


REFUSALS = [
    ("model=m", "wrong", {}, "invalid_api_key", 3000),
    ("model=m", None, {}, "invalid_api_key", 3000),
    ("model=m", "", {"OpenAI-Beta": "realtime=v1"}, "beta_api_shape_disabled", 4000),
    ("", "", {}, "missing_model", 4000),
]


@pytest.mark.parametrize(("query", "key", "headers", "code", "close_code"), REFUSALS)
async def test_refusals_come_after_the_handshake(
    query: str, key: str | None, headers: dict[str, str], code: str, close_code: int
) -> None:
    async with serving() as server:
        bearer = {} if key is None else {"Authorization": f"Bearer {key or server.token}"}
        url = server.url.replace("http", "ws", 1) + f"/realtime?{query}"
        async with connect(url, additional_headers={**bearer, **headers}) as socket:
            client = Client(socket)
            event = await client.receive()
            assert event["type"] == "error"
            assert event["error"]["code"] == code
            assert await closing(client) == (close_code, f"invalid_request_error.{code}")


async def test_a_browser_gives_its_key_as_a_subprotocol_and_gets_realtime_back() -> None:
    async with serving() as server:
        url = server.url.replace("http", "ws", 1) + "/realtime?model=m"
        async with connect(url, subprotocols=["realtime", f"openai-insecure-api-key.{server.token}"]) as socket:  # type: ignore[list-item]
            assert socket.subprotocol == "realtime"
            assert (await Client(socket).receive())["type"] == "session.created"


async def test_no_subprotocol_is_chosen_that_was_not_offered() -> None:
    async with serving() as server, connected(server) as client:
        assert client.socket.subprotocol is None


async def test_transcription_sessions_need_no_model() -> None:
    async with serving() as server, connected(server, "intent=transcription") as client:
        session = (await client.receive())["session"]
        assert session["type"] == "transcription"
        assert session["object"] == "realtime.transcription_session"
        assert "output" not in session["audio"]


async def test_pages_from_elsewhere_are_refused_and_local_ones_not() -> None:
    async with serving(allow_any_key=True) as server:
        with pytest.raises(InvalidStatus) as refused:
            async with connected(server, origin="https://evil.example"):
                pass
        assert refused.value.response.status_code == 403
        async with connected(server, origin="http://localhost:8888") as client:
            assert (await client.receive())["type"] == "session.created"


async def test_any_key_or_none_is_accepted_where_that_was_asked_for() -> None:
    async with serving(allow_any_key=True) as server:
        for key in ("whatever", None):
            async with connected(server, key=key) as client:
                assert (await client.receive())["type"] == "session.created"


async def test_any_key_is_never_accepted_beyond_loopback() -> None:
    with pytest.raises(ConfigurationError, match="any key"):
        await EmbeddedServer.start(scripted.create(), host="0.0.0.0", allow_any_key=True)


async def test_a_taken_port_is_a_clear_error() -> None:
    async with serving() as server:
        port = int(server.url.rsplit(":", 1)[1].removesuffix("/v1"))
        with pytest.raises(ConfigurationError, match=f"127.0.0.1:{port}"):
            await EmbeddedServer.start(scripted.create(), port=port)


async def test_models_lists_the_engine_for_those_who_have_the_key() -> None:
    async with serving() as server, httpx.AsyncClient() as http:
        refused = await http.get(f"{server.url}/models")
        assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_api_key")
        listed = await http.get(f"{server.url}/models", headers={"Authorization": f"Bearer {server.token}"})
        assert [model["id"] for model in listed.json()["data"]] == ["realtime-nb-scripted"]
        foreign = await http.get(f"{server.url}/models", headers={"Origin": "https://evil.example"})
        assert foreign.status_code == 403


async def test_closing_tells_every_session_and_leaves_no_task() -> None:
    before = asyncio.all_tasks()
    server = await EmbeddedServer.start(scripted.create())
    async with connected(server) as first, connected(server) as second:
        await first.receive()
        await second.receive()
        await server.aclose()
        assert await closing(first) == (1001, "The server is shutting down.")
        assert await closing(second) == (1001, "The server is shutting down.")
    await server.aclose()
    assert asyncio.all_tasks() == before


async def test_closing_in_the_middle_of_a_reply_leaves_no_task() -> None:
    before = asyncio.all_tasks()
    delays = scripted.ScriptedDelays(pace=1.0)
    server = await EmbeddedServer.start(scripted.create(delays=delays))
    async with connected(server) as client:
        await client.say("a sentence that takes a while to repeat")
        await client.send("response.create")
        await client.until("response.output_audio.delta")
        await server.aclose()
    assert asyncio.all_tasks() == before


async def test_a_client_that_just_goes_leaves_no_task_of_its_session() -> None:
    async with serving(scripted.create(delays=scripted.ScriptedDelays(pace=1.0))) as server:
        before = asyncio.all_tasks()
        async with connected(server) as client:
            await client.say("a sentence that takes a while to repeat")
            await client.send("response.create")
            await client.until("response.output_audio.delta")
            client.socket.transport.abort()
        async with asyncio.timeout(PATIENCE_S):
            while asyncio.all_tasks() - before:
                await asyncio.wait(asyncio.all_tasks() - before)


async def test_logging_and_signals_are_left_alone() -> None:
    loggers = {name: list(logging.getLogger(name).handlers) for name in ("uvicorn", "uvicorn.error", "uvicorn.access")}
    async with serving():
        assert {name: list(logging.getLogger(name).handlers) for name in loggers} == loggers
        assert logging.getLogger("uvicorn.access").propagate


def test_it_runs_on_a_thread_that_is_not_the_main_one() -> None:
    seen: list[str] = []

    async def talk() -> None:
        async with serving() as server, connected(server) as client:
            seen.append((await client.receive())["type"])

    thread = threading.Thread(target=lambda: asyncio.run(talk()))
    thread.start()
    thread.join()
    assert seen == ["session.created"]
