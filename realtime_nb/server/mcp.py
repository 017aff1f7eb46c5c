"""MCP tools: this server reaches no MCP server, and says so as the service does when it cannot reach one."""

from __future__ import annotations

import logging

from realtime_nb.protocol import server_events as se
from realtime_nb.protocol.session_config import SessionConfig
from realtime_nb.server.wire import Wire

logger = logging.getLogger(__name__)


def refuse_mcp_tools(wire: Wire, before: SessionConfig | None, after: SessionConfig) -> None:
    """Announce that the tools of every newly named MCP server could not be listed."""
    known = _labels(before) if before is not None else []
    for label in _labels(after):
        if label not in known:
            item_id = wire.protocol.ids.new("mcpl")
            wire.protocol.emit(se.McpListToolsInProgress(item_id=item_id))
            wire.protocol.emit(se.McpListToolsFailed(item_id=item_id))
            logger.warning("the tools of the MCP server %r are not available: this server reaches none", label[:100])


def _labels(config: SessionConfig) -> list[str]:
    return [str(tool["server_label"]) for tool in config.tools if tool.get("type") == "mcp"]
