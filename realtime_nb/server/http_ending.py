"""How plain HTTP ends: with the server at once, and never in a way that a client takes for a whole answer."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HttpEnding:
    """Wraps an application. When the server stops, its requests see their clients leave.

    A body that ends too soon cuts the connection. The protocol gives the way to do that as
    `scope["state"]["abort"]`; without it the protocol itself closes, and complains.

    Args:
        app: what answers.
        stopping: set when the server stops.
    """

    def __init__(self, app: ASGIApp, stopping: asyncio.Event) -> None:
        self._app = app
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = complete = False

        async def noted(message: Message) -> None:
            nonlocal begun, complete
            await send(message)
            begun = True
            complete = message["type"] == "http.response.body" and not message.get("more_body", False)

        await self._app(scope, self._or_stop(receive), noted)
        abort = scope.get("state", {}).get("abort")
        if begun and not complete and abort is not None:
            abort()
            await asyncio.sleep(0)  # the protocol hears of it in the loop's next turn

    def _or_stop(self, receive: Receive) -> Receive:
        async def receive_or_stop() -> Message:
            receiving = asyncio.ensure_future(receive())
            stopping = asyncio.ensure_future(self._stopping.wait())
            try:
                await asyncio.wait({receiving, stopping}, return_when=asyncio.FIRST_COMPLETED)
                return receiving.result() if receiving.done() else {"type": "http.disconnect"}
            finally:
                receiving.cancel()
                stopping.cancel()

        return receive_or_stop
