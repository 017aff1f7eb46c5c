"""A recording as a server: any Realtime client connects and gets the recorded events, with no engine and no network."""

from __future__ import annotations

import asyncio

from realtime_nb.errors import ConfigurationError, ConnectionLost
from realtime_nb.transport.websocket_server import LoopbackServer, ServerSocket

from .pace import Pace, Speed
from .reader import Recording
from .responder import Responder
from .script import Script

MAX_FRAME_BYTES = 16 * 1024 * 1024
SUBPROTOCOLS = ("realtime",)
AT_THE_END = "The recording has ended."


class ReplayServer:
    """Serves one recording on 127.0.0.1 to any number of clients, to each from its beginning. Make one with `start`.

    Attributes:
        url: the base URL, "http://127.0.0.1:PORT/v1"; keys, paths and models are not looked at.
        pace: how fast; `pace.step()` goes on when it is stepped.
    """

    def __init__(self, script: Script, pace: Pace, port: int) -> None:
        self.pace = pace
        self._script = script
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
            ConfigurationError: the port is taken, or the speed is none.
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
        responder = Responder(self._script, self.pace, socket.send)
        playing = asyncio.create_task(responder.run(), name="realtime_nb replay")
        reading = asyncio.create_task(self._read(socket, responder), name="realtime_nb replay reader")
        try:
            await asyncio.wait([playing, reading], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (playing, reading):
                task.cancel()
            await asyncio.gather(playing, reading, return_exceptions=True)
        await socket.close(1000, AT_THE_END)

    @staticmethod
    async def _read(socket: ServerSocket, responder: Responder) -> None:
        try:
            while True:
                responder.take(await socket.receive())
        except ConnectionLost:
            return
