"""A bad network and a bad server, on purpose: one wrapper around any transport, repeatable by its seed."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Literal

import msgspec

from realtime_nb.errors import ConfigurationError, ConnectionLost, ConnectionRefused

from .base import NORMAL_CLOSE_CODE, Transport, connection_lost
from .network import WEBSOCKET_SETUP_ROUND_TRIPS, Lane, NetworkProfile

QUEUE_FRAMES = 4096
MALFORMED = '{"type": "response.output_audio.delta", "delta": '
EXPIRED = (
    '{"type":"error","event_id":"event_fault","error":{"type":"invalid_request_error","code":"session_expired",'
    '"message":"Your session hit the maximum duration of 60 minutes.","param":null,"event_id":null}}'
)
EXPIRED_REASON = "Your session hit the maximum duration of 60 minutes."
FLUSH_TIMEOUT_S = 2.0
"""How long a closing connection waits for frames that are still on their way through a simulated network."""

OPENING = frozenset({"session.created", "session.update", "session.updated", "error"})
"""Types whose first frame opening needs; an error only where it answers the first update."""

Sleep = Callable[[float], Awaitable[None]]


class Faults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What goes wrong. Every chance is per frame, from a generator for each connection and direction.

    The chances spare each connection's opening, so that they are seen in a conversation: `session.created`, the first
    `session.update` and its answer always pass, once and in place. Cuts, expiry and `refuse` spare nothing.

    Attributes:
        seed: the same seed and the same frames give the same faults, here and on the server's side.
        delay_ms: every frame, each way.
        jitter_ms: up to so much more, in order all the same.
        loss: chance that a frame vanishes.
        duplicate: chance that a frame comes twice.
        reorder: chance that a frame comes after the next one, or at the close if there is none.
        malformed: chance that a frame is followed by one that is not JSON.
        direction: where the chances above apply.
        cut_after_frames: the connection breaks (1006) after so many received frames.
        cut_mid_delta: the connection breaks (1006) after so many received audio deltas.
        slow_consumer_ms: every received frame takes so long to be taken.
        refuse: HTTP status codes that the first openings are refused with, for example (429, 503).
        expire_after_frames: the server says `session_expired` and closes 1001 after so many received frames.
        once: cuts, expiry and the like happen on the first connection only, so that a reconnect can be seen.
    """

    seed: int = 0
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    malformed: float = 0.0
    direction: Literal["both", "received", "sent"] = "both"
    cut_after_frames: int | None = None
    cut_mid_delta: int | None = None
    slow_consumer_ms: float = 0.0
    refuse: tuple[int, ...] = ()
    expire_after_frames: int | None = None
    once: bool = True

    def __post_init__(self) -> None:
        for name in ("loss", "duplicate", "reorder", "malformed"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigurationError(f"{name}={getattr(self, name)} is no chance.", what_now="Give 0 to 1.")
        for name in ("delay_ms", "jitter_ms", "slow_consumer_ms"):
            if getattr(self, name) < 0:
                raise ConfigurationError(f"{name}={getattr(self, name)} is negative.", what_now="Give milliseconds.")


def for_connection(faults: Faults, number: int) -> Faults:
    """Return what goes wrong on the first, second, … connection: with `once`, later ones are not cut."""
    if faults.once and number > 1:
        return msgspec.structs.replace(faults, cut_after_frames=None, cut_mid_delta=None, expire_after_frames=None)
    return faults


class FaultyNetwork:
    """Opens faulty transports; counts openings over one session.

    Args:
        open_transport: what really opens.
        faults: what goes wrong.
        network: how far away and how bad the network is, in the place of the faults' delay and jitter.
        sleep: how to wait, in seconds; a virtual clock's in tests.
    """

    def __init__(
        self,
        open_transport: Callable[[], Awaitable[Transport]],
        faults: Faults,
        *,
        network: NetworkProfile | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._open_transport = open_transport
        self._faults = faults
        self._network = network
        self._sleep = sleep
        self._openings = 0
        self._connections = 0

    async def open(self) -> Transport:
        """Open one connection, or refuse it.

        Raises:
            ConnectionRefused: as `Faults.refuse` says, or because the real one did.
        """
        self._openings += 1
        if self._openings <= len(self._faults.refuse):
            status = self._faults.refuse[self._openings - 1]
            raise ConnectionRefused(
                f"The server answered {status} (a simulated fault).", what_now="Wait a little, then connect again."
            )
        number = self._connections + 1
        lanes = None
        if self._network is not None:
            lanes = self._network.down(number), self._network.up(number)
            await self._sleep(sum(lanes[1].round_trip_s() for _ in range(WEBSOCKET_SETUP_ROUND_TRIPS)))
        transport = await self._open_transport()
        self._connections = number
        faults = for_connection(self._faults, number)
        return FaultyTransport(transport, faults, seed=self._faults.seed + number, lanes=lanes, sleep=self._sleep)


class FaultyTransport:
    """A `Transport` that misbehaves. What was sent still leaves when it is closed; then its two tasks end.

    Args:
        transport: the real one.
        faults: as the client sees them.
        seed: of every chance.
        lanes: the simulated network's ways in and out.
        sleep: how to wait, in seconds.
        server_side: this is the server's end; what the client receives is what goes out here.
    """

    def __init__(
        self,
        transport: Transport,
        faults: Faults,
        *,
        seed: int,
        lanes: tuple[Lane, Lane] | None = None,
        sleep: Sleep = asyncio.sleep,
        server_side: bool = False,
    ) -> None:
        self._transport = transport
        self._faults = faults
        self._sleep = sleep
        self._server_side = server_side
        self._received = 0
        self._deltas = 0
        self._broken: ConnectionLost | None = None
        received, sent = faults.direction != "sent", faults.direction != "received"
        lane_in, lane_out = lanes or (None, None)
        self._flushes = True
        down = (received, random.Random(f"{seed}/down"))
        up = (sent, random.Random(f"{seed}/up"))
        (into, chance_in), (out, chance_out) = (up, down) if server_side else (down, up)
        self._in = _Line(faults, chance_in, self._sleep, active=into, lane=lane_in)
        self._out = _Line(faults, chance_out, self._sleep, active=out, lane=lane_out)
        self._tasks = [asyncio.create_task(self._pump_in()), asyncio.create_task(self._pump_out())]

    async def send(self, frame: str) -> None:
        """Send one text frame, or not. See `Transport.send`."""
        if self._broken is not None:
            raise self._broken
        for each in self._out.passed(frame):
            await self._out.put(each)

    async def receive(self) -> str | bytes:
        """Wait for the next frame, as the faults let it through. See `Transport.receive`."""
        frame = await self._in.get()
        if isinstance(frame, ConnectionLost):
            self._broken = frame
            raise frame
        if not self._server_side:
            await self._take_time()
        return frame

    async def _take_time(self) -> None:
        if self._faults.slow_consumer_ms:
            await self._sleep(self._faults.slow_consumer_ms / 1000)

    async def aclose(self, code: int = NORMAL_CLOSE_CODE, reason: str = "") -> None:
        """Close. See `Transport.aclose`."""
        flushes, self._flushes = self._flushes, False
        try:
            if flushes and self._broken is None:
                async with asyncio.timeout(FLUSH_TIMEOUT_S):
                    for each in self._out.release():
                        await self._out.put(each)
                    await self._out.sent()
        except TimeoutError:
            pass
        finally:
            for task in self._tasks:
                task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._transport.aclose(code, reason)

    async def _pump_in(self) -> None:
        try:
            while True:
                frame = await self._transport.receive()
                for each in self._in.passed(frame):
                    await self._in.put(each)
                    ended = None if self._server_side else self._counted(each)
                    if ended is not None:
                        await self._in.end(*([EXPIRED] if ended.code == 1001 else []), ended)
                        await self._transport.aclose()
                        return
        except ConnectionLost as lost:
            await self._in.end(*self._in.release(), lost)

    def _counted(self, frame: str | bytes) -> ConnectionLost | None:
        faults = self._faults
        self._received += 1
        if isinstance(frame, str) and frame != MALFORMED:
            self._deltas += '"response.output_audio.delta"' in frame[:200]
        if self._received == faults.expire_after_frames:
            return connection_lost(1001, EXPIRED_REASON)
        if self._received == faults.cut_after_frames or (faults.cut_mid_delta and self._deltas >= faults.cut_mid_delta):
            return connection_lost(1006, "simulated fault")
        return None

    async def _pump_out(self) -> None:
        try:
            while True:
                frame = await self._out.get()
                if isinstance(frame, str):
                    await self._transport.send(frame)
                    self._out.frame_sent()
                    await self._end_if_due(frame)
        except ConnectionLost as lost:
            self._broken = lost
            self._flushes = False
            self._out.give_up()

    async def _end_if_due(self, frame: str) -> None:
        """On the server's side, break the connection once the client has received what was to be received."""
        if not self._server_side:
            return
        await self._take_time()
        ended = self._counted(frame)
        if ended is None:
            return
        if ended.code == 1001:
            await self._transport.send(EXPIRED)
        await self._in.end(ended)
        await self._transport.aclose(ended.code, ended.reason)
        raise ended


class _Typed(msgspec.Struct):
    type: str = ""


_TYPED = msgspec.json.Decoder(_Typed)


class _Line:
    """One direction: frames go in, and come out late, twice, swapped or never."""

    def __init__(
        self, faults: Faults, chance: random.Random, sleep: Sleep, *, active: bool, lane: Lane | None = None
    ) -> None:
        self._faults = faults
        self._chance = chance
        self._sleep = sleep
        self._active = active
        self._lane = lane
        self._queue: asyncio.Queue[tuple[float, str | bytes | ConnectionLost]] = asyncio.Queue(QUEUE_FRAMES)
        self._next: tuple[float, str | bytes | ConnectionLost] | None = None
        self._held: str | bytes | None = None
        self._opening = set(OPENING)
        self._due_s = 0.0
        self._unsent = 0
        self._all_sent = asyncio.Event()

    async def put(self, frame: str | bytes) -> None:
        self._unsent += 1
        self._all_sent.clear()
        await self._queue.put((self._due(frame), frame))

    async def end(self, *last: str | bytes | ConnectionLost) -> None:
        for each in last:
            await self._queue.put((self._due(each), each))

    def release(self) -> list[str | bytes]:
        """Return the frame that waits for the next one, if any."""
        held, self._held = self._held, None
        return [] if held is None else [held]

    async def get(self) -> str | bytes | ConnectionLost:
        """Wait for the next frame and until it is due. Cancelling is safe: the frame comes next time."""
        if self._next is None:
            self._next = await self._queue.get()
        due_s, frame = self._next
        wait_s = due_s - time.monotonic()
        if wait_s > 0:
            await self._sleep(wait_s)
        self._next = None
        return frame

    def frame_sent(self) -> None:
        self._unsent -= 1
        if not self._unsent:
            self._all_sent.set()

    def give_up(self) -> None:
        self._all_sent.set()

    async def sent(self) -> None:
        if self._unsent:
            await self._all_sent.wait()

    def passed(self, frame: str | bytes) -> list[str | bytes]:
        """Return what the chances make of a frame."""
        faults, chance = self._faults, self._chance
        if not self._active or self._opens(frame):
            return [frame]
        if chance.random() < faults.loss:
            return []
        passed: list[str | bytes] = [frame]
        if chance.random() < faults.duplicate:
            passed.append(frame)
        if self._held is not None:
            passed += self.release()
        elif chance.random() < faults.reorder:
            self._held = passed.pop(0)
        if chance.random() < faults.malformed:
            passed.append(MALFORMED)
        return passed

    def _opens(self, frame: str | bytes) -> bool:
        try:
            kind = _TYPED.decode(frame).type
        except (msgspec.DecodeError, ValueError):
            kind = ""
        if kind in self._opening:
            self._opening.remove(kind)
            return True
        self._opening.discard("error")
        return False

    def _due(self, frame: str | bytes | ConnectionLost) -> float:
        if self._lane is not None:
            return self._lane.arrival_s(time.monotonic(), 0 if isinstance(frame, ConnectionLost) else len(frame))
        if not self._active or not (self._faults.delay_ms or self._faults.jitter_ms):
            return 0.0
        late_ms = self._faults.delay_ms + self._faults.jitter_ms * self._chance.random()
        self._due_s = max(self._due_s, time.monotonic() + late_ms / 1000)
        return self._due_s
