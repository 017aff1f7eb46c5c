"""Functions called outside a session."""

from __future__ import annotations

import asyncio

import pytest

from realtime_nb.pipelines.tool_use import chat_definitions, toolbox_of, use_tool
from realtime_nb.session.tools import Tool

pytestmark = pytest.mark.anyio


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def slowly() -> str:
    await asyncio.sleep(60)
    return "done"


def test_a_tool_is_offered_as_chat_completions_want_it() -> None:
    (offered,) = chat_definitions(toolbox_of([add]))
    assert offered["type"] == "function"
    assert offered["function"]["name"] == "add"
    assert offered["function"]["description"] == "Add two numbers."
    assert set(offered["function"]["parameters"]["properties"]) == {"a", "b"}
    assert "type" not in offered["function"]


async def test_a_call_is_answered_with_its_value() -> None:
    use = await use_tool(toolbox_of([add]), "add", '{"a": 1, "b": 2}')
    assert (use.output, use.failed) == ("3", False)


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("subtract", "{}", "There is no function subtract."),
        ("add", "not JSON", "The arguments do not fit"),
        ("add", '{"a": "one", "b": 2}', "The arguments do not fit: a"),
        ("slowly", "{}", "slowly did not answer within 0.01 s."),
        ("asks_first", '{"a": 1, "b": 2}', "This call was declined"),
    ],
)
async def test_what_goes_wrong_is_told_to_the_model(name: str, arguments: str, says: str) -> None:
    toolbox = toolbox_of(
        [add, Tool(slowly, timeout_s=0.01), Tool(add, name="asks_first", approval=lambda request: False)]
    )
    use = await use_tool(toolbox, name, arguments)
    assert use.failed
    assert says in use.output


async def test_a_hook_may_approve() -> None:
    toolbox = toolbox_of([Tool(add, approval=lambda request: request.arguments["a"] == 1)])
    assert not (await use_tool(toolbox, "add", '{"a": 1, "b": 2}')).failed
    assert (await use_tool(toolbox, "add", '{"a": 2, "b": 2}')).failed
