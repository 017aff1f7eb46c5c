"""A Realtime server in memory that does exactly what a test tells it to, on the real protocol machine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import msgspec

from realtime_nb.protocol import server_events as se
from realtime_nb.protocol.ids import IdFactory
from realtime_nb.protocol.server import Action, Committed, ResponseRequested, ServerProtocol
from realtime_nb.protocol.server_response import ServerResponse
from realtime_nb.protocol.session_config import SessionConfig
from realtime_nb.transport.memory import MemoryTransport, memory_pair

WORD_MS = 200


class Reply(msgspec.Struct, kw_only=True):
    """What the server answers to a response: words of 200 ms of audio each, or text.

    Attributes:
        text: the answer.
        stop_after_words: stay silent after so many words until `ScriptedServer.go_on` is called.
        fail: end the response as failed with this message instead.
        tool_call: (name, arguments) instead of words.
    """

    text: str = "hello there"
    stop_after_words: int | None = None
    fail: str = ""
    tool_call: tuple[str, str] | None = None


class ScriptedServer:
    """Answers one client over memory.

    Attributes:
        transport: the client's end.
        protocol: the server's machine; tests may call it and then `flush`.
        received: every client event's type, in order.
    """

    def __init__(self, reply: Callable[[ServerResponse], Reply] | Reply | None = None, *, seed: int = 1) -> None:
        self.transport, self._server_end = memory_pair()
        config = SessionConfig(id="sess_scripted", model="scripted", expires_at=4_000_000_000)
        self.protocol = ServerProtocol(config, ids=IdFactory(seed))
        self.received: list[str] = []
        self._reply = reply if callable(reply) else (lambda response: reply or Reply())
        self._going_on = asyncio.Event()
        self._responses: set[asyncio.Task[None]] = set()

    async def open(self) -> MemoryTransport:
        """Return the client's end: what `open_session(open_transport=…)` takes."""
        return self.transport

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[ScriptedServer]:
        """Serve while the block runs."""
        task = asyncio.create_task(self._serve())
        try:
            yield self
        finally:
            for each in (task, *self._responses):
                each.cancel()
            await asyncio.gather(task, *self._responses, return_exceptions=True)

    async def flush(self) -> None:
        """Send what the machine wants sent."""
        for frame in self.protocol.data_to_send():
            await self._server_end.send(frame)

    async def speech(self, start_ms: int, end_ms: int, transcript: str) -> None:
        """Act as if the detector heard speech: started, stopped, committed, recognised, response created."""
        await self.speech_started(start_ms)
        await self.speech_stopped(start_ms, end_ms, transcript)

    async def speech_started(self, start_ms: int) -> None:
        """Act as if speech began."""
        self.protocol.speech_started(start_ms)
        await self.flush()

    async def speech_stopped(self, start_ms: int, end_ms: int, transcript: str) -> None:
        """Act as if speech ended: commit, recognise, answer."""
        committed = self.protocol.speech_stopped(end_ms, start_ms=start_ms)
        self.protocol.transcribed(str(committed.item.id), transcript, seconds=(end_ms - start_ms) / 1000)
        self._begin(self.protocol.create_response())
        await self.flush()

    def go_on(self) -> None:
        """Let a reply that stopped after some words go on."""
        self._going_on.set()

    async def send_raw(self, frame: str) -> None:
        """Send anything, also what no server should send."""
        await self._server_end.send(frame)

    def cut(self, code: int = 1006, reason: str = "") -> None:
        """Break the connection."""
        self._server_end.cut(code, reason)

    async def _serve(self) -> None:
        self.protocol.open()
        await self.flush()
        while True:
            frame = await self._server_end.receive()
            self.received.append(msgspec.json.decode(frame).get("type", ""))
            for action in self.protocol.receive(frame):
                self._act(action)
            await self.flush()

    def _act(self, action: Action) -> None:
        if isinstance(action, ResponseRequested):
            self._begin(action.response)
        elif isinstance(action, Committed):
            self.protocol.transcribed(str(action.item.id), "(recognised)", seconds=1.0)

    def _begin(self, response: ServerResponse) -> None:
        task = asyncio.create_task(self._answer(response))
        self._responses.add(task)
        task.add_done_callback(self._responses.discard)

    async def _answer(self, response: ServerResponse) -> None:
        reply = self._reply(response)
        if reply.fail:
            response.fail(code="server_error", message=reply.fail)
        elif reply.tool_call is not None:
            response.function_call(*reply.tool_call)
            response.complete()
        else:
            await self._speak(response, reply)
            response.complete()
        self.protocol.emit(se.RateLimitsUpdated(rate_limits=[]))
        await self.flush()

    async def _speak(self, response: ServerResponse, reply: Reply) -> None:
        response.begin_message()
        said = 0
        for index, word in enumerate(reply.text.split()):
            if index == reply.stop_after_words:
                await self.flush()
                await self._going_on.wait()
            delta = word if index == 0 else f" {word}"
            said += len(delta)
            if response.settings.output_modality == "text":
                response.text(delta)
            else:
                response.transcript(delta)
                response.audio(bytes([index % 200, 1]) * (24 * WORD_MS))
                response.spoken((index + 1) * WORD_MS, said)
            await self.flush()
        response.end_message()


__all__ = ["Reply", "ScriptedServer"]
