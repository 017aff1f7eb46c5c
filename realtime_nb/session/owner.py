"""The one owner of a session's connection: its tasks, its state, its end."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from realtime_nb.errors import AuthenticationFailed, ConnectionLost, ConnectionRefused, RealtimeError, SessionClosed
from realtime_nb.protocol import client_events as ce
from realtime_nb.protocol import server_events as se
from realtime_nb.protocol.client import ClientProtocol
from realtime_nb.protocol.codec import encode
from realtime_nb.protocol.items import Item
from realtime_nb.protocol.playback import PlaybackKey
from realtime_nb.protocol.session_config import SessionConfig
from realtime_nb.timing.clock import MonotonicClock
from realtime_nb.transport.base import Transport

from .answer_watch import ANSWER_TIMEOUT_S, AnswerWatch
from .barge_in import BargeIn, BargeInWatch
from .chores import Chores
from .connection import Outbox, run_connection
from .event_log import EventLog
from .input_tape import InputTape
from .interruption import Interrupter
from .observers import Observers
from .output_audio import OutputAudio
from .owner_loop import set_soon
from .reconnect import NEVER, Reconnect, StateRestored, pause, restorable, retryable, settings_again
from .requests import Requests, rejected
from .tool_runner import ToolRunner
from .turn_builder import TurnBuilder

State = Literal["connecting", "connected", "reconnecting", "closed", "failed"]

CREATED_TIMEOUT_S = 15.0
FATAL_CODES = {"invalid_api_key", "missing_model", "invalid_model", "model_not_found", "beta_api_shape_disabled"}


class SessionOwner:
    """Runs one connection from opening to its end, on one loop.

    `run` is the owner task. Everything else is called on the same loop.

    Args:
        open_transport: opens the connection.
        config: what to ask for in the first `session.update`, {} for none.
        where: the server, for messages.
        barge_in: when speech interrupts; at once by default.
        reconnect: what to do when the connection breaks.
        answer_timeout_s: how long the server may send nothing in the middle of an answer.
        sleep: how to wait between attempts, in seconds.
    """

    def __init__(
        self,
        open_transport: Callable[[], Awaitable[Transport]],
        *,
        config: dict[str, Any],
        where: str,
        barge_in: BargeIn | None = None,
        reconnect: Reconnect = NEVER,
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.protocol = ClientProtocol()
        self.log = EventLog()
        self.observers = Observers()
        self._chores = Chores(self.observers)
        self.chore = self._chores.begin
        self.tape = InputTape()
        self.requests = Requests()
        self.turns = TurnBuilder(self.observers, self.tape)
        self.output = OutputAudio(self.protocol.playback)
        self.tools = ToolRunner(self)
        self.answers = AnswerWatch(self, answer_timeout_s)
        self.state: State = "connecting"
        self.ended: RealtimeError | None = None
        self.ready: asyncio.Future[None] = self.loop.create_future()
        self.finished = asyncio.Event()
        self.where = where
        self._open_transport = open_transport
        self._initial = config
        self._clock = MonotonicClock()
        self.interrupter = Interrupter(self)
        self.barge_in = BargeInWatch(self, barge_in or BargeIn())
        self.restored: StateRestored | None = None
        self.rebuild = self._rebuild  # a replay does it again as it was
        self._gap_audio: deque[tuple[bytes, bytes]] = deque()
        self._reconnect = reconnect
        self._sleep = sleep
        self._chance = random.Random()
        self._attempts = self._attempts_before = 0
        self._connected_ms = 0.0
        self._lost_ms = 0.0
        self._lost: RealtimeError | None = None
        self._gap_dropped_ms = 0.0
        self._plan: tuple[SessionConfig, list[Item], int, int] = (SessionConfig(), [], 0, 0)
        self._outbox = Outbox()
        self._greeted = asyncio.Event()
        self.closing = asyncio.Event()
        self._fatal: se.ErrorEvent | None = None

    def now_ms(self) -> float:
        """Return milliseconds since the session began."""
        return self._clock.now_ms()

    # --- life ---------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Connect, serve until closed or broken for good, and leave nothing behind. Never raises; see `ended`."""
        try:
            await self._serve()
            self._end("closed", SessionClosed("The session was closed.", what_now="Connect again to go on."))
        except RealtimeError as error:
            self._end("failed", error)
        except asyncio.CancelledError:
            self._end("closed", SessionClosed("The session was closed."))
        except Exception as error:
            self._end("failed", RealtimeError(f"The session broke: {error!r}.", what_now="Please report this."))
        finally:
            try:
                await self._chores.end()
            finally:
                self.finished.set()

    async def _serve(self) -> None:
        while True:
            try:
                await run_connection(
                    self._open_transport,
                    receive=self._receive,
                    outbox=self._outbox,
                    closing=self.closing,
                    greeted=self._greeted,
                    greeting_timeout_s=CREATED_TIMEOUT_S,
                    where=self.where,
                )
                return
            except RealtimeError as problem:
                error = self._explained(problem)
                lasted_ms = self.now_ms() - self._connected_ms if self.state == "connected" else 0.0
                self._attempts = 1 if lasted_ms > self._reconnect.longest_delay_s * 1000 else self._attempts + 1
                if not self.ready.done() or self._attempts > self._reconnect.attempts or not retryable(error):
                    raise error from problem
                self._break(error)
            await pause(self._sleep(self._reconnect.delay_s(self._attempts, self._chance)), self.closing)
            if self.closing.is_set():
                return

    def _break(self, error: RealtimeError) -> None:
        """The connection is gone and will be opened again: end what went on, keep everything else."""
        if self.state == "reconnecting":
            return
        self.state, self._lost, self._lost_ms = "reconnecting", error, self.now_ms()
        self._attempts_before = self._attempts - 1
        self._outbox, self._greeted = Outbox(), asyncio.Event()
        self._stop_what_went_on(error)
        before = self.protocol
        self._plan = (before.config, *restorable(before.conversation))
        self.protocol = ClientProtocol(ids=before.ids)
        self.protocol.session, self.protocol.config = before.session, before.config
        self.output.follow(self.protocol.playback)
        self.tape.restart()
        self.turns.input_cleared()
        self.observers.tell("on_lost", error)
        self.observers.tell("on_state", self.state)
        self.observers.tell("on_notice", "warning", error.message, "Connecting again; what was received is kept.")

    def request_close(self) -> None:
        """Ask for the end; callable from any thread, twice is fine, no effect once the loop is gone."""
        set_soon(self.loop, self.closing)

    def _explained(self, error: RealtimeError) -> RealtimeError:
        mended = self.state == "connected" and retryable(error)  # what was refused was not the session
        if self._fatal is not None and isinstance(error, ConnectionLost) and not mended:
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
        self._stop_what_went_on(error)
        self.observers.tell("on_ended", error, self.now_ms())
        self.observers.tell("on_state", state)
        if state == "failed":
            self.observers.tell("on_notice", "error", error.message, error.what_now)

    def _stop_what_went_on(self, error: RealtimeError) -> None:
        self.answers.stop()
        self.turns.lose_current(error, self.now_ms())
        self.requests.fail(error)
        self.tools.connection_lost()
        self.barge_in.connection_lost()
        self.output.mute_open()

    # --- sending ------------------------------------------------------------------------------------------------

    def check_open(self) -> None:
        """Raise what ended the session, if it ended."""
        if self.ended is not None:
            if isinstance(self.ended, SessionClosed):
                raise SessionClosed("The session is closed.", what_now="Connect again to go on.")
            raise self.ended
        if self.state == "reconnecting" and self._lost is not None:
            raise self._lost

    def send(self, event: ce.ClientEvent) -> str:
        """Send an event and return its id.

        Raises:
            LocalProtocolError: refused here, nothing was sent.
            SessionError: the session has ended.
        """
        self.check_open()
        self._outbox.check()
        event_id = self.protocol.send(event)
        self.flush()
        return event_id

    def flush(self) -> None:
        """Put what the protocol wants sent on the way."""
        for event in self.protocol.events_to_send():
            frame = encode(event)
            logged = self.log.append(self.now_ms(), "sent", str(event.__struct_config__.tag), frame)
            self._outbox.put(frame)
            if isinstance(event, ce.ClientEventBase):
                self.turns.take_sent(event, logged)
            self.observers.tell("on_event", logged)
        self.answers.look()

    def waiting_ms(self) -> float:
        """Return roughly how much input audio (24 kHz PCM16 in base64) waits to be sent."""
        return self._outbox.bytes * 3 / 4 / 48

    async def request(
        self, event: ce.ClientEvent, answers: Callable[[object], bool], *, timeout_s: float = 10.0
    ) -> object:
        """Send an event and wait for its answer. See `Requests.wait` for what it raises."""
        event_id = self.send(event)
        return await self.requests.wait(event_id, answers, timeout_s=timeout_s)

    # --- receiving ----------------------------------------------------------------------------------------------

    def _receive(self, frame: str | bytes) -> None:
        now_ms, asked = self.now_ms(), self.protocol.creates_pending
        event = self.protocol.receive(frame)
        text = frame if isinstance(frame, str) else frame.decode("utf-8", "replace")
        kind = event.type if isinstance(event, se.UnknownEvent) else str(event.__struct_config__.tag)
        logged = self.log.append(now_ms, "received", kind or "(not an event)", text)
        self.answers.heard(logged.event_type)
        if isinstance(event, se.OutputAudioDelta):  # most of what comes, and nobody below is concerned
            self._take_audio(event)
            self.turns.take(event, logged, self.protocol.config)
            self.observers.tell("on_event", logged)
            return
        self.turns.take(event, logged, self.protocol.config)
        self._react(event)
        self.barge_in.take(event)
        self.tools.take(event)
        self.observers.tell("on_event", logged)
        answered = self.requests.take(event)
        quiet = FATAL_CODES | {"response_cancel_not_active"}
        if isinstance(event, se.ErrorEvent) and not answered and event.error.code not in quiet:
            problem = rejected(event)
            self.observers.tell("on_notice", "warning", problem.message, problem.what_now)
        if isinstance(event, se.ErrorEvent) and self.protocol.creates_pending < asked and not self.protocol.active:
            self.observers.tell("on_unanswered", rejected(event))
        if isinstance(event, se.ResponseDone):
            self.turns.finish(event.response.id)
        self.flush()

    def _take_audio(self, event: se.OutputAudioDelta) -> None:
        key = PlaybackKey(event.item_id, event.content_index)
        pcm16 = self.output.take(key, event.delta, self.protocol.output_format(event.response_id))
        audible = self.output.player is not None
        self.observers.tell("on_assistant_audio", key, pcm16, self.now_ms(), audible)
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

    def _end_audio(self, key: PlaybackKey) -> None:
        self.output.end(key)
        if self.output.player is None:
            self.turns.drained(key, self.now_ms())

    def _on_created(self) -> None:
        self._greeted.set()
        if self.state == "reconnecting":
            self._restore()
            return
        self.state = "connected"
        if self._initial:
            event_id = self.protocol.send(
                ce.SessionUpdate(session={"type": self.protocol.config.type, **self._initial})
            )
            self.chore(self._initial_answer(event_id))
        elif not self.ready.done():
            self.ready.set_result(None)
        self.observers.tell("on_state", self.state)

    def _restore(self) -> None:
        """Go on with a fresh connection."""
        self.state, self._lost = "connected", None
        self.restored = self.rebuild()
        self._connected_ms, self._gap_dropped_ms = self.now_ms(), 0.0
        self.observers.tell("on_restored", self.restored)
        self.observers.tell("on_state", self.state)
        self.observers.tell("on_notice", "info", str(self.restored), "")

    def _rebuild(self) -> StateRestored:
        """Give the conversation to a fresh connection; assistant turns come back as text."""
        config, items, lost, spoken = self._plan
        settings = settings_again(config)
        if len(self.tools.toolbox):  # perhaps more than the server was told of
            settings["tools"] = self._tools_beside(config)
        if settings:
            self.protocol.send(ce.SessionUpdate(session={"type": config.type, **settings}))
        for item in items:
            self.protocol.send(ce.ConversationItemCreate(item=item))
        kept = list(self._gap_audio)
        self._gap_audio.clear()
        for pcm16, audio in kept:
            self.hear(pcm16)
            self.protocol.send(ce.InputAudioBufferAppend(audio=audio))
        return StateRestored(
            gap_ms=self.now_ms() - self._lost_ms,
            attempts=self._attempts - self._attempts_before,
            items=len(items),
            items_lost=lost,
            spoken_as_text=spoken,
            microphone_kept_ms=sum(len(pcm16) for pcm16, _ in kept) / 48,
            microphone_dropped_ms=self._gap_dropped_ms,
        )

    def hear(self, pcm16: bytes, *, spoken_ms: float | None = None) -> None:
        """Note user audio that is being sent; `spoken_ms`: when it ended, where that is known."""
        now_ms = self.now_ms()
        self.tape.append(pcm16, now_ms)
        self.observers.tell("on_user_audio", pcm16, now_ms if spoken_ms is None else spoken_ms)

    def keep_for_later(self, pcm16: bytes, audio: bytes) -> None:
        """Keep microphone audio, and its wire form, while there is no connection, up to the bound."""
        self._gap_audio.append((pcm16, audio))
        while sum(len(kept) for kept, _ in self._gap_audio) / 48 > self._reconnect.kept_microphone_ms:
            self._gap_dropped_ms += len(self._gap_audio.popleft()[0]) / 48

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
        update = ce.SessionUpdate(session={"type": "realtime", "tools": self._tools_beside(self.protocol.config)})
        await self.request(update, lambda event: isinstance(event, se.SessionUpdated))

    def _tools_beside(self, config: SessionConfig) -> list[dict[str, Any]]:
        toolbox = self.tools.toolbox
        return [*(tool for tool in config.tools if tool.get("name") not in toolbox), *toolbox.definitions]


__all__ = ["SessionOwner", "State"]
