"""The server inside this process: one per choice of engines, started on first need, on the runtime thread."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from realtime_nb.runtime import runtime

if TYPE_CHECKING:
    from realtime_nb.engines.base import ChatModel
    from realtime_nb.server.app import EmbeddedServer

_servers: dict[tuple[int, str, str], asyncio.Future[EmbeddedServer]] = {}


async def embedded_server(engine: str = "offline", chat: str | ChatModel | None = None) -> EmbeddedServer:
    """Return the running embedded server for these engines, started and warmed on first use. On the runtime loop.

    Args:
        engine: "offline", "scripted", or any installed engine's name.
        chat: a chat model or a chat server's base URL in the brain's place.

    Raises:
        ConfigurationError, EngineUnavailable: the engines cannot start here; the error says what to install.
    """
    loop = asyncio.get_running_loop()
    key = (id(loop), engine, chat if isinstance(chat, str) else str(id(chat)) if chat else "")
    if key not in _servers:
        _servers[key] = loop.create_task(_start(engine, chat), name="realtime_nb embedded server")
        _servers[key].add_done_callback(lambda started: _forget_failure(key, started))
    return await asyncio.shield(_servers[key])


def _forget_failure(key: tuple[int, str, str], started: asyncio.Future[EmbeddedServer]) -> None:
    if started.cancelled() or started.exception() is not None:
        del _servers[key]


async def _start(engine: str, chat: str | ChatModel | None) -> EmbeddedServer:
    from realtime_nb.engines import registry
    from realtime_nb.server.app import EmbeddedServer

    engines = await asyncio.to_thread(registry.create, engine, chat=chat)
    server = await EmbeddedServer.start(engines)
    runtime().on_stop(server.aclose)
    return server
