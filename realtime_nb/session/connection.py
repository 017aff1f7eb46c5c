"""One connection of a session, from opening to its end: its tasks begin and end here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from realtime_nb.errors import ConnectionRefused, LocalProtocolError
from realtime_nb.transport.base import Transport

OUTBOX_FRAMES = 4096
OUTBOX_BYTES = 32 * 1024 * 1024


class Outbox:
    """Frames waiting for the network; who sends more asks first whether there is room."""

    def __init__(self) -> None:
        self._frames: asyncio.Queue[str] = asyncio.Queue()
        self.bytes = 0

    def check(self) -> None:
        """Raise when it is full; asked before anything new is sent.

        What follows of itself (a conversation that is restored, an answer to an event) is sent all the same.

        Raises:
            LocalProtocolError: code `outbox_full`.
        """
        if self._frames.qsize() >= OUTBOX_FRAMES or self.bytes >= OUTBOX_BYTES:
            raise LocalProtocolError(
                f"{self._frames.qsize()} frames ({self.bytes >> 20} MiB) wait; the network is too slow.",
                code="outbox_full",
                what_now="Send audio no faster than the connection carries it.",
            )

    def put(self, frame: str) -> None:
        """Queue a frame."""
        self._frames.put_nowait(frame)
        self.bytes += len(frame)

    async def get(self) -> str:
        """Wait for the next frame. Cancelling is safe."""
        frame = await self._frames.get()
        self.bytes -= len(frame)
        return frame


async def run_connection(
    open_transport: Callable[[], Awaitable[Transport]],
    *,
    receive: Callable[[str | bytes], None],
    outbox: Outbox,
    closing: asyncio.Event,
    greeted: asyncio.Event,
    greeting_timeout_s: float,
    where: str,
) -> None:
    """Open, read and write until `closing` is set (then return) or the connection breaks (then raise).

    Args:
        open_transport: opens it; given up when `closing` is set meanwhile.
        receive: takes every frame.
        outbox: what to send.
        closing: set by the owner to end well.
        greeted: set by the owner when the server's first event came.
        greeting_timeout_s: how long that may take.
        where: the server, for messages.

    Raises:
        ConnectionLost: it broke.
        ConnectionRefused, AuthenticationFailed, ConfigurationError: it did not open, or nobody spoke there.
    """
    opening = asyncio.ensure_future(open_transport())
    closer = asyncio.create_task(closing.wait(), name="realtime_nb session closer")
    tasks: list[asyncio.Task[Any]] = [closer]
    try:
        await asyncio.wait([opening, closer], return_when=asyncio.FIRST_COMPLETED)
        if not opening.done():
            return
        transport = opening.result()
        tasks += [
            asyncio.create_task(_read(transport, receive), name="realtime_nb session reader"),
            asyncio.create_task(_write(transport, outbox), name="realtime_nb session writer"),
            asyncio.create_task(_greeting(greeted, greeting_timeout_s, where), name="realtime_nb session greeting"),
        ]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if closer not in done:
            for task in tasks:
                if task in done:
                    task.result()
    finally:
        for task in (*tasks, opening):
            task.cancel()
        *_, opened = await asyncio.gather(*tasks, opening, return_exceptions=True)
        if not isinstance(opened, BaseException):  # perhaps in the very moment in which this was cancelled
            await opened.aclose()


async def _read(transport: Transport, receive: Callable[[str | bytes], None]) -> None:
    while True:
        receive(await transport.receive())


async def _write(transport: Transport, outbox: Outbox) -> None:
    while True:
        await transport.send(await outbox.get())


async def _greeting(greeted: asyncio.Event, timeout_s: float, where: str) -> None:
    try:
        async with asyncio.timeout(timeout_s):  # `wait_for` loses a cancellation that comes with the result
            await greeted.wait()
    except TimeoutError:
        raise ConnectionRefused(
            f"{where} opened a WebSocket but sent no session.created within {timeout_s:g} s.",
            what_now="Check that this address speaks the Realtime protocol.",
        ) from None
    await asyncio.Event().wait()
