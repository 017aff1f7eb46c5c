"""Functions that the model calls, outside a session: the same toolbox, schema and rules as in one."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable
from typing import Any

from realtime_nb.session.tool_runner import as_output, called_with
from realtime_nb.session.tools import Tool, ToolArgumentsRefused, Toolbox, ToolRequest

from .base import ToolUse

MAX_ROUNDS = 8
"""Of calls within one turn; a model that goes on calling is stopped."""


def toolbox_of(tools: Iterable[Tool | Callable[..., Any]]) -> Toolbox:
    """Return a toolbox with these functions."""
    toolbox = Toolbox()
    for tool in tools:
        toolbox.add(tool)
    return toolbox


def chat_definitions(toolbox: Toolbox) -> list[dict[str, Any]]:
    """Return the tools as `/v1/chat/completions` wants them."""
    return [
        {"type": "function", "function": {key: value for key, value in definition.items() if key != "type"}}
        for definition in toolbox.definitions
    ]


async def use_tool(toolbox: Toolbox, name: str, arguments: str) -> ToolUse:
    """Call a function and return what the model is to be told; what goes wrong is told, too, and never raised.

    Cancelling stops waiting for it.
    """
    error = ""
    try:
        output = as_output(await _called(toolbox, name, arguments))
    except ToolArgumentsRefused as refused:
        error = f"The arguments do not fit: {refused}"
    except TimeoutError:
        error = f"{name} did not answer within {toolbox[name].timeout_s:g} s."
    except _Refused as refused:
        error = str(refused)
    except Exception as problem:
        error = f"{type(problem).__name__}: {problem}"
    if error:
        output = as_output({"error": error})
    return ToolUse(name=name, arguments=arguments, output=output, failed=bool(error))


class _Refused(Exception):
    """The call was not made; the text says why."""


async def _called(toolbox: Toolbox, name: str, arguments: str) -> Any:
    if name not in toolbox:
        raise _Refused(f"There is no function {name}.")
    tool = toolbox[name]
    bound = tool.bind(arguments)
    if not await _approved(tool, bound):
        raise _Refused("This call was declined: in a pipeline nobody can be asked.")
    async with asyncio.timeout(tool.timeout_s):
        return await called_with(tool, bound)


async def _approved(tool: Tool, arguments: dict[str, Any]) -> bool:
    if not callable(tool.approval):
        return tool.approval == "never"
    answer = tool.approval(ToolRequest(call_id="", name=tool.name, arguments=arguments))
    return bool(await answer) if inspect.isawaitable(answer) else bool(answer)
