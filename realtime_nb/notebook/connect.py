"""`realtime_nb.connect`: from a cell to a session, on the runtime thread, and said where to."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import warnings
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import msgspec

from realtime_nb.errors import ConfigurationError
from realtime_nb.recording.folders import folder_for
from realtime_nb.runtime import runtime
from realtime_nb.session.answer_watch import ANSWER_TIMEOUT_S
from realtime_nb.session.barge_in import BargeIn
from realtime_nb.session.endpoint import Endpoint, choose_endpoint
from realtime_nb.session.opening import open_session
from realtime_nb.session.reconnect import Reconnect
from realtime_nb.session.session import Session
from realtime_nb.session.settings import session_settings
from realtime_nb.transport.network import network_profile

if TYPE_CHECKING:
    from realtime_nb.engines.base import ChatModel
    from realtime_nb.recording.redaction import Redaction
    from realtime_nb.transport.faults import Faults
    from realtime_nb.transport.network import NetworkProfile


class Connecting:
    """A session on its way. `await` it, use it with `async with`, or call `wait()` where nothing can be awaited.

    It connects whether or not anybody waits. When it is dropped without having been waited for, the session closes.
    """

    def __init__(self, future: concurrent.futures.Future[Session], *, quiet: bool) -> None:
        self._future = future
        self._quiet = quiet
        self._session: Session | None = None

    def __await__(self) -> Generator[Any, None, Session]:
        return self._wait().__await__()

    async def _wait(self) -> Session:
        return self._said(await asyncio.wrap_future(self._future))

    def wait(self, timeout_s: float | None = 60.0) -> Session:
        """Block until connected and return the session.

        Raises:
            TimeoutError: not within `timeout_s` seconds; it goes on connecting.
        """
        return self._said(self._future.result(timeout_s))

    async def __aenter__(self) -> Session:
        self._session = await self._wait()
        return self._session

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.aclose()

    def _said(self, session: Session) -> Session:
        if not self._quiet:
            self._quiet = True
            print(f"Connected to {session.endpoint}. {session.engine or session.model} answers.")  # noqa: T201
            for writer in session.recordings:
                print(f"Everything is recorded to {writer.path}.")  # noqa: T201
        return session

    def __repr__(self) -> str:
        return f"<Connecting: {'done' if self._future.done() else 'on its way'}; await it, or call .wait()>"


def connect(
    *,
    url: str | None = None,
    base_url: str | None = None,
    api_key: str | None = None,
    model: str | None = None,
    engine: str | None = None,
    chat: str | ChatModel | None = None,
    quiet: bool = False,
    timeout_s: float = 10.0,
    answer_timeout_s: float = ANSWER_TIMEOUT_S,
    barge_in: BargeIn | None = None,
    reconnect: Reconnect | None = None,
    faults: Faults | None = None,
    network: str | NetworkProfile | None = None,
    record: str | os.PathLike[str] | bool = False,
    redact: tuple[Redaction, ...] = (),
    **settings: Any,
) -> Connecting:
    """Open a session with a Realtime server.

    The server is, in this order: `url` (or `base_url`), the environment's `REALTIME_NB_URL`, the hosted service when
    there is an `OPENAI_API_KEY`, else the embedded server of this process, which needs neither key nor network. Which
    one, and why, is printed.

    Args:
        url: `http(s)://…/v1` or `ws(s)://…` of any compatible server.
        base_url: the same, by the name that the official SDK has for it.
        api_key: for that server; `OPENAI_API_KEY` otherwise, which a `url` gets only when it is the service's own.
        model: to ask for.

        engine: of the embedded server: "offline" or "scripted"; `REALTIME_NB_ENGINE` otherwise, else "offline".
        chat: what replaces the embedded server's brain: a base URL such as "http://localhost:11434/v1" (Ollama,
            llama.cpp, vLLM), or a chat model.

        quiet: print nothing.
        timeout_s: for the handshake.
        answer_timeout_s: how long the server may send nothing in the middle of an answer; then its turn is "lost".
        barge_in: when your speech interrupts an answer: at once by default, `BargeIn(min_speech_ms=400)` ignores
            "uh-huh", `BargeIn(interrupt="off")` is half duplex, for rooms with loudspeakers.
        reconnect: what to do when the connection breaks later: five more attempts by default,
            `Reconnect(attempts=0)` gives up at once.
        faults: what goes wrong on the way, for tests and teaching; see `realtime_nb.testing.faults`.
        network: a simulated network in between: "LAN", "home Wi-Fi", "conference Wi-Fi", "4G", "transatlantic", or a
            `realtime_nb.testing.faults.NetworkProfile`.
        record: a new folder to record everything into (see `Session.record`), or True for a dated one in `recordings`.
            The environment's `REALTIME_NB_RECORD` names a folder in which every session gets a dated one.
        redact: what the recording leaves out: "audio", "transcripts".
        settings: `instructions`, `voice`, `turn_detection` ("server_vad", "push_to_talk", …), `transcription`,
            `output_modalities`, `tools`, and any other key of the session object; see `session_settings`.

    Returns:
        Something to await, to use with `async with`, or to call `wait()` on. Waiting raises `ConnectionRefused`,
        `AuthenticationFailed`, `ServerRejected`, `ConfigurationError` or `EngineError`.

    Raises:
        ConfigurationError: an argument that cannot work.
    """
    endpoint = choose_endpoint(url=url or base_url, api_key=api_key, model=model)
    wanted = session_settings(**settings)
    engine = engine or os.environ.get("REALTIME_NB_ENGINE", "offline")
    opening = _open(
        endpoint,
        wanted,
        engine=engine,
        chat=chat,
        recording=(record, redact),
        options={
            "timeout_s": timeout_s,
            "answer_timeout_s": answer_timeout_s,
            "barge_in": barge_in,
            "reconnect": reconnect or Reconnect(),
            "faults": faults,
            "network": network_profile(network),
        },
    )
    return Connecting(runtime().submit(opening), quiet=quiet)


async def _open(
    endpoint: Endpoint,
    settings: dict[str, Any],
    *,
    engine: str,
    chat: str | ChatModel | None,
    recording: tuple[str | os.PathLike[str] | bool, tuple[Redaction, ...]],
    options: dict[str, Any],
) -> Session:
    label = ""
    if endpoint.choice == "embedded":
        from .embedded import embedded_server

        server = await embedded_server(engine, chat)
        label = server.engines.label
        endpoint = msgspec.structs.replace(
            endpoint, base_url=server.url, api_key=server.token, model=endpoint.model or server.engines.model
        )
    session = await open_session(endpoint, settings=settings, engine=label, **options)
    await _record(session, *recording)
    return session


async def _record(session: Session, record: str | os.PathLike[str] | bool, redact: tuple[Redaction, ...]) -> None:
    """Begin to record, if it was asked for. What only the environment asked for may fail with a warning."""

    def begin() -> None:
        folder = folder_for(record)
        if folder is not None:
            session.record(folder, redact=redact)

    try:
        await asyncio.to_thread(begin)
    except ConfigurationError as problem:
        if record is not False:
            await session.aclose()
            raise
        warnings.warn(f"This session is not recorded: {problem}", RuntimeWarning, stacklevel=2)
