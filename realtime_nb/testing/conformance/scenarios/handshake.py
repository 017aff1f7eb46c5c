"""Opening a connection: keys, subprotocols, dialects, pings."""

from __future__ import annotations

import time
from collections.abc import Mapping

from realtime_nb.errors import AuthenticationFailed, ConnectionLost, ConnectionRefused
from realtime_nb.testing.conformance.peer import Event, Peer
from realtime_nb.testing.conformance.scenario import core, full, scenario
from realtime_nb.testing.conformance.trial import Trial

SESSION_FIELDS = (
    *("type", "object", "id", "model", "output_modalities", "instructions", "tools", "tool_choice"),
    *("max_output_tokens", "tracing", "prompt", "truncation", "expires_at", "include", "audio"),
)
INPUT_FIELDS = ("format", "transcription", "noise_reduction", "turn_detection")
DETECTION_FIELDS = (
    *("type", "threshold", "prefix_padding_ms", "silence_duration_ms", "idle_timeout_ms"),
    *("create_response", "interrupt_response"),
)
OUTPUT_FIELDS = ("format", "voice", "speed")


@scenario(
    "opening",
    core("first", "session.created", "", "is the first message, unasked"),
    core("id", "session.created", "session.id", "names the session"),
    full("complete", "session.created", "session", "shows every setting, null where empty"),
    full("audio", "session.created", "session.audio", "shows both directions whole"),
    core("defaults", "session.created", "session", "audio out, server VAD on, 24 kHz PCM both ways"),
    core("expires", "session.created", "session.expires_at", "is in the future, within a day"),
    core("pong", "(ping)", "", "is answered"),
)
async def opening(trial: Trial) -> None:
    peer = await trial.connect()
    first = await peer.next()
    trial.check("first", first["type"] == "session.created", first, f"the first message was {first['type']}")
    session = first["session"]
    trial.check("id", bool(session.get("id")), first)
    missing = [name for name in SESSION_FIELDS if name not in session]
    trial.check("complete", not missing, first, f"missing: {', '.join(missing)}")
    audio = session.get("audio") or {}
    hears, speaks = audio.get("input") or {}, audio.get("output") or {}
    detection = hears.get("turn_detection") or {}
    gaps = [name for name in INPUT_FIELDS if name not in hears] + [name for name in OUTPUT_FIELDS if name not in speaks]
    gaps += [f"turn_detection.{name}" for name in DETECTION_FIELDS if name not in detection]
    trial.check("audio", not gaps, first, f"missing: {', '.join(gaps)}")
    pcm = {"type": "audio/pcm", "rate": 24000}
    usual = session.get("output_modalities") == ["audio"] and detection.get("type") == "server_vad"
    trial.check("defaults", usual and hears.get("format") == pcm and speaks.get("format") == pcm, first)
    trial.check("expires", 0 < session["expires_at"] - time.time() < 86_400, first)
    await peer.transport.ping()
    trial.check("pong", True)


@scenario(
    "keys",
    full("error", "error", "error.code", "a bad key is answered invalid_api_key, after the handshake"),
    full("close", "(close)", "code", "then the connection closes with 3000 and says why"),
)
async def keys(trial: Trial) -> None:
    try:
        peer = await trial.connect(key="conformance-wrong-key")
        event = await peer.next()
    except AuthenticationFailed as early:
        trial.check("error", False, None, f"refused in the handshake: {early}")
        return
    if event["type"] == "session.created":
        reason = "this server takes any key"
        trial.not_tested("error", reason)
        trial.not_tested("close", reason)
        return
    trial.check("error", event["error"].get("code") == "invalid_api_key", event)
    code, reason = await _close(peer)
    trial.check("close", code == 3000 and reason == "invalid_request_error.invalid_api_key", None, f"{code} {reason!r}")


@scenario(
    "browser",
    full("chosen", "(handshake)", "subprotocol", "realtime is chosen when it is offered"),
    full("key", "(handshake)", "subprotocol", "the key may come as openai-insecure-api-key.…"),
    core("none", "(handshake)", "subprotocol", "none is chosen when none is offered"),
)
async def browser(trial: Trial) -> None:
    plain = await trial.connect()
    await plain.until("session.created")
    trial.check("none", plain.transport.subprotocol is None, None, f"it chose {plain.transport.subprotocol!r}")
    key = trial.target.endpoint.api_key or "any"
    peer = await trial.connect(key=None, subprotocols=["realtime", f"openai-insecure-api-key.{key}"])
    trial.check("chosen", peer.transport.subprotocol == "realtime", None, f"it chose {peer.transport.subprotocol!r}")
    first = await peer.next()
    trial.check("key", first["type"] == "session.created", first)


@scenario(
    "missing model",
    full("error", "error", "error.code", "no model in the address is answered missing_model"),
    full("close", "(close)", "code", "then the connection closes with 4000"),
)
async def missing_model(trial: Trial) -> None:
    await _refused_opening(trial, {"model": None}, {}, "missing_model")


@scenario(
    "beta",
    full("error", "error", "error.code", "the header OpenAI-Beta is answered beta_api_shape_disabled"),
    full("close", "(close)", "code", "then the connection closes with 4000"),
)
async def beta(trial: Trial) -> None:
    await _refused_opening(trial, {}, {"OpenAI-Beta": "realtime=v1"}, "beta_api_shape_disabled")


async def _refused_opening(
    trial: Trial, query: Mapping[str, str | None], headers: Mapping[str, str], expected: str
) -> None:
    try:
        peer = await trial.connect(query=query, headers=headers)
        event: Event = await peer.next()
    except ConnectionRefused as early:
        trial.check("error", False, None, f"refused in the handshake: {early}")
        return
    trial.check("error", (event.get("error") or {}).get("code") == expected, event, f"it answered {event['type']}")
    if event["type"] != "error":
        trial.not_tested("close", "the server went on")
        return
    code, reason = await _close(peer)
    trial.check("close", code == 4000 and reason.endswith(expected), None, f"{code} {reason!r}")


async def _close(peer: Peer) -> tuple[int, str]:
    try:
        while True:
            await peer.next()
    except ConnectionLost as lost:
        return lost.code, lost.reason
    except TimeoutError:
        return 0, "the connection stayed open"


SCENARIOS = (opening, keys, browser, missing_model, beta)
