"""One view on the media link: its writer, its heartbeat and its incoming messages."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import msgspec

from realtime_nb.errors import ConnectionLost
from realtime_nb.session.playback_report import RenderedAt
from realtime_nb.timing.clock import monotonic_ms
from realtime_nb.widgets import messages
from realtime_nb.widgets.link_clock import RoundTrips
from realtime_nb.widgets.outbox import Outbox, OutboxFull

__all__ = ["BinaryFrame", "LinkClient", "LinkSocket"]

Transport = Literal["direct", "proxy", "comm"]
DEAD_AFTER_S = {"direct": 15.0, "proxy": 15.0, "comm": 120.0}
"""Silence after which a view is given up; a comm is silent while a cell computes."""
CLOSE_NO_READER = 4408
TELL_INTERVAL_MS = 900.0
"""A little under the pings' second, so that each one is told."""

_decode = msgspec.json.Decoder(messages.ToKernel).decode


class LinkSocket(Protocol):
    """What a link runs on: a WebSocket or the comm dressed as one."""

    async def receive(self) -> str | bytes:
        """Next message; raises `ConnectionLost` at the end."""

    async def send(self, data: str | bytes) -> None:
        """Send one message; raises `ConnectionLost` at the end."""

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close. Idempotent."""


@dataclass(frozen=True, slots=True)
class BinaryFrame:
    """A decoded binary message from the browser."""

    kind: int
    flags: int
    stream_id: int
    sequence: int
    time_client_ms: float
    payload: bytes

    @classmethod
    def decode(cls, data: bytes) -> BinaryFrame:
        """Split header and payload.

        Raises:
            ValueError: shorter than the header.
        """
        header = messages.BINARY_HEADER
        if len(data) < header.size:
            raise ValueError(f"a binary message of {len(data)} bytes is shorter than its {header.size} byte header")
        kind, flags, _, stream_id, sequence, time_client_ms = header.unpack_from(data)
        return cls(kind, flags, stream_id, sequence, time_client_ms, data[header.size :])


class LinkClient:
    """A view that said hello. Lives on the runtime loop; owned by its `MediaLink`.

    Args:
        client_id: chosen by the browser, one per view.
        socket: what it talks through.
        transport: how it got here, as shown to the user.
        session_offset_ms: gives session clock minus monotonic clock, in ms.
        ping_interval_s: time between pings.
    """

    def __init__(
        self,
        client_id: str,
        socket: LinkSocket,
        transport: Transport,
        *,
        session_offset_ms: Callable[[], float] = lambda: 0.0,
        ping_interval_s: float = 1.0,
    ) -> None:
        self.client_id = client_id
        self.transport: Transport = transport
        self.outbox = Outbox()
        self.round_trips = RoundTrips()
        self.malformed = 0
        self._socket = socket
        self._session_offset_ms = session_offset_ms
        self._ping_interval_s = ping_interval_s
        self._heard_at = time.monotonic()
        self._tell_at_ms = 0.0
        self._ended = asyncio.Event()
        self._end: tuple[int, str] = (1000, "")

    def send(self, message: messages.Message, *, first: bool = False, lane: str = "") -> None:
        """Queue a message; a view that stopped reading is cut off instead of growing without bound."""
        try:
            self.outbox.put(message, first=first, lane=lane)
        except OutboxFull:
            self.end(CLOSE_NO_READER, "This view has stopped reading.")

    def end(self, code: int = 1000, reason: str = "") -> None:
        """Ask the link to end; `run` returns soon after."""
        if not self._ended.is_set():
            self._end = (code, reason)
            self._ended.set()

    @property
    def silent_s(self) -> float:
        """Seconds since the view was heard last."""
        return time.monotonic() - self._heard_at

    def measured(self) -> messages.LinkMeasured:
        """The link as it is now."""
        trips = self.round_trips
        return messages.LinkMeasured(
            transport=self.transport,
            round_trip_p50_ms=round(trips.percentile(0.5), 3),
            round_trip_p95_ms=round(trips.percentile(0.95), 3),
            n=trips.n,
            offset_ms=trips.offset_ms + self._session_offset_ms(),
            offset_error_ms=trips.offset_error_ms if trips.n else 0.0,
        )

    def rendered_at(self, time_client_ms: float, output_latency_ms: float) -> RenderedAt | None:
        """Return a moment of the browser's clock on the session's, with its error; None before the first exchange."""
        trips = self.round_trips
        if not trips.n:
            return None
        offset_ms = trips.offset_ms + self._session_offset_ms()
        return RenderedAt(
            time_ms=time_client_ms + offset_ms,
            error_ms=trips.offset_error_ms,
            output_latency_ms=output_latency_ms,
            clock_offset_ms=offset_ms,
        )

    async def run(self, receive: Callable[[messages.Message | BinaryFrame], None]) -> None:
        """Serve the view until its socket ends, it goes silent, or `end` is called; then close the socket.

        `receive` gets every message of the browser in order; pings and pongs are answered here.
        """
        parts = [
            asyncio.create_task(part, name=f"link-{name}-{self.client_id[:8]}")
            for name, part in (
                ("read", self._read(receive)),
                ("write", self._write()),
                ("beat", self._beat()),
                ("end", self._ended.wait()),
            )
        ]
        try:
            done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for part in parts:
                part.cancel()
            results = await asyncio.gather(*parts, return_exceptions=True)
            await self._socket.close(*self._end)
        for part, result in zip(parts, results, strict=True):
            if part in done and isinstance(result, Exception) and not isinstance(result, ConnectionLost):
                raise result

    async def _read(self, receive: Callable[[messages.Message | BinaryFrame], None]) -> None:
        while True:
            data = await self._socket.receive()
            self._heard_at = time.monotonic()
            try:
                message = _decode(data) if isinstance(data, str) else BinaryFrame.decode(data)
            except (msgspec.MsgspecError, ValueError) as error:
                self._complain(error)
                continue
            if isinstance(message, messages.Pong):
                self._on_pong(message)
            elif isinstance(message, messages.ClientPing):
                self.send(
                    messages.ClientPong(ping_id=message.ping_id, time_client_ms=message.time_client_ms), first=True
                )
            else:
                receive(message)

    def _on_pong(self, pong: messages.Pong) -> None:
        now_ms = monotonic_ms()
        self.round_trips.pong(pong.ping_id, pong.time_client_ms, now_ms)
        if self.round_trips.n and now_ms >= self._tell_at_ms:
            self._tell_at_ms = now_ms + TELL_INTERVAL_MS
            self.send(self.measured())

    async def _write(self) -> None:
        while True:
            await self._socket.send(await self.outbox.get())

    async def _beat(self) -> None:
        while self.silent_s < DEAD_AFTER_S[self.transport]:
            self.send(messages.Ping(ping_id=self.round_trips.ping(monotonic_ms())), first=True)
            await asyncio.sleep(self._ping_interval_s)
        self.end(CLOSE_NO_READER, "This view has been silent for too long.")

    def _complain(self, error: Exception) -> None:
        self.malformed += 1
        if self.malformed == 1:
            self.send(
                messages.Notice(
                    level="warning",
                    message=f"The view sent a message that the kernel cannot read ({error}).",
                    what_now="Reload the page; if it stays, front end and Python package are of different versions.",
                )
            )
