"""The widget's comm dressed as a link socket, and what ipykernel's versions need for it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

from realtime_nb.errors import ConfigurationError, ConnectionLost

__all__ = ["CommSocket", "ipykernel_version", "pin_comm_routing", "refuse_broken_ipykernel"]

MAX_INCOMING = 1_000


class CommSocket:
    """One view's messages over the widget's comm. Lives on the runtime loop.

    Args:
        client_id: the view it belongs to; every view gets every comm message, so each names its addressee.
        send: the widget's `send(content, buffers)`; callable from any thread.
    """

    proxied = False
    origin = None

    def __init__(self, client_id: str, send: Callable[[dict[str, Any], list[bytes] | None], None]) -> None:
        self.client_id = client_id
        self.dropped = 0
        self._send = send
        self._incoming: asyncio.Queue[str | bytes | None] = asyncio.Queue(MAX_INCOMING)
        self._closed = False

    def feed(self, data: str | bytes) -> None:
        """Take a message from the browser; past 1000 unread ones it is dropped and counted."""
        if self._closed:
            return
        if self._incoming.full():
            self.dropped += 1
        else:
            self._incoming.put_nowait(data)

    async def receive(self) -> str | bytes:
        """Wait for the next message. Cancellation-safe.

        Raises:
            ConnectionLost: the socket was closed.
        """
        data = None if self._closed else await self._incoming.get()
        if data is None:
            raise ConnectionLost("The comm link ended.", code=1000)
        return data

    async def send(self, data: str | bytes) -> None:
        """Send one message by comm.

        Raises:
            ConnectionLost: the socket was closed, or the comm is gone.
        """
        if self._closed:
            raise ConnectionLost("The comm link ended.", code=1000)
        content: dict[str, Any] = {"type": "link", "client_id": self.client_id}
        try:
            if isinstance(data, str):
                self._send({**content, "text": data}, None)
            else:
                self._send(content, [data])
        except Exception as error:
            raise ConnectionLost(f"The comm of this widget does not work any more ({error}).") from error
        await asyncio.sleep(0)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Stop; the comm itself stays, it is the widget's."""
        self.end()

    def end(self) -> None:
        """Stop; a waiting `receive` raises. Idempotent."""
        if not self._closed:
            self._closed = True
            if self._incoming.full():
                self._incoming.get_nowait()
            self._incoming.put_nowait(None)


def ipykernel_version() -> tuple[int, ...]:
    """Version of the ipykernel that runs this process, () outside a kernel."""
    module = sys.modules.get("ipykernel")
    return tuple(getattr(module, "version_info", ()))[:3] if module is not None else ()


def refuse_broken_ipykernel(version: tuple[int, ...] | None = None) -> None:
    """Refuse ipykernel 7.0.*, where every widget message from a thread raises `LookupError`.

    Raises:
        ConfigurationError: it is 7.0.*.
    """
    version = ipykernel_version() if version is None else version
    if tuple(version[:2]) == (7, 0):
        raise ConfigurationError(
            f"ipykernel {'.'.join(map(str, version))} cannot run these widgets: a message sent from a thread raises.",
            what_now="Run: pip install 'ipykernel>=7.4' and restart the kernel.",
        )


def pin_comm_routing(comm: Any) -> None:
    """Keep the browser's own subshell for a comm's messages.

    ipykernel 7.4 routes them to whoever sent last on the comm, so a message from a thread makes the browser's messages
    wait behind the running cell and arrive out of order.
    """
    if hasattr(comm, "_reply_subshell_for"):
        comm._reply_subshell_for = lambda data, default: default
