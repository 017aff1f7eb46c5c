"""The Studio's work on the runtime loop: link messages to session verbs, session news to link messages."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any
from weakref import WeakKeyDictionary

from realtime_nb.audio import AudioClip, bundled
from realtime_nb.audio.format import PCM16_BYTES_PER_MS
from realtime_nb.errors import ConfigurationError, RealtimeError, SessionClosed
from realtime_nb.runtime import Runtime
from realtime_nb.timing.clock import monotonic_ms
from realtime_nb.widgets import messages
from realtime_nb.widgets.base import Desk, in_words
from realtime_nb.widgets.early_speech import EarlySpeech
from realtime_nb.widgets.event_queries import EventQueries
from realtime_nb.widgets.link_client import BinaryFrame, LinkClient
from realtime_nb.widgets.link_player import LinkPlayer, LoopReport
from realtime_nb.widgets.loops import call_on, hand_to
from realtime_nb.widgets.playback_feed import PlaybackFeed, StreamKey
from realtime_nb.widgets.session_feed import SessionFeed
from realtime_nb.widgets.session_port import LoggedEventPort, SessionPort
from realtime_nb.widgets.uploads import Uploads

__all__ = ["StudioDesk"]

KEPT_TURNS = 100
MAX_TEXT_CHARACTERS = 20_000
EARLY_FAILURE_S = 0.25
EARLY_FRAME_BYTES = 20 * PCM16_BYTES_PER_MS

_loudspeakers: WeakKeyDictionary[SessionPort, StudioDesk] = WeakKeyDictionary()
"""Which Studio was given a session's voice last."""


