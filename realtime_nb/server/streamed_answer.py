"""Answers that go out while they are made, and work that stops when nobody waits for it any more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import aclosing
from typing import Any, TypeVar

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from realtime_nb.errors import RealtimeError
from realtime_nb.server.refusals import ClientLeft, error_object

T = TypeVar("T")

SSE_MEDIA_TYPE = "text/event-stream; charset=utf-8"
SSE_HEADERS = {"cache-control": "no-cache"}
SSE_END = b"data: [DONE]\n\n"

logger = logging.getLogger(__name__)


def sse(event: Mapping[str, Any]) -> bytes:
    """Return one server-sent event."""
    return b"data: " + msgspec.json.encode(event) + b"\n\n"


async def while_connected(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """Return what `work` returns; cancel it when the client leaves or the caller is cancelled.

    Args:
        receive: of the request, its body read to the end.
        work: owned by this call.

    Raises:
        ClientLeft: the client left first.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_left(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientLeft
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class StreamedAnswer(Response):
    """Sends what a generator yields, and closes it: at its end, when the client leaves, or when the server stops.

    Bytes that come as they are made (audio, not events) have no way to tell of a failure in their middle: then the
    connection is cut before the body's end, which no client takes for a whole answer.

    Args:
        first: the beginning of the body.
        rest: what follows; bytes, none of them empty. Owned by the answer.
        media_type: of the body.
        headers: besides the media type.
    """

    def __init__(
        self,
        first: bytes,
        rest: AsyncGenerator[bytes, None],
        *,
        media_type: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._first = first
        self._rest = rest
        self.status_code = 200
        self.media_type = media_type
        self.background = None
        self.init_headers(headers)

    @classmethod
    async def begun(
        cls, pieces: AsyncGenerator[bytes, None], *, media_type: str, headers: Mapping[str, str] | None = None
    ) -> StreamedAnswer:
        """Return the answer once its first piece is there, so that what fails before still has a status of its own.

        Raises:
            RealtimeError: the work failed before its first piece.
        """
        try:
            first = await anext(pieces, b"")
        except BaseException:
            await pieces.aclose()
            raise
        return cls(first, pieces, media_type=media_type, headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await while_connected(receive, self._send_all(send))
        except ClientLeft:
            pass
        except RealtimeError as failure:
            logger.warning("an answer is cut off: %s", failure)
        finally:
            await self._rest.aclose()

    async def _send_all(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self._first, "more_body": True})
        async for piece in self._rest:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def events_or_error(events: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Yield the same events; a failure after the first one becomes the last event, as the service has it.

    Raises:
        RealtimeError: the work failed before its first event.
    """
    begun = False
    async with aclosing(events):
        try:
            async for event in events:
                yield event
                begun = True
        except RealtimeError as failure:
            if not begun:
                raise
            logger.warning("a stream ends early: %s", failure)
            yield sse({"error": error_object(failure)})
