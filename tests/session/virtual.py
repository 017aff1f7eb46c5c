"""A session on a virtual clock against judged scripted servers, driven from outside step by step."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Coroutine
from typing import Any
from unittest import mock

from realtime_nb.errors import ConnectionLost, RealtimeError
from realtime_nb.protocol.server import Action, SessionChanged
from realtime_nb.protocol.server_response import ServerResponse
from realtime_nb.session.event_log import LoggedEvent
from realtime_nb.session.opening import open_session
from realtime_nb.session.reconnect import Reconnect
from realtime_nb.session.session import Session
from realtime_nb.session.settings import session_settings
from realtime_nb.testing.invariants import ServerInvariants
from realtime_nb.testing.scripted_server import Reply, ScriptedServer
from realtime_nb.testing.virtual_clock import VirtualClockLoop
from realtime_nb.transport.faults import Faults
from realtime_nb.transport.memory import MemoryTransport
from tests.session.test_session import HERE

CLOCKED = ("realtime_nb.timing.clock", "realtime_nb.transport.faults")
WORD_PAUSE_S = 0.05


class JudgedServer(ScriptedServer):
    """Speaks a word every 50 ms, and has every frame judged as the machine reads or writes it."""

    def __init__(self, reply: Callable[[ServerResponse], Reply], *, seed: int) -> None:
        super().__init__(reply, seed=seed)
        self.rules = ServerInvariants(self.protocol)
        self.failure: BaseException | None = None

    async def flush(self) -> None:
        frames = self.protocol.data_to_send()
        for frame in frames:
            self.rules.server_sent(frame)
        self.rules.settled()
        for frame in frames:
            with contextlib.suppress(ConnectionLost):
                await self._server_end.send(frame)

    async def _serve(self) -> None:
        try:
            self.protocol.open()
            await self.flush()
            while True:
                frame = await self._server_end.receive()
                self.rules.client_sent(frame)
                actions = self.protocol.receive(frame)
                await self.flush()
                for action in actions:
                    self._act(action)
                await self.flush()
        except ConnectionLost:
            return
        except BaseException as failure:
            self.failure = self.failure or (None if isinstance(failure, asyncio.CancelledError) else failure)
            raise

    def _act(self, action: Action) -> None:
        if isinstance(action, SessionChanged) and action.before.audio.input != action.after.audio.input:
            self.protocol.speech_item_id = None
        super()._act(action)

    async def speech_ends(self, start_ms: int, end_ms: int) -> None:
        """Act as if the detector heard the end; answer unless something is being answered."""
        self.protocol.speech_stopped(end_ms, start_ms=start_ms)
        if self.protocol.active_default is None:
            self._begin(self.protocol.create_response())
        await self.flush()

    async def _answer(self, response: ServerResponse) -> None:
        try:
            await asyncio.sleep(WORD_PAUSE_S)
            await super()._answer(response)
        except BaseException as failure:
            self.failure = self.failure or (None if isinstance(failure, asyncio.CancelledError) else failure)
            raise

    async def _speak(self, response: ServerResponse, reply: Reply) -> None:
        response.begin_message()
        await self.flush()
        said = 0
        for number, word in enumerate(reply.text.split()):
            await asyncio.sleep(WORD_PAUSE_S)
            delta = word if number == 0 else f" {word}"
            said += len(delta)
            if response.settings.output_modality == "text":
                response.text(delta)
            else:
                response.transcript(delta)
                response.audio(bytes(48 * 200))
                response.spoken((number + 1) * 200, said)
            await self.flush()
        response.end_message()


class Loudspeaker:
    """Plays parts one after the other, as far as it is told to; knows what was really heard."""

    def __init__(self) -> None:
        self.written: dict[tuple[str, int], int] = {}
        self.heard: dict[tuple[str, int], int] = {}
        self.ended: set[tuple[str, int]] = set()
        self.flushed: set[tuple[str, int]] = set()
        self.wrongs: list[str] = []

    def begin(self, item_id: str, content_index: int) -> None:
        self.written[item_id, content_index] = 0

    def write(self, item_id: str, content_index: int, pcm16: bytes) -> None:
        key = (item_id, content_index)
        if key in self.flushed and self.heard.get(key, 0) < self.written[key]:
            self.wrongs.append(f"{key} gets audio after it was cut")
        self.written[key] += len(pcm16) // 2

    def end(self, item_id: str, content_index: int) -> None:
        self.ended.add((item_id, content_index))

    async def flush(self) -> dict[tuple[str, int], int]:
        await asyncio.sleep(0.02)
        self.flushed |= {key for key in self.written if self.heard.get(key, 0) < self.written[key]}
        return {key: self.heard.get(key, 0) for key in self.written}

    def play(self, duration_ms: int) -> dict[tuple[str, int], int]:
        """Render so much more, and return the new counts."""
        left, counts = duration_ms * 24, {}
        for key, samples in self.written.items():
            heard = self.heard.get(key, 0)
            more = 0 if key in self.flushed else min(left, samples - heard)
            if more:
                left -= more
                counts[key] = self.heard[key] = heard + more
        return counts


class World:
    """The loop, the servers, the session and everything that goes on."""

    def __init__(self, *, faults: Faults | None, push_to_talk: bool, attempts: int = 1000) -> None:
        self.loop = VirtualClockLoop()
        self.wrongs: list[str] = []
        self.loop.set_exception_handler(lambda loop, context: self.wrongs.append(str(context)))
        self.patches = [mock.patch(f"{name}.time", self.loop) for name in CLOCKED]
        for patch in self.patches:
            patch.start()
        self.replies: list[Reply] = []
        self.servers: list[JudgedServer] = []
        self.tasks: list[asyncio.Task[Any]] = []
        self.deleted_by_hand: set[str] = set()
        self.player = Loudspeaker()
        self.stack = contextlib.AsyncExitStack()
        self.outcomes: list[object] = []
        self.session = self.run(self._open(faults, push_to_talk, attempts))

    async def _open(self, faults: Faults | None, push_to_talk: bool, attempts: int) -> Session | None:
        settings = session_settings(turn_detection="push_to_talk" if push_to_talk else "server_vad")
        policy = Reconnect(attempts=attempts, jitter=0)  # an example must go the same way twice
        try:
            session = await asyncio.wait_for(
                open_session(HERE, settings=settings, open_transport=self._connect, reconnect=policy, faults=faults), 60
            )
        except RealtimeError:
            return None
        session.observe(self)
        session.attach_player(self.player)

        @session.tool
        async def look_up(number: int) -> str:
            """Look an order up.

            Args:
                number: the order's.
            """
            await asyncio.sleep(0.2)
            return f"order {number} is on its way"

        return session

    async def _connect(self) -> MemoryTransport:
        server = JudgedServer(self._reply, seed=len(self.servers) + 1)
        self.servers.append(server)
        await self.stack.enter_async_context(server.running())
        return server.transport

    def _reply(self, response: ServerResponse) -> Reply:
        return self.replies.pop(0) if self.replies else Reply(text="all is well")

    @property
    def server(self) -> JudgedServer:
        return self.servers[-1]

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def advance(self, duration_ms: int) -> None:
        self.run(asyncio.sleep(duration_ms / 1000))

    def start(self, work: Coroutine[Any, Any, Any]) -> None:
        """Begin something; it may take its time, and fail only in ways that are ours."""

        async def watched() -> None:
            try:
                self.outcomes.append(await work)
            except RealtimeError as error:
                self.outcomes.append(error)

        self.tasks.append(self.loop.create_task(watched()))
        self.advance(0)

    def play(self, duration_ms: int) -> None:
        assert self.session is not None
        for key, samples in self.player.play(duration_ms).items():
            self.session.playback.rendered(key, samples)
        self.advance(0)

    def on_event(self, logged: LoggedEvent) -> None:
        """Judge what the session says about what was heard."""
        if logged.direction == "received":
            return
        if logged.event_type not in ("conversation.item.truncate", "conversation.item.delete"):
            return
        event = json.loads(logged.frame)
        key = (event["item_id"], 0)
        if key not in self.player.written or event["item_id"] in self.deleted_by_hand:
            return
        heard, written = self.player.heard.get(key, 0), self.player.written[key]
        if logged.event_type == "conversation.item.truncate":
            if not event["audio_end_ms"] * 24 <= heard <= written:
                self.wrongs.append(f"{key} is cut at {event['audio_end_ms']} ms, {heard / 24} of {written / 24} heard")
            if event["audio_end_ms"] != heard // 24:
                self.wrongs.append(f"{key} is cut at {event['audio_end_ms']} ms, heard were {heard / 24}")
        if heard == written and key in self.player.ended:
            self.wrongs.append(f"a needless {logged.event_type} of {key}")

    async def _all_ended(self) -> None:
        await asyncio.wait_for(asyncio.gather(*self.tasks, return_exceptions=True), 60)

    def close(self) -> None:
        """End everything, and see that nothing is left."""
        try:
            if self.session is not None:
                self.run(asyncio.wait_for(self.session.aclose(), 60))
                ours = {task for task in asyncio.all_tasks(self.loop) if "realtime_nb session" in task.get_name()}
                assert not ours, f"left behind: {ours}"
            for task in self.tasks:
                task.cancel()
            self.run(self._all_ended())
            failures = [task.exception() for task in self.tasks if not task.cancelled() and task.exception()]
            assert failures == [], failures
            self.run(self.stack.aclose())
            left = asyncio.all_tasks(self.loop)
            assert not left, f"left behind: {left}"
        finally:
            for patch in self.patches:
                patch.stop()
            self.loop.close()