class StudioDesk(Desk):
    """One Studio. Everything runs on the runtime loop.

    Args:
        engine_room: the runtime.
        send: the widget's `send`.
        session: an open session, or None to connect on first use.
        connect: makes the session when it is needed.
    """

    def __init__(
        self,
        engine_room: Runtime,
        send: Callable[[dict[str, Any], list[bytes] | None], None],
        session: SessionPort | None,
        connect: Callable[[], Any] | None,
    ) -> None:
        super().__init__(engine_room, send)
        loop = engine_room.loop
        self.session = session
        self.turns: deque[Any] = deque(maxlen=KEPT_TURNS)
        self.feed = SessionFeed(loop, self._publish, self.turns.append)
        self.assistant = PlaybackFeed(
            "assistant",
            on_overflow=self._on_overflow,
            on_playing=self.feed.set_playing,
            on_given_up=self._on_unheard,
        )
        self.user = PlaybackFeed("user")
        self.uploads = Uploads()
        self.microphone = messages.MicrophoneState(state="stopped")
        self._player = LinkPlayer(self.assistant, loop)
        self._connect = connect
        self._owns_session = False
        self._connecting = asyncio.Lock()
        self._verbs = asyncio.Lock()
        self._talking = self._listening = False
        self._early = EarlySpeech()
        self._microphone_stream = 0
        self._clip_count = 0
        self._detach_player: Callable[[], None] | None = None
        if session is not None:
            hand_to(loop, self._adopt, session, False)
        in_order = {
            "connect": self._open_session,
            "disconnect": self._close_session,
            "talk_start": self._talk_start,
            "talk_end": self._talk_end,
            "microphone_open": self._microphone_open,
            "microphone_close": self._microphone_close,
        }
        self._commands |= {name: self._in_order(handler) for name, handler in in_order.items()}
        self._commands |= {
            "say_text": self._say_text,
            "play_clip": self._play_clip,
            "upload_clip": self._upload_clip,
            "interrupt": self._interrupt,
            "approve_tool": self._approve_tool,
        }
        self._commands |= EventQueries(self._event, lambda: self.session and self.session.config).commands

    # --- session ----------------------------------------------------------------------------------------------

    async def ensure_session(self) -> SessionPort:
        """Return the open session, connecting when there is none.

        Raises:
            RealtimeError: there is no way to connect, or connecting failed (also shown in the views).
        """
        async with self._connecting:
            if self.session is not None and self.session.state in ("connected", "connecting", "reconnecting"):
                return self.session
            if self._connect is None:
                if self.session is not None:
                    raise SessionClosed("The session has ended.", what_now="Connect a new one and make a new Studio.")
                raise ConfigurationError(
                    "This Studio has no session.", what_now="Make it with Studio(session) or with connect options."
                )
            self.feed.refresh_state(state="connecting", error="", what_now="")
            try:
                session = await self._connect()
            except BaseException as error:
                message, what_now = in_words(error)
                state = "idle" if isinstance(error, asyncio.CancelledError) else "failed"
                self.feed.detach()
                self.feed.refresh_state(state=state, error="" if state == "idle" else message, what_now=what_now)
                raise
            self._adopt(session, True)
            return session

    def _adopt(self, session: SessionPort, owned: bool) -> None:
        self._drop_player()
        self.session, self._owns_session = session, owned
        self._talking = self._listening = False
        self.assistant.report = LoopReport(session.playback, session.loop)
        self.turns.clear()
        self.turns.extend(session.history)
        self.feed.attach(session)
        self.link.clock_ms = session.now_ms
        if self.link.active is not None:
            self._attach_player()

    def _attach_player(self) -> None:
        if self.session is not None and self._detach_player is None:
            self._detach_player = self.session.attach_player(self._player)
            _loudspeakers[self.session] = self

    def _drop_player(self) -> None:
        if self._detach_player is not None:
            self._detach_player()
            self._detach_player = None

    async def close(self) -> None:
        """End microphone, playback, own session, link. Idempotent."""
        if self.closed:
            return
        self.closed = True
        self.link.broadcast(messages.MicrophoneControl(open=False))
        self.assistant.close()
        self.user.close()
        self._drop_player()
        session = self.session
        with contextlib.suppress(Exception):
            if session is not None and self._owns_session:
                await call_on(session.loop, _as_coroutine(session.aclose()))
            elif session is not None:
                await self._stop_input(session)
        self.feed.detach()
        self.uploads.close()
        self.link.clock_ms = monotonic_ms
        self.session = self._connect = None
        await super().close()

    # --- what the link tells ----------------------------------------------------------------------------------

    def on_join(self, client: LinkClient) -> None:
        """Replay what the view missed."""
        for message in self.feed.replay():
            client.send(message)
        self.spawn(self._send_clips(client))

    async def _send_clips(self, client: LinkClient) -> None:
        known = await asyncio.to_thread(bundled.clips)
        clips = [
            messages.ClipEntry(clip_id=name, title=clip.title, duration_ms=round(clip.duration_ms), origin=clip.origin)
            for name, clip in known.items()
        ]
        client.send(messages.Clips(clips=clips))

    def on_leave(self, client: LinkClient) -> None:
        """A view that carried the microphone is gone: what it said is complete."""
        self.uploads.abandon(client.client_id)
        if client is self.link.active and (self._talking or self._listening) and not self.closed:
            session = self.session
            if session is not None:
                self.spawn(self._stop_input(session))

    def on_active(self, client: LinkClient | None) -> None:
        """Play there from now on."""
        self.assistant.set_client(client)
        self.user.set_client(client)
        if client is not None:
            self._attach_player()
        elif self.assistant.stopped:
            self._on_unheard()
        elif not self.assistant.playing:
            self._drop_player()

    def on_binary(self, client: LinkClient, frame: BinaryFrame) -> None:
        """Microphone of the active view to the session; file bytes to their upload."""
        if frame.kind == messages.KIND_MICROPHONE:
            if client is self.link.active:
                self._hear(frame)
        elif frame.kind == messages.KIND_UPLOAD:
            self.uploads.feed(client.client_id, frame.stream_id, frame.payload)

    def _hear(self, frame: BinaryFrame) -> None:
        self._microphone_stream = frame.stream_id
        if self.session is not None and (self._talking or self._listening):
            self.session.feed_microphone(frame.payload)
        else:
            self._early.keep(frame.stream_id, frame.payload)

    def _feed_early(self, session: SessionPort) -> None:
        early = self._early.take()
        for start in range(0, len(early), EARLY_FRAME_BYTES):
            session.feed_microphone(early[start : start + EARLY_FRAME_BYTES])

    def on_message(self, client: LinkClient, message: messages.Message) -> None:
        """Counts and microphone news; the rest are commands."""
        if isinstance(message, messages.PlaybackRendered):
            self.assistant.on_rendered(client, message)
            self.user.on_rendered(client, message)
        elif isinstance(message, messages.PlaybackFlushed):
            self.assistant.on_flushed(client, message)
            self.user.on_flushed(client, message)
        elif isinstance(message, messages.MicrophoneState):
            self.microphone = message
        else:
            if isinstance(message, messages.Command) and message.name == "upload_clip" and not self.busy:
                self.uploads.announce(client.client_id, message.id, message.arguments.get("size"))
            super().on_message(client, message)

    # --- commands ---------------------------------------------------------------------------------------------

    def _in_order(self, handler: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
        async def ordered(client: LinkClient, command: messages.Command) -> dict[str, Any] | None:
            async with self._verbs:
                return await handler(client)

        return ordered

    async def _open_session(self, client: LinkClient) -> None:
        await self.ensure_session()

    async def _close_session(self, client: LinkClient) -> None:
        if self.session is not None:
            await self.session.aclose()

    async def _talk_start(self, client: LinkClient) -> None:
        session = await self._speaker(client)
        await self.user.flush()
        await session.talk_start()
        self._talking = True
        self._feed_early(session)

    async def _talk_end(self, client: LinkClient) -> None:
        self._early.end(self._microphone_stream)
        if self.session is not None and self._talking:
            self._talking = False
            await self.session.talk_end()

    async def _microphone_open(self, client: LinkClient) -> None:
        session = await self._speaker(client)
        await session.microphone_open()
        self._listening = True
        self._feed_early(session)

    async def _microphone_close(self, client: LinkClient) -> None:
        self._early.end(self._microphone_stream)
        if self.session is not None and self._listening:
            self._listening = False
            await self.session.microphone_close()

    async def _speaker(self, client: LinkClient) -> SessionPort:
        self.link.activate(client.client_id)
        return await self.ensure_session()

    async def _stop_input(self, session: SessionPort) -> None:
        talking, listening = self._talking, self._listening
        self._early.end(self._microphone_stream)
        self._talking = self._listening = False
        if talking:
            await session.talk_end()
        if listening:
            await session.microphone_close()

    async def _say_text(self, client: LinkClient, command: messages.Command) -> None:
        text = str(command.arguments.get("text", "")).strip()
        if not text:
            raise RealtimeError("There is nothing to say.", what_now="Type some words first.")
        if len(text) > MAX_TEXT_CHARACTERS:
            raise RealtimeError(
                f"The text has {len(text)} characters; at most {MAX_TEXT_CHARACTERS} can be said.",
                what_now="Say it in parts.",
            )
        await self._ask(text)

    async def _play_clip(self, client: LinkClient, command: messages.Command) -> dict[str, Any]:
        return await self._speak(await asyncio.to_thread(bundled.clip, str(command.arguments.get("clip_id", ""))))

    async def _upload_clip(self, client: LinkClient, command: messages.Command) -> dict[str, Any]:
        name = str(command.arguments.get("filename", ""))[:200]
        data = await self.uploads.receive(client.client_id, command.id, name)
        return await self._speak(await asyncio.to_thread(AudioClip.load, data, title=name))

    async def _speak(self, clip: AudioClip) -> dict[str, Any]:
        await self.ensure_session()
        await self.user.flush()
        self._clip_count += 1
        key = (f"clip_{self._clip_count}", 0)
        self.user.begin(key)
        self.user.write(key, clip.resampled(24_000).pcm16_bytes())
        self.user.end(key)
        try:
            await self._ask(clip)
        except RealtimeError:
            await self.user.flush()
            raise
        return {"title": clip.title, "duration_ms": round(clip.duration_ms)}

    async def _ask(self, question: Any) -> None:
        session = await self.ensure_session()
        asked = self.runtime.loop.create_task(_as_coroutine(session.ask(question)))
        self.keep(asked)
        done, _ = await asyncio.wait({asked}, timeout=EARLY_FAILURE_S)
        if done:
            asked.result()
        else:
            asked.add_done_callback(self._tell_late_failure)

    def _tell_late_failure(self, task: asyncio.Task[Any]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not self.closed:
            self.notify(error)

    async def _interrupt(self, client: LinkClient, command: messages.Command) -> None:
        await self.user.flush()
        if self.session is not None and self.session.state == "connected":
            await self.session.interrupt(reason="button")
        else:
            await self.assistant.flush()

    async def _approve_tool(self, client: LinkClient, command: messages.Command) -> None:
        call_id, approved = str(command.arguments.get("call_id", "")), command.arguments.get("approved") is True
        if self.session is None or not await self.session.approve(call_id, approved=approved):
            raise RealtimeError("This call no longer waits for approval.", what_now="The transcript says how it ended.")

    def _event(self, sequence: int) -> LoggedEventPort:
        if self.session is None:
            raise KeyError(sequence)
        return self.session.events[sequence]

    # --- news -------------------------------------------------------------------------------------------------

    def _publish(self, message: messages.Message) -> None:
        if self._link is not None:
            self._link.broadcast(message)

    def _on_overflow(self, key: StreamKey) -> None:
        self.notify(
            RealtimeError(
                "More than three minutes of the answer were waiting to be played; the rest will not be heard.",
                what_now="The whole audio is in the turn: play it with turn.audio in a cell.",
            )
        )

    def _on_unheard(self) -> None:
        if not self.closed:
            self.spawn(self._end_unheard())

    async def _end_unheard(self) -> None:
        session = self.session
        if session is not None and session.state == "connected" and _loudspeakers.get(session) is self:
            await session.interrupt(reason="policy")
        if self.link.active is None:
            self._drop_player()


async def _as_coroutine(awaitable: Any) -> Any:
    return await awaitable
