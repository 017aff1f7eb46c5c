"""A recording as a server: any Realtime client connects and gets the recorded events, with no engine and no network."""

from __future__ import annotations

import asyncio
from collections import deque

from realtime_nb.errors import ConfigurationError, ConnectionLost
from realtime_nb.transport.websocket_server import LoopbackServer, ServerSocket

from .pace import Pace, Speed
from .reader import Recording
from .responder import Responder
from .script import Breaks, Script

MAX_FRAME_BYTES = 16 * 1024 * 1024
SUBPROTOCOLS = ("realtime",)
CLOSABLE = frozenset({1001, 1011, 1012, 1013})
"""Of the codes that a client connects again after, those that a server may send."""
AT_THE_END = "The recording has ended."
RETURNS_WITHIN_S = 30.0
"""A client that connects so soon after a recorded break is the one whose connection broke."""
MAX_AWAY = 64


class ReplayServer:
    """Serves one recording on 127.0.0.1 to any number of clients, to each from its beginning. Make one with `start`.

    Where the recorded connection broke, the client's is closed with the same code, and the next client to connect
    within 30 s gets what came after the break.

    Attributes:
        url: the base URL, "http://127.0.0.1:PORT/v1"; keys, paths and models are not looked at.
        pace: how fast; `pace.step()` goes on when it is stepped.
    """

    def __init__(self, script: Script, pace: Pace, port: int) -> None:
        self.pace = pace
        self._script = script
        self._away: deque[tuple[float, int, dict[str, str]]] = deque(maxlen=MAX_AWAY)
        self._server = LoopbackServer(
            self._serve,
            allow_origin=lambda origin: True,
            max_message_bytes=MAX_FRAME_BYTES,
            port=port,
            subprotocols=SUBPROTOCOLS,
        )

    @classmethod
    async def start(cls, recording: Recording, *, port: int = 0, speed: Speed = 1.0) -> ReplayServer:
        """Begin to serve.

        Args:
            recording: what to serve.
            port: where; 0 for any free one.
            speed: 1.0 as recorded, another factor, "fast" or "step".

        Raises:
            ConfigurationError: the port is taken, the speed is none, or the recording holds nothing to say.
        """
        server = cls(await asyncio.to_thread(Script, recording), Pace(speed), port)
        try:
            await server._server.start()
        except OSError as problem:
            raise ConfigurationError(
                f"Port {port} cannot be listened on: {problem.strerror or problem}.",
                what_now="Give another port, or 0.",
            ) from problem
        return server

    @property
    def url(self) -> str:
        """The base URL that clients take."""
        return f"http://127.0.0.1:{self._server.port}/v1"

    async def aclose(self) -> None:
        """Stop listening and close every connection. Twice is fine."""
        await self._server.close()

    async def _serve(self, socket: ServerSocket) -> None:
        number, ids = self._returning()
        responder = Responder(self._script, self.pace, socket.send, number=number, ids=ids)
        playing = asyncio.create_task(responder.run(), name="realtime_nb replay")
        reading = asyncio.create_task(self._read(socket, responder), name="realtime_nb replay reader")
        try:
            await asyncio.wait([playing, reading], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (playing, reading):
                task.cancel()
            broke, _ = await asyncio.gather(playing, reading, return_exceptions=True)
        if isinstance(broke, Breaks):
            self._away.append((self.pace.loop.time(), number + 1, ids))
            await socket.close(broke.code if broke.code in CLOSABLE else 1011, broke.reason)
        else:
            await socket.close(1000, AT_THE_END)

    def _returning(self) -> tuple[int, dict[str, str]]:
        """Return which connection a client's is, and what its ids are."""
        while self._away:
            broke_s, number, ids = self._away.popleft()
            if number < len(self._script.connections) and self.pace.loop.time() - broke_s <= RETURNS_WITHIN_S:
                return number, ids
        return 0, {}

    @staticmethod
    async def _read(socket: ServerSocket, responder: Responder) -> None:
        try:
            while True:
                responder.take(await socket.receive())
        except ConnectionLost:
            return
