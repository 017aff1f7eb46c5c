"""Requests that wait for the server's answer: ours by id when it is an error, by shape when it is not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from realtime_nb.errors import RealtimeError, ServerRejected
from realtime_nb.protocol import server_events as se


class _Request(msgspec.Struct):
    event_id: str
    answers: Callable[[object], bool]
    future: asyncio.Future[object]


class Requests:
    """The requests of one session that are waiting."""

    def __init__(self) -> None:
        self._waiting: list[_Request] = []

    async def wait(self, event_id: str, answers: Callable[[object], bool], *, timeout_s: float) -> object:
        """Wait for the first event for which `answers` is true.

        Cancelling is safe. Call in the same loop step as the sending, so that no answer is missed.

        Raises:
            ServerRejected: an `error` event named `event_id`.
            RealtimeError: nothing came in time, or the session ended.
        """
        request = _Request(event_id, answers, asyncio.get_running_loop().create_future())
        self._waiting.append(request)
        try:
            async with asyncio.timeout(timeout_s):
                return await request.future
        except TimeoutError:
            raise RealtimeError(
                f"The server did not answer within {timeout_s:g} s.", what_now="Look at the last events of the session."
            ) from None
        finally:
            if request in self._waiting:
                self._waiting.remove(request)

    def take(self, event: object) -> bool:
        """Give a received event to whoever waits for it; True when somebody did."""
        if isinstance(event, se.ErrorEvent):
            for request in self._waiting:
                if request.event_id and request.event_id == event.error.event_id:
                    self._settle(request, rejected(event))
                    return True
            return False
        for request in self._waiting:
            if not request.future.done() and request.answers(event):
                self._settle(request, event)
                return True
        return False

    def fail(self, error: BaseException) -> None:
        """The session ended: nobody will be answered."""
        for request in tuple(self._waiting):
            self._settle(request, error)

    @staticmethod
    def _settle(request: _Request, outcome: object) -> None:
        if request.future.done():
            return
        if isinstance(outcome, BaseException):
            request.future.set_exception(outcome)
        else:
            request.future.set_result(outcome)


def rejected(event: se.ErrorEvent) -> ServerRejected:
    """Return the error that an `error` event stands for."""
    error = event.error
    return ServerRejected(
        f"The server refused: {error.message or error.code or error.type}",
        code=error.code,
        param=error.param,
        event_id=error.event_id,
        what_now="Nothing was changed; the session goes on.",
    )
