"""A server's WebSocket on a bad network: the same faults as on the client's side, by the same argument."""

from __future__ import annotations

from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from realtime_nb.errors import ConnectionLost
from realtime_nb.transport.base import NORMAL_CLOSE_CODE, connection_lost
from realtime_nb.transport.faults import Faults, FaultyTransport

CUT = 1006
"""No close frame says this: the connection is dropped."""


class SocketTransport:
    """An accepted starlette WebSocket as a `Transport`."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket

    async def send(self, frame: str) -> None:
        """Send one text frame. See `Transport.send`."""
        try:
            await self._websocket.send_text(frame)
        except (WebSocketDisconnect, RuntimeError) as gone:
            raise connection_lost(CUT, "") from gone

    async def receive(self) -> str | bytes:
        """Wait for the next frame. See `Transport.receive`."""
        message = await self._websocket.receive()
        if message["type"] != "websocket.receive":
            raise connection_lost(int(message.get("code") or CUT), str(message.get("reason") or ""))
        text = message.get("text")
        return text if text is not None else message["bytes"]

    async def aclose(self, code: int = NORMAL_CLOSE_CODE, reason: str = "") -> None:
        """Close, or drop the connection when the code is 1006."""
        if code == CUT:
            self._websocket.scope["state"]["abort"]()
            return
        try:
            await self._websocket.close(code, reason)
        except (WebSocketDisconnect, RuntimeError):
            return


class FaultySocket:
    """What `RealtimeConnection` needs of a WebSocket, through the faults."""

    def __init__(self, websocket: WebSocket, faults: Faults, *, seed: int) -> None:
        self.scope = websocket.scope
        self._transport = FaultyTransport(SocketTransport(websocket), faults, seed=seed, server_side=True)

    async def receive(self) -> dict[str, Any]:
        """Wait for the next message, as ASGI has it."""
        try:
            frame = await self._transport.receive()
        except ConnectionLost as lost:
            return {"type": "websocket.disconnect", "code": lost.code, "reason": lost.reason}
        return {"type": "websocket.receive", "text" if isinstance(frame, str) else "bytes": frame}

    async def send_text(self, frame: str) -> None:
        """Send one frame, or not."""
        try:
            await self._transport.send(frame)
        except ConnectionLost as lost:
            raise WebSocketDisconnect(lost.code, lost.reason) from lost

    async def close(self, code: int = NORMAL_CLOSE_CODE, reason: str = "") -> None:
        """Close and end the faults' tasks."""
        await self._transport.aclose(code, reason)
