"""What this server does not have, it says."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.talking import connected, serving
from tests.server.test_client_secrets import post, secret

pytestmark = pytest.mark.anyio

MCP = {"type": "mcp", "server_label": "files", "server_url": "https://mcp.example"}
TEMPLATE = {"id": "pmpt_1", "version": "2", "variables": {"name": "Maria"}}


async def test_tools_of_mcp_servers_cannot_be_listed() -> None:
    async with serving() as server, connected(server) as client:
        session = await client.update(tools=[MCP])
        assert session["tools"] == [MCP]
        begun = await client.until("mcp_list_tools.in_progress")
        assert (await client.until("mcp_list_tools.failed"))["item_id"] == begun["item_id"]
        await client.update(tools=[MCP], instructions="Be brief.")
        await client.update(tools=[MCP, {**MCP, "server_label": "mail"}])
        await client.until("mcp_list_tools.failed")
        assert len(client.of("mcp_list_tools.failed")) == 2


async def test_so_it_is_for_a_session_that_begins_with_them() -> None:
    async with serving() as server:
        key = await secret(server, session={"type": "realtime", "tools": [MCP]})
        async with connected(server, key=key) as client:
            await client.until("mcp_list_tools.failed")
            assert client.types == ["session.created", "mcp_list_tools.in_progress", "mcp_list_tools.failed"]


@pytest.mark.parametrize(
    ("event", "param"),
    [
        (
            {"type": "session.update", "session": {"type": "realtime", "instructions": "New.", "prompt": TEMPLATE}},
            "session.prompt.id",
        ),
        ({"type": "response.create", "response": {"prompt": TEMPLATE}}, "response.prompt.id"),
    ],
)
async def test_a_prompt_template_is_not_found(event: dict[str, Any], param: str) -> None:
    async with serving() as server, connected(server) as client:
        await client.send(event.pop("type"), **event)
        error = (await client.until("error"))["error"]
        assert (error["code"], error["param"]) == ("prompt_not_found", param)
        assert client.of("response.created") == []
        assert (await client.update(prompt=None))["instructions"] == ""
        answer = await post(server, {"session": {"type": "realtime", "prompt": TEMPLATE}})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "prompt_not_found")
