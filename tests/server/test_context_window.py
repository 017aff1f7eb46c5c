from __future__ import annotations

from typing import Any

import pytest

from realtime_nb.engines import scripted
from realtime_nb.engines.base import EngineSet
from realtime_nb.server.limits import Limits
from tests.server.talking import Client, connected, serving
from tests.server.test_metering import cached, read
from tests.server.test_reply import ask

pytestmark = pytest.mark.anyio

WORDS = "x" * 40
"""10 tokens."""
SMALL = Limits(context_tokens=120, output_tokens=20)
"""100 tokens to read."""


def engines_that_say_little() -> EngineSet:
    return scripted.create(replies=lambda _: "ok")


def heard(engines: EngineSet) -> list[str]:
    """What the chat model read last."""
    return [message.text for message in engines.chat.requests[-1].messages]  # type: ignore[attr-defined]


async def fill(client: Client, first: int, last: int) -> None:
    for n in range(first, last + 1):
        await client.say(f"{n:02}{WORDS[2:]}")


async def answer(client: Client, **response: Any) -> dict[str, Any]:
    await client.send("response.create", response={"output_modalities": ["text"], **response})
    done: dict[str, Any] = (await client.until("response.done"))["response"]
    return done


def numbers(texts: list[str]) -> list[int]:
    return [int(text[:2]) for text in texts if text.endswith("xx")]


async def test_a_full_context_drops_the_oldest_items_and_nothing_more() -> None:
    engines = engines_that_say_little()
    async with serving(engines, limits=SMALL) as server, connected(server) as client:
        await fill(client, 1, 10)
        assert read(await answer(client)) == 100
        assert numbers(heard(engines)) == list(range(1, 11))
        await fill(client, 11, 12)
        response = await answer(client)
        assert read(response) <= 100
        assert numbers(heard(engines)) == list(range(4, 13))
        assert cached(response) == 0


async def test_what_was_dropped_stays_in_the_conversation_for_the_client() -> None:
    async with serving(engines_that_say_little(), limits=SMALL) as server, connected(server) as client:
        await fill(client, 1, 12)
        await answer(client)
        first = client.of("conversation.item.added")[0]["item"]["id"]
        await client.send("conversation.item.retrieve", item_id=first)
        assert (await client.until("conversation.item.retrieved"))["item"]["content"][0]["text"].startswith("01")


async def test_a_retention_ratio_drops_more_at_once_and_then_keeps_the_cache() -> None:
    engines = engines_that_say_little()
    async with serving(engines, limits=SMALL) as server, connected(server) as client:
        shown = await client.update(truncation={"type": "retention_ratio", "retention_ratio": 0.5})
        assert shown["truncation"] == {"type": "retention_ratio", "retention_ratio": 0.5}
        await fill(client, 1, 11)
        cut = await answer(client)
        assert (read(cut), numbers(heard(engines))) == (50, [7, 8, 9, 10, 11])
        for n in (12, 13, 14):
            before = cut
            await fill(client, n, n)
            cut = await answer(client)
            assert numbers(heard(engines)) == list(range(7, n + 1))
            assert cached(cut) == read(before)


async def test_auto_busts_the_cache_every_time_once_it_is_full() -> None:
    async with serving(engines_that_say_little(), limits=SMALL) as server, connected(server) as client:
        await fill(client, 1, 10)
        await answer(client)
        for n in (11, 12, 13):
            await fill(client, n, n)
            assert cached(await answer(client)) == 0


async def test_disabled_truncation_is_an_error_when_full_and_the_session_goes_on() -> None:
    engines = engines_that_say_little()
    async with serving(engines, limits=SMALL) as server, connected(server) as client:
        await client.update(truncation="disabled")
        await fill(client, 1, 10)
        assert (await answer(client))["status"] == "completed"
        await fill(client, 11, 11)
        failed = await answer(client)
        assert (failed["status"], failed["output"]) == ("failed", [])
        assert failed["status_details"]["error"]["code"] == "context_length_exceeded"
        assert len(engines.chat.requests) == 1  # type: ignore[attr-defined]
        await client.update(truncation="auto")
        assert (await answer(client))["status"] == "completed"


async def test_post_instructions_bounds_what_comes_after_instructions_and_tools() -> None:
    engines = engines_that_say_little()
    async with serving(engines, limits=SMALL) as server, connected(server) as client:
        limits = {"type": "retention_ratio", "retention_ratio": 1.0, "token_limits": {"post_instructions": 30}}
        assert (await client.update(instructions=WORDS, truncation=limits))["truncation"] == limits
        await fill(client, 1, 4)
        assert read(await answer(client)) == 10 + 30
        assert numbers(heard(engines)) == [2, 3, 4]


async def test_a_longer_reply_leaves_less_room() -> None:
    engines = engines_that_say_little()
    async with serving(engines, limits=Limits(context_tokens=120, output_tokens=60)) as server:
        async with connected(server) as client:
            await fill(client, 1, 10)
            await answer(client)
            assert len(heard(engines)) == 6
            await fill(client, 11, 20)
            await answer(client, max_output_tokens=20)
            assert len(numbers(heard(engines))) == 10


async def test_one_item_that_is_too_large_fails_whatever_the_strategy() -> None:
    async with serving(engines_that_say_little(), limits=SMALL) as server, connected(server) as client:
        response = await ask(client, "y" * 500)
        assert response["status_details"]["error"]["code"] == "context_length_exceeded"


async def test_own_input_is_cut_for_itself_and_leaves_the_conversation_alone() -> None:
    engines = engines_that_say_little()
    async with serving(engines, limits=SMALL) as server, connected(server) as client:
        await fill(client, 1, 5)
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": WORDS}]}
        await answer(client, conversation="none", input=[item] * 14)
        assert len(heard(engines)) == 10
        await answer(client)
        assert numbers(heard(engines)) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "truncation",
    [
        "never",
        {"type": "retention_ratio"},
        {"type": "retention_ratio", "retention_ratio": 1.5},
        {"type": "retention_ratio", "retention_ratio": 0.5, "token_limits": {"post_instructions": -1}},
        {"type": "retention_ratio", "retention_ratio": 0.5, "keep": 3},
    ],
)
async def test_a_strategy_that_does_not_exist_is_refused(truncation: Any) -> None:
    async with serving() as server, connected(server) as client:
        await client.send("session.update", session={"type": "realtime", "truncation": truncation})
        error = (await client.until("error"))["error"]
        assert error["param"].startswith("session.truncation")
