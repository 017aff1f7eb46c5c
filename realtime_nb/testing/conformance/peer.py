"""One raw connection to the server under test: frames out, frames in, every one judged as it comes."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from typing import Any

import msgspec

from realtime_nb.errors import ConnectionLost
from realtime_nb.testing.conformance.envelope import Envelope
from realtime_nb.testing.conformance.schema import Validator, own_problem, sdk_problem
from realtime_nb.transport.websocket import WebSocketTransport

Event = dict[str, Any]


def of_response(response_id: str) -> Callable[[Event], bool]:
    """Return a test for `response.done` of one response."""
    return lambda event: event["response"].get("id") == response_id


ERROR_PATIENCE_S = 3.0
SETTLE_S = 5.0
"""How long a connection that is about to be closed may take to end what it began."""


class Missing(Exception):
    """Something that had to come did not.

    Attributes:
        event_types: what was waited for.
    """

    def __init__(self, event_types: tuple[str, ...], patience_s: float, last: Event | None) -> None:
        came = f"; last came {last['type']}" if last else ""
        super().__init__(f"no {' or '.join(event_types)} within {patience_s:g} s{came}")
        self.event_types = event_types
        self.last = last


class Refused(Exception):
    """The server answered an error to something that the scenario needs.

    Attributes:
        frame: the error event.
        event_types: what was waited for.
    """

    def __init__(self, frame: Event, event_types: tuple[str, ...]) -> None:
        error = frame.get("error") or {}
        super().__init__(f"the server refused: {error.get('code')}: {error.get('message')}")
        self.frame = frame
        self.event_types = event_types


class ShapeLog:
    """What schema validation found, by event type, over all connections of a run.

    Attributes:
        sdk_name: what the second judge is, or why there is none.
        seen: how many frames of each type.
        own: the first problem by our types, and its frame, by event type.
        sdk: the same by the SDK's.
    """

    def __init__(self, sdk: Validator | None, sdk_name: str) -> None:
        self.sdk_name = sdk_name
        self.validates = sdk is not None
        self.seen: dict[str, int] = {}
        self.own: dict[str, tuple[str, Any]] = {}
        self.sdk: dict[str, tuple[str, Any]] = {}
        self._validate = sdk

    def judge(self, frame: str, event: Event) -> None:
        """Judge one frame."""
        name = str(event.get("type"))
        self.seen[name] = self.seen.get(name, 0) + 1
        if name not in self.own and (problem := own_problem(frame, event)):
            self.own[name] = (problem, event)
        if self._validate is not None and name not in self.sdk and (problem := sdk_problem(self._validate, frame)):
            self.sdk[name] = (problem, event)


class Peer:
    """A client that hides nothing.

    Attributes:
        events: everything received, in order.
        envelope: what holds on every connection.
        transport: below.
    """

    def __init__(self, transport: WebSocketTransport, shapes: ShapeLog, *, patience_s: float) -> None:
        self.transport = transport
        self.events: list[Event] = []
        self.envelope = Envelope()
        self.patience_s = patience_s
        self._shapes = shapes
        self._expected: set[str | None] = set()
        self._sent = 0

    # --- out ----------------------------------------------------------------------------------------------------

    async def send(self, event_type: str, **fields: Any) -> str:
        """Send a client event with an id of its own, and return the id."""
        self._sent += 1
        event_id = fields.pop("event_id", f"event_conformance_{self._sent:04}")
        await self.transport.send(msgspec.json.encode({"type": event_type, "event_id": event_id, **fields}).decode())
        return event_id

    async def send_raw(self, frame: str | bytes) -> None:
        """Send anything."""
        await self.transport.send(frame)

    async def append(self, audio: bytes) -> None:
        """Append audio in the session's format."""
        frame = {"type": "input_audio_buffer.append", "audio": base64.b64encode(audio).decode()}
        await self.transport.send(msgspec.json.encode(frame).decode())

    # --- in -----------------------------------------------------------------------------------------------------

    async def next(self, patience_s: float | None = None) -> Event:
        """Receive one event.

        Raises:
            TimeoutError: nothing came.
            ConnectionLost: the connection ended.
        """
        async with asyncio.timeout(self.patience_s if patience_s is None else patience_s):
            frame = await self.transport.receive()
        text = frame if isinstance(frame, str) else frame.decode(errors="replace")
        try:
            event = msgspec.json.decode(text)
        except msgspec.DecodeError:
            event = {"type": "(not JSON)", "text": text}
        if not isinstance(event, dict):
            event = {"type": "(not an object)", "value": event}
        event.setdefault("type", "(no type)")
        self._shapes.judge(text, event)
        self.envelope.feed(event)
        self.events.append(event)
        return event

    async def until(
        self, *event_types: str, where: Callable[[Event], bool] = lambda event: True, patience_s: float | None = None
    ) -> Event:
        """Receive up to the next event of one of these types.

        Raises:
            Missing: nothing came for `patience_s`; as long as others come, it may take its time.
            Refused: an error came that was not asked for.
            ConnectionLost: the connection ended.
        """
        patience = self.patience_s if patience_s is None else patience_s
        while True:
            try:
                event = await self.next(patience)
            except TimeoutError:
                raise Missing(event_types, patience, self.events[-1] if self.events else None) from None
            if event["type"] in event_types and where(event):
                return event
            if event["type"] == "error" and (event.get("error") or {}).get("event_id") not in self._expected:
                raise Refused(event, event_types)

    def expect_error(self, event_id: str | None) -> None:
        """An error for this event is fine, whenever it comes."""
        self._expected.add(event_id)

    async def error(self, event_id: str | None, *instead: str, patience_s: float = ERROR_PATIENCE_S) -> Event:
        """Wait for the error that answers what was just sent; return its `error`, with the frame under "frame".

        Args:
            event_id: of what was sent, None if it had none.
            instead: events that mean that it was accepted.
            patience_s: how long the error may take.

        Returns:
            Just the frame, None if nothing came, where it was not an error.
        """
        self.expect_error(event_id)
        try:
            frame = await self.until("error", *instead, patience_s=patience_s)
        except Missing as missing:
            return {"frame": missing.last}
        return {**(frame.get("error") or {}), "frame": frame}

    async def quiet(self, for_s: float) -> list[Event]:
        """Receive until nothing comes for so long, and return what came."""
        start = len(self.events)
        while True:
            try:
                await self.next(for_s)
            except (TimeoutError, ConnectionLost):
                return self.events[start:]

    def of(self, *event_types: str, since: int = 0) -> list[Event]:
        """Return the received events of these types."""
        return [event for event in self.events[since:] if event["type"] in event_types]

    def first(self, *event_types: str, since: int = 0) -> Event | None:
        """Return the first received event of these types, None when there is none."""
        return next(iter(self.of(*event_types, since=since)), None)

    def audio(self, item_id: str) -> bytes:
        """Return the audio of one output item as received."""
        deltas = (one for one in self.of("response.output_audio.delta") if one.get("item_id") == item_id)
        return b"".join(base64.b64decode(one.get("delta") or "") for one in deltas)

    async def settle_and_close(self) -> None:
        """Let what was begun end, close, and judge what never did. Never raises."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + min(SETTLE_S, self.patience_s)
        try:
            while self.envelope.open and loop.time() < deadline:
                await self.next(max(0.001, deadline - loop.time()))
        except (TimeoutError, ConnectionLost):
            pass
        finally:
            await self.transport.aclose()
        self.envelope.finish()
