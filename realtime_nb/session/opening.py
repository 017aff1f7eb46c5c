"""Opening a session on the running loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from realtime_nb.errors import AuthenticationFailed
from realtime_nb.transport.base import Transport
from realtime_nb.transport.faults import Faults, FaultyNetwork
from realtime_nb.transport.network import NetworkProfile, network_profile

from .answer_watch import ANSWER_TIMEOUT_S
from .barge_in import BargeIn
from .endpoint import Endpoint
from .owner import SessionOwner
from .reconnect import NEVER, Reconnect
from .session import Session


async def open_session(
    endpoint: Endpoint,
    *,
    settings: dict[str, Any],
    engine: str = "",
    open_transport: Callable[[], Awaitable[Transport]] | None = None,
    timeout_s: float = 10.0,
    answer_timeout_s: float = ANSWER_TIMEOUT_S,
    barge_in: BargeIn | None = None,
    reconnect: Reconnect = NEVER,
    faults: Faults | None = None,
    network: str | NetworkProfile | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Session:
    """Connect to `endpoint` and return the session once its settings are in force.

    The session lives in one owner task on the running loop until it is closed, breaks, or is no longer referenced.
    Cancelling closes what was opened.

    Args:
        endpoint: the server.
        settings: sent as the first `session.update`; {} sends none.
        engine: who answers, for humans.
        open_transport: how to connect; a WebSocket to the endpoint by default.
        timeout_s: for the WebSocket's handshake.
        answer_timeout_s: how long the server may send nothing in the middle of an answer.
        barge_in: when the user's speech interrupts; at once by default.
        reconnect: what to do when the connection breaks later.
        faults: what goes wrong on the way, for tests and teaching.
        network: the simulated network in between, by name or as a profile.
        sleep: how to wait between attempts, in seconds.

    Raises:
        ConnectionRefused, AuthenticationFailed: the server cannot be reached or refuses.
        ServerRejected: the server refused the settings.
        ConfigurationError: there is no network of that name.
    """
    simulated = network_profile(network)

    async def connect() -> Transport:
        from realtime_nb.transport.websocket import open_websocket

        return await open_websocket(endpoint.websocket_url, headers=endpoint.headers, timeout_s=timeout_s)

    opener = open_transport or connect
    if faults is not None or simulated is not None:
        opener = FaultyNetwork(opener, faults or Faults(), network=simulated, sleep=sleep).open
    if barge_in is not None:
        settings = _with_policy(settings, barge_in)
    owner = SessionOwner(
        opener,
        config=settings,
        where=endpoint.base_url or "the embedded server",
        barge_in=barge_in,
        reconnect=reconnect,
        answer_timeout_s=answer_timeout_s,
        sleep=sleep,
    )
    task = asyncio.create_task(owner.run(), name="realtime_nb session owner")
    _OWNERS.add(task)
    task.add_done_callback(_OWNERS.discard)
    said = f"{endpoint.said} ({simulated.label})" if simulated is not None else endpoint.said
    session = Session(owner, endpoint=said, engine=engine, secrets=(endpoint.api_key,))
    try:
        await owner.ready
    except BaseException as problem:
        if isinstance(problem, AuthenticationFailed):
            problem.what_now = endpoint.key_advice
        owner.request_close()
        await asyncio.shield(owner.finished.wait())
        raise
    return session


def _with_policy(settings: dict[str, Any], barge_in: BargeIn) -> dict[str, Any]:
    """Return the settings with the turn detection that the policy needs (push-to-talk stays as it is)."""
    audio = settings.get("audio", {})
    audio_input = audio.get("input", {})
    detection = audio_input.get("turn_detection", {"type": "server_vad"})
    if detection is None:
        return settings
    changed = {**audio_input, "turn_detection": barge_in.detection(detection)}
    return {**settings, "audio": {**audio, "input": changed}}


_OWNERS: set[asyncio.Task[None]] = set()
"""Owner tasks in progress: a loop holds tasks only weakly."""
