from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from realtime_nb.engines import scripted
from realtime_nb.engines.base import ChatDelta, ChatRequest
from realtime_nb.engines.scripted import ScriptedDelays
from realtime_nb.errors import EngineOverloaded
from realtime_nb.protocol.codec import MAX_APPEND_BYTES
from realtime_nb.server.limits import Limits
from realtime_nb.server.token_bucket import TokenBucket
from tests.server.commands import run, served
from tests.server.talking import PATIENCE_S, Client, connected, serving
from tests.server.test_app import closing
from tests.server.test_reply import ask

pytestmark = pytest.mark.anyio


class Clock:
    """Seconds that only a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def limit_of(client: Client) -> dict[str, float]:
    limits: list[dict[str, float]] = (await client.until("rate_limits.updated"))["rate_limits"]
    assert len(limits) == 1
    return limits[0]


def test_a_bucket_fills_all_the_time_and_never_overflows() -> None:
    clock = Clock()
    bucket = TokenBucket(600, clock)
    assert (bucket.remaining, bucket.reset_seconds) == (600, 0.0)
    bucket.take(100)
    assert (bucket.remaining, bucket.reset_seconds) == (500, 10.0)
    clock.now += 4
    assert (bucket.remaining, bucket.reset_seconds) == (540, 6.0)
    clock.now += 1000
    assert (bucket.remaining, bucket.reset_seconds) == (600, 0.0)


def test_an_overdrawn_bucket_shows_nothing_and_takes_longer() -> None:
    clock = Clock()
    bucket = TokenBucket(60, clock)
    bucket.take(90)
    assert (bucket.remaining, bucket.reset_seconds) == (0, 90.0)
    assert bucket.wait_seconds(10) == 40.0
    clock.now += 31
    assert (bucket.remaining, bucket.reset_seconds) == (1, 59.0)


async def test_rate_limits_tell_what_was_used_and_when_it_is_back() -> None:
    clock = Clock()
    async with serving(limits=Limits(tokens_per_minute=6000), clock=clock) as server:
        async with connected(server) as client, connected(server) as other:
            used = (await ask(client, "hello"))["usage"]["total_tokens"]
            first = await limit_of(client)
            assert first["limit"] == 6000
            assert first["remaining"] == 6000 - used
            assert first["reset_seconds"] == pytest.approx(used / 100)
            used += (await ask(other, "good morning"))["usage"]["total_tokens"]
            assert (await limit_of(other))["remaining"] == 6000 - used
            clock.now += 60
            used = (await ask(client, "again"))["usage"]["total_tokens"]
            assert (await limit_of(client))["remaining"] == 6000 - used


async def test_without_tokens_a_response_fails_and_later_succeeds() -> None:
    clock = Clock()
    engines = scripted.create()
    async with serving(engines, limits=Limits(tokens_per_minute=60), clock=clock) as server:
        async with connected(server) as client:
            assert (await ask(client, "a long answer uses everything up. " * 2))["status"] == "completed"
            assert (await limit_of(client))["remaining"] == 0
            short = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "and now"}]}
            await client.send("response.create", response={"input": [short], "metadata": {"n": "2"}})
            failed = (await client.until("response.done"))["response"]
            assert (failed["status"], failed["output"], failed["metadata"]) == ("failed", [], {"n": "2"})
            error = failed["status_details"]["error"]
            assert (error["type"], error["code"]) == ("tokens", "rate_limit_exceeded")
            assert "try again in" in error["message"]
            assert failed["usage"]["total_tokens"] == 0
            limit = await limit_of(client)
            assert limit["reset_seconds"] > 0
            assert len(engines.chat.requests) == 1  # type: ignore[attr-defined]
            clock.now += limit["reset_seconds"]
            await client.send("response.create", response={"input": [short]})
            assert (await client.until("response.done"))["response"]["status"] == "completed"


async def test_a_prompt_that_never_fits_says_so() -> None:
    async with serving(limits=Limits(tokens_per_minute=20)) as server, connected(server) as client:
        failed = await ask(client, "one two three four " * 10)
        assert "never" in failed["status_details"]["error"]["message"]


class BusyChat(scripted.ScriptedChat):
    """A service that has had enough."""

    async def reply(self, request: ChatRequest) -> AsyncIterator[ChatDelta]:
        raise EngineOverloaded("The chat server answered 429.", what_now="Wait a moment.")
        yield


async def test_an_engine_that_takes_no_more_is_an_inference_rate_limit() -> None:
    engines = scripted.create()
    engines.chat = BusyChat()
    async with serving(engines) as server, connected(server) as client:
        failed = await ask(client, "hello")
        error = failed["status_details"]["error"]
        assert (failed["status"], error["code"]) == ("failed", "inference_rate_limit_exceeded")
        assert "429" in error["message"]


async def test_one_session_too_many_is_refused_until_another_ends() -> None:
    async with serving(limits=Limits(sessions=1)) as server:
        async with connected(server) as first:
            await first.receive()
            async with connected(server) as second:
                error = (await second.receive())["error"]
                assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limit_exceeded")
                assert await closing(second) == (1013, "rate_limit_error.rate_limit_exceeded")
            await first.say("unharmed")
            await first.send("response.create")
            assert (await first.until("response.done"))["response"]["status"] == "completed"
        async with asyncio.timeout(PATIENCE_S):
            while True:
                async with connected(server) as third:
                    if (await third.receive())["type"] == "session.created":
                        return


async def test_a_bad_key_is_refused_as_such_when_all_places_are_taken() -> None:
    async with serving(limits=Limits(sessions=1)) as server, connected(server) as first:
        await first.receive()
        async with connected(server, key="wrong") as second:
            assert (await second.receive())["error"]["code"] == "invalid_api_key"


async def test_a_reply_of_any_length_ends_at_the_models_longest() -> None:
    delays = ScriptedDelays(pace=0.0)
    engines = scripted.create(replies=lambda _: "word " * 4000, delays=delays)
    async with serving(engines, limits=Limits(output_tokens=200)) as server, connected(server) as client:
        response = await ask(client, "talk", output_modalities=["text"])
        assert (response["status"], response["status_details"]["reason"]) == ("incomplete", "max_output_tokens")
        assert response["max_output_tokens"] == "inf"
        assert 200 <= response["usage"]["output_tokens"] < 220


async def test_serve_takes_both_limits() -> None:
    arguments = ("--engine", "scripted", "--max-sessions", "1", "--tokens-per-minute", "1234")
    async with served(*arguments) as server:
        server.token = "any"  # type: ignore[attr-defined]
        async with connected(server) as client, connected(server) as refused:  # type: ignore[arg-type]
            codes = {(await one.receive())["type"] for one in (client, refused)}
            assert codes == {"session.created", "error"}
            accepted = client if client.events[0]["type"] == "session.created" else refused
            await ask(accepted, "hello")
            assert (await limit_of(accepted))["limit"] == 1234


@pytest.mark.parametrize("option", ["--max-sessions", "--tokens-per-minute"])
async def test_serve_refuses_limits_that_let_nobody_in(option: str) -> None:
    status, stderr = await run("serve", option, "0")
    assert status == 2
    assert "at least 1" in stderr


async def test_a_message_too_large_is_refused_and_the_session_goes_on() -> None:
    async with serving(limits=Limits(message_bytes=50_000, frame_bytes=200_000)) as server:
        async with connected(server) as client:
            await client.say("x" * 60_000)
            error = (await client.until("error"))["error"]
            assert error["code"] == "string_above_max_length"
            assert "50,000" in error["message"]
            await client.socket.send(b"x" * 60_000)
            assert (await client.until("error"))["error"]["code"] == "string_above_max_length"
            assert (await ask(client, "hello"))["status"] == "completed"


async def test_a_message_beyond_all_bounds_closes_the_connection() -> None:
    async with serving(limits=Limits(message_bytes=50_000, frame_bytes=200_000)) as server:
        async with connected(server) as client:
            await client.until("session.created")
            await client.say("x" * 250_000)
            assert (await closing(client))[0] == 1009


def test_the_longest_append_fits_into_a_message() -> None:
    limits = Limits()
    assert MAX_APPEND_BYTES * 4 / 3 + 1000 < limits.message_bytes < limits.frame_bytes
