"""The one owner of a session's connection: its tasks, its state, its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from realtime_nb.errors import (
    AuthenticationFailed,
    ConnectionLost,
    ConnectionRefused,
    LocalProtocolError,
    RealtimeError,
    ServerRejected,
    SessionClosed,
)
from realtime_nb.protocol import client_events as ce
from realtime_nb.protocol import server_events as se
from realtime_nb.protocol.client import ClientProtocol
from realtime_nb.protocol.codec import encode
from realtime_nb.protocol.playback import CutKind, PlaybackKey
from realtime_nb.transport.base import Transport

from .event_log import EventLog
from .input_tape import InputTape
from .observers import Observers
from .output_audio import OutputAudio
from .requests import Requests, rejected
from .tool_runner import ToolRunner
from .turn import Interruption
from .turn_builder import TurnBuilder

State = Literal["connecting", "connected", "closed", "failed"]

OUTBOX_FRAMES = 4096
OUTBOX_BYTES = 32 * 1024 * 1024
CREATED_TIMEOUT_S = 15.0
FATAL_CODES = {"invalid_api_key", "missing_model", "invalid_model", "model_not_found", "beta_api_shape_disabled"}


class SessionOwner:
    """Runs one connection from opening to its end, on one loop.

    `run` is the owner task. Everything else is called on the same loop.

    Args:
        open_transport: opens the connection.
        config: what to ask for in the first `session.update`, {} for none.
        where: the server, for messages.
    """

    def __init__(
        self, open_transport: Callable[[], Awaitable[Transport]], *, config: dict[str, Any], where: str
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.protocol = ClientProtocol()
        self.log = EventLog()
        self.observers = Observers()
        self.tape = InputTape()
        self.requests = Requests()
        self.turns = TurnBuilder(self.observers, self.tape)
        self.output = OutputAudio(self.protocol.playback)
        self.tools = ToolRunner(self)
        self.state: State = "connecting"
        self.ended: RealtimeError | None = None
        self.ready: asyncio.Future[None] = self.loop.create_future()
        self.finished = asyncio.Event()
        self.where = where
        self._open_transport = open_transport
        self._initial = config
        self._started_ns = time.monotonic_ns()
        self._outbox: asyncio.Queue[str] = asyncio.Queue(OUTBOX_FRAMES)
        self._outbox_bytes = 0
        self._closing = asyncio.Event()
        self._chores: set[asyncio.Task[None]] = set()
        self._fatal: se.ErrorEvent | None = None

    def now_ms(self) -> float:
        """Return milliseconds since the session began."""
        return (time.monotonic_ns() - self._started_ns) / 1e6

    # --- life ---------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Connect, serve until closed or broken, and leave nothing behind. Never raises; see `ended`."""
        transport: Transport | None = None
        try:
            transport = await self._open_transport()
            await self._serve(transport)
            self._end("closed", SessionClosed("The session was closed.", what_now="Connect again to go on."))
        except RealtimeError as error:
            self._end("failed", self._explained(error))
        except asyncio.CancelledError:
            self._end("closed", SessionClosed("The session was closed."))
        except Exception as error:
            self._end("failed", RealtimeError(f"The session broke: {error!r}.", what_now="Please report this."))
        finally:
            for chore in tuple(self._chores):
                chore.cancel()
            if transport is not None:
                await transport.aclose()
            self.finished.set()

    def request_close(self) -> None:
        """Ask for the end; callable from any thread, twice is fine, no effect once the loop is gone."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._closing.set)

    async def _serve(self, transport: Transport) -> None:
        tasks = [
            asyncio.create_task(self._read(transport), name="realtime_nb session reader"),
            asyncio.create_task(self._write(transport), name="realtime_nb session writer"),
            asyncio.create_task(self._closing.wait(), name="realtime_nb session closer"),
            asyncio.create_task(self._expect_created(), name="realtime_nb session greeting"),
        ]
        reader, writer, closer, _ = tasks
        try:
            await asyncio.wait([reader, writer, closer], return_when=asyncio.FIRST_COMPLETED)
            for task in (reader, writer):
                if task.done() and not closer.done():
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, transport: Transport) -> None:
        while True:
            self._receive(await transport.receive())

    async def _write(self, transport: Transport) -> None:
        while True:
            frame = await self._outbox.get()
            self._outbox_bytes -= len(frame)
            await transport.send(frame)

    async def _expect_created(self) -> None:
        await asyncio.sleep(CREATED_TIMEOUT_S)
        if self.state == "connecting":
            self._fatal = None
            self._end(
                "failed",
                ConnectionRefused(
                    f"{self.where} opened a WebSocket but sent no session.created within {CREATED_TIMEOUT_S:g} s.",
                    what_now="Check that this address speaks the Realtime protocol.",
                ),
            )
            self._closing.set()

    def _explained(self, error: RealtimeError) -> RealtimeError:
        if self._fatal is not None and isinstance(error, ConnectionLost):
            details = self._fatal.error
            if details.code == "invalid_api_key":
                return AuthenticationFailed(
                    f"{self.where} refused the key.",
                    what_now="Check OPENAI_API_KEY or api_key=, or unset both to use the embedded server.",
                )
            return ConnectionRefused(f"{self.where} refused the session: {details.message}", what_now="")
        return error

    def _end(self, state: State, error: RealtimeError) -> None:
        if self.ended is not None:
            return
        self.state, self.ended = state, error
        if not self.ready.done():
            self.ready.set_exception(error)
            self.ready.exception()
        self.turns.lose_current(error)
        self.requests.fail(error)
        self.output.mute_open()
        self.observers.tell("on_state", state)
        if state == "failed":
            self.observers.tell("on_notice", "error", error.message, error.what_now)

    def chore(self, work: Awaitable[None]) -> asyncio.Task[None]:
        """Run something of the session's own beside it; it ends with the session."""

        async def guarded() -> None:
            try:
                await work
            except RealtimeError as error:
                self.observers.tell("on_notice", "warning", error.message, error.what_now)

        task = asyncio.create_task(guarded())
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)
        return task

    # --- sending ------------------------------------------------------------------------------------------------

    def check_open(self) -> None:
        """Raise what ended the session, if it ended."""
        if self.ended is not None:
            if isinstance(self.ended, SessionClosed):
                raise SessionClosed("The session is closed.", what_now="Connect again to go on.")
            raise self.ended

    def send(self, event: ce.ClientEvent) -> str:
        """Send an event and return its id.

        Raises:
            LocalProtocolError: refused here, nothing was sent.
            SessionError: the session has ended.
        """
        self.check_open()
        event_id = self.protocol.send(event)
        self.flush()
        return event_id

    def flush(self) -> None:
        """Put what the protocol wants sent on the way."""
        for event in self.protocol.events_to_send():
            frame = encode(event)
            if self._outbox.full() or self._outbox_bytes + len(frame) > OUTBOX_BYTES:
                raise LocalProtocolError(
                    f"{self._outbox.qsize()} frames ({self._outbox_bytes >> 20} MiB) wait; the network is too slow.",
                    code="outbox_full",
                    what_now="Send audio no faster than the connection carries it.",
                )
            logged = self.log.append(self.now_ms(), "sent", str(event.__struct_config__.tag), frame)
            self._outbox.put_nowait(frame)
            self._outbox_bytes += len(frame)
            if isinstance(event, ce.ClientEventBase):
                self.turns.take_sent(event, logged)
            self.observers.tell("on_event", logged)

    def waiting_ms(self) -> float:
        """Return roughly how much input audio (24 kHz PCM16 in base64) waits to be sent."""
        return self._outbox_bytes * 3 / 4 / 48

    async def request(
        self, event: ce.ClientEvent, answers: Callable[[object], bool], *, timeout_s: float = 10.0
    ) -> object:
        """Send an event and wait for its answer. See `Requests.wait` for what it raises."""
        event_id = self.send(event)
        return await self.requests.wait(event_id, answers, timeout_s=timeout_s)

    # --- receiving ----------------------------------------------------------------------------------------------

    def _receive(self, frame: str | bytes) -> None:
        now_ms = self.now_ms()
        event = self.protocol.receive(frame)
        text = frame if isinstance(frame, str) else frame.decode("utf-8", "replace")
        kind = event.type if isinstance(event, se.UnknownEvent) else str(event.__struct_config__.tag)
        logged = self.log.append(now_ms, "received", kind or "(not an event)", text)
        if isinstance(event, se.OutputAudioDelta):
            self._take_audio(event)
        self.turns.take(event, logged, self.protocol.config)
        self._react(event)
        self.tools.take(event)
        self.observers.tell("on_event", logged)
        answered = self.requests.take(event)
        quiet = FATAL_CODES | {"response_cancel_not_active"}
        if isinstance(event, se.ErrorEvent) and not answered and event.error.code not in quiet:
            problem = rejected(event)
            self.observers.tell("on_notice", "warning", problem.message, problem.what_now)
        if isinstance(event, se.ResponseDone):
            self.turns.finish(event.response.id)
        self.flush()

    def _take_audio(self, event: se.OutputAudioDelta) -> None:
        key = PlaybackKey(event.item_id, event.content_index)
        pcm16 = self.output.take(key, event.delta, self.protocol.config.audio.output.format)
        turn = self.turns.turns.get(event.response_id)
        if turn is not None:
            turn.add_audio(pcm16)

    def _react(self, event: object) -> None:
        match event:
            case se.SessionCreated():
                self._on_created()
            case se.ErrorEvent() if event.error.code in FATAL_CODES:
                self._fatal = event
            case se.ErrorEvent() if self.state == "connecting" and event.error.code == "session_expired":
                self._fatal = event
            case se.OutputAudioDone():
                self._end_audio(PlaybackKey(event.item_id, event.content_index))
            case se.SpeechStarted():
                detection = self.protocol.config.audio.input.turn_detection
                if detection is not None and detection.interrupt_response and self.output.audible:
                    self.output.mute_open()
                    self.chore(self.cut("speech"))

    def _end_audio(self, key: PlaybackKey) -> None:
        self.output.end(key)
        if self.output.player is None:
            self.turns.drained(key, self.now_ms())

    def _on_created(self) -> None:
        self.state = "connected"
        if self._initial:
            event_id = self.protocol.send(
                ce.SessionUpdate(session={"type": self.protocol.config.type, **self._initial})
            )
            self.chore(self._initial_answer(event_id))
        elif not self.ready.done():
            self.ready.set_result(None)
        self.observers.tell("on_state", self.state)

    async def _initial_answer(self, event_id: str) -> None:
        try:
            await self.requests.wait(event_id, lambda event: isinstance(event, se.SessionUpdated), timeout_s=10)
        except RealtimeError as error:
            if not self.ready.done():
                self.ready.set_exception(error)
                self.ready.exception()
            raise
        if not self.ready.done():
            self.ready.set_result(None)

    async def offer_tools(self) -> None:
        """Tell the server which tools there are now, beside those that were given as dicts."""
        toolbox = self.tools.toolbox
        others = [tool for tool in self.protocol.config.tools if tool.get("name") not in toolbox]
        update = ce.SessionUpdate(session={"type": "realtime", "tools": [*others, *toolbox.definitions]})
        await self.request(update, lambda event: isinstance(event, se.SessionUpdated))

    # --- interruption -------------------------------------------------------------------------------------------

    async def cut(self, reason: Interruption) -> None:
        """Stop playback, and tell the server what was really heard.

        Nothing heard deletes the item, nothing unheard says nothing, else `conversation.item.truncate` carries the
        rendered milliseconds, floored.
        """
        for cut in await self.output.cut():
            if cut.kind is CutKind.NOTHING:
                continue
            self.turns.interrupted(cut.key, reason, cut.audio_end_ms, self.now_ms())
            if cut.kind is CutKind.DELETE:
                self.send(ce.ConversationItemDelete(item_id=cut.key.item_id))
            else:
                self.send(
                    ce.ConversationItemTruncate(
                        item_id=cut.key.item_id,
                        content_index=cut.key.content_index,
                        audio_end_ms=min(cut.audio_end_ms, self.protocol.playback.received_ms(cut.key)),
                    )
                )

    async def interrupt(self, reason: Interruption) -> bool:
        """Stop what is being generated and played; True when there was something to stop."""
        active, audible = self.protocol.active_default, self.output.audible
        if active is None and not audible:
            if self.protocol.creates_pending:
                self.protocol.send(ce.ResponseCancel())
                return True
            return False
        self.output.mute_open()
        if active is not None:
            await self._cancel(active, reason)
        await self.cut(reason)
        return True

    async def _cancel(self, response_id: str, reason: Interruption) -> None:
        turn = self.turns.turns.get(response_id)
        if turn is not None:
            turn.interrupted = reason
        try:
            await self.request(
                ce.ResponseCancel(response_id=response_id),
                lambda event: isinstance(event, se.ResponseDone) and event.response.id == response_id,
            )
        except ServerRejected as refused:
            if refused.code != "response_cancel_not_active":
                raise


__all__ = ["SessionOwner", "State"]
