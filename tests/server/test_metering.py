from __future__ import annotations

from typing import Any

import pytest

from realtime_nb.engines import scripted
from realtime_nb.protocol.images import ImageSize
from realtime_nb.server.prompt import image_tokens
from tests.server.talking import Client, connected, serving, silence, tone
from tests.server.test_reply import TOOL, ask

pytestmark = pytest.mark.anyio

INSTRUCTIONS = "You are a patient assistant of a bicycle shop, and you answer in one sentence. " * 4


def cached(response: dict[str, Any]) -> int:
    details = response["usage"]["input_token_details"]
    split = details["cached_tokens_details"]
    assert split["text_tokens"] + split["audio_tokens"] + split["image_tokens"] == details["cached_tokens"]
    for kind in ("text_tokens", "audio_tokens", "image_tokens"):
        assert split[kind] <= details[kind]
    tokens: int = details["cached_tokens"]
    return tokens


def read(response: dict[str, Any]) -> int:
    tokens: int = response["usage"]["input_tokens"]
    return tokens


async def test_what_the_last_response_read_is_cached_for_the_next() -> None:
    async with serving() as server, connected(server) as client:
        await client.update(instructions=INSTRUCTIONS, tools=[TOOL])
        first = await ask(client, "hello")
        second = await ask(client, "and now")
        third = await ask(client, "once more")
        assert cached(first) == 0
        assert cached(second) == read(first) < read(second)
        assert cached(third) == read(second)


async def test_cached_audio_and_cached_text_are_told_apart() -> None:
    async with serving() as server, connected(server) as client:
        await client.update(instructions=INSTRUCTIONS)
        await client.hear(tone(1000), silence(800))
        first = (await client.until("response.done"))["response"]
        await client.hear(tone(1500), silence(800))
        second = (await client.until("response.done"))["response"]
        details = second["usage"]["input_token_details"]
        before = first["usage"]["input_token_details"]
        assert details["cached_tokens_details"]["audio_tokens"] == before["audio_tokens"] > 0
        assert details["cached_tokens_details"]["text_tokens"] == before["text_tokens"] > 0
        reply_tokens = first["usage"]["output_token_details"]["audio_tokens"]
        assert details["audio_tokens"] >= before["audio_tokens"] + reply_tokens + 15


async def change_instructions(client: Client, response: dict[str, Any]) -> None:
    await client.update(instructions=INSTRUCTIONS + "!")


async def change_tools(client: Client, response: dict[str, Any]) -> None:
    await client.update(tools=[TOOL])


@pytest.mark.parametrize("change", [change_instructions, change_tools])
async def test_other_instructions_or_tools_leave_nothing_cached(change: Any) -> None:
    async with serving() as server, connected(server) as client:
        await client.update(instructions=INSTRUCTIONS)
        await change(client, await ask(client, "hello"))
        assert cached(await ask(client, "again")) == 0


async def test_a_deleted_item_ends_the_cached_beginning() -> None:
    async with serving() as server, connected(server) as client:
        await client.update(instructions=INSTRUCTIONS)
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "early words " * 20}]}
        await client.send("conversation.item.create", item={**item, "id": "early"})
        await ask(client, "hello")
        whole = await ask(client, "unchanged")
        await client.send("conversation.item.delete", item_id="early")
        cut = await ask(client, "changed")
        assert cached(whole) > cached(cut) == -(-len(INSTRUCTIONS) // 4)


async def test_a_truncated_reply_ends_the_cached_beginning() -> None:
    async with serving(scripted.create(replies=lambda _: "one two three four five.")) as server:
        async with connected(server) as client:
            first = await ask(client, "hello")
            second = await ask(client, "more")
            cut = {"item_id": first["output"][0]["id"], "content_index": 0, "audio_end_ms": 100}
            await client.send("conversation.item.truncate", **cut)
            await client.until("conversation.item.truncated")
            third = await ask(client, "and more")
            assert cached(second) == cached(third) == read(first)


async def test_an_out_of_band_response_leaves_the_conversation_cached() -> None:
    async with serving() as server, connected(server) as client:
        await client.update(instructions=INSTRUCTIONS)
        first = await ask(client, "hello")
        await client.send("response.create", response={"conversation": "none", "instructions": "Sum up.", "input": []})
        aside = (await client.until("response.done"))["response"]
        assert (cached(aside), aside["usage"]["input_tokens"]) == (0, 2)
        assert cached(await ask(client, "again")) == read(first)


async def test_nothing_is_cached_from_one_connection_to_the_next() -> None:
    async with serving() as server:
        for _ in range(2):
            async with connected(server) as client:
                await client.update(instructions=INSTRUCTIONS)
                assert cached(await ask(client, "hello")) == 0


async def test_a_response_that_no_model_read_has_no_input() -> None:
    delays = scripted.ScriptedDelays(hypothesis_ms=30_000)
    async with serving(scripted.create(delays=delays)) as server, connected(server) as client:
        await client.update(audio={"input": {"turn_detection": None}})
        await client.hear(tone(500))
        await client.send("input_audio_buffer.commit")
        await client.send("response.create")
        await client.send("response.cancel")
        done = (await client.until("response.done"))["response"]
        assert (done["status"], done["usage"]["total_tokens"]) == ("cancelled", 0)


@pytest.mark.parametrize(
    ("size", "detail", "tokens"),
    [
        ((1024, 1024), "high", 765),
        ((1024, 1024), "auto", 765),
        ((2048, 4096), "high", 1105),
        ((8, 8), "high", 255),
        ((4096, 4096), "low", 85),
    ],
)
def test_images_count_by_their_tiles(size: tuple[int, int], detail: str, tokens: int) -> None:
    assert image_tokens(ImageSize(*size), detail) == tokens
