"""The HTTP side of a Realtime server: models and client secrets."""

from __future__ import annotations

import asyncio
import http.client
import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import msgspec

from realtime_nb.errors import ConnectionRefused
from realtime_nb.testing.conformance.scenario import full, scenario
from realtime_nb.testing.conformance.trial import NotApplicable, Trial

TTL_S = 60
NO_SUCH_ROUTE = (404, 405, 501)


async def request(trial: Trial, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
    """Send a request below the server's base URL and return (status, JSON body or None). GET without a body."""
    parts = urlsplit(trial.target.endpoint.websocket_url)
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    base = parts.path.removesuffix("/realtime")
    url = urlunsplit((scheme, parts.netloc, f"{base}/{path}", "", ""))
    headers = {**trial.target.endpoint.headers, "Content-Type": "application/json"}
    data = msgspec.json.encode(body) if body is not None else None
    return await asyncio.to_thread(_send, urllib.request.Request(url, data, headers), trial.target.patience_s)


def _send(request: urllib.request.Request, timeout_s: float) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:
            return answer.status, _json(answer.read())
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, _json(refused.read())
    except (OSError, http.client.HTTPException) as problem:
        raise ConnectionRefused(
            f"{request.full_url} cannot be reached ({problem}).", what_now="Check that the server runs."
        ) from problem


def _json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None


@scenario(
    "models",
    full("list", "GET /models", "data", "lists the models"),
)
async def models(trial: Trial) -> None:
    status, body = await request(trial, "models")
    named = isinstance(body, dict) and all(one.get("id") for one in body.get("data") or [{}])
    trial.check("list", status == 200 and named, body, f"status {status}")


@scenario(
    "client secrets",
    full("made", "POST /realtime/client_secrets", "value, expires_at", "a key ek_… and when it ends"),
    full("session", "POST /realtime/client_secrets", "session", "shows the session that it opens"),
    full("opens", "session.created", "session", "a connection with the secret begins with its settings"),
    full("again", "session.created", "", "the secret opens several sessions, from a browser too"),
    full("change", "session.update", "", "and their settings may be changed"),
    full("range", "POST /realtime/client_secrets", "expires_after.seconds", "beyond 10 to 7,200: status 400"),
    full("forged", "error", "error.code", "a secret that was never given: invalid_api_key"),
)
async def client_secrets(trial: Trial) -> None:
    session = {"type": "realtime", "instructions": "From the secret.", "audio": {"output": {"voice": "cedar"}}}
    wanted = {"expires_after": {"anchor": "created_at", "seconds": TTL_S}, "session": session}
    status, body = await request(trial, "realtime/client_secrets", wanted)
    if status in NO_SUCH_ROUTE:
        error = {"code": "not_supported", "message": f"status {status}"}
        trial.unsupported("made", {"type": "error", "error": error})
        raise NotApplicable("the server gives no client secrets")
    ends_in_s = body.get("expires_at", 0) - time.time()
    right = str(body.get("value")).startswith("ek_") and 0 < ends_in_s <= TTL_S + 5
    trial.check(
        "made", status == 200 and right, {**body, "value": "(not shown)"}, f"status {status}, {ends_in_s:.0f} s"
    )
    shown = body["session"]
    same = shown.get("instructions") == session["instructions"] and shown["audio"]["output"]["voice"] == "cedar"
    trial.check("session", same and shown.get("type") == "realtime", shown)
    peer = await trial.connect(key=body["value"])
    created = await peer.until("session.created")
    opened = created["session"]
    same = opened.get("instructions") == session["instructions"] and opened["audio"]["output"]["voice"] == "cedar"
    trial.check("opens", same, created)
    changed = await trial.update(peer, instructions="Changed.")
    trial.check("change", changed.get("instructions") == "Changed.", changed)
    page = await trial.connect(key=None, subprotocols=["realtime", f"openai-insecure-api-key.{body['value']}"])
    again = await page.until("session.created")
    trial.check("again", again["session"].get("instructions") == session["instructions"], again)
    short = {"expires_after": {"anchor": "created_at", "seconds": 1}}
    status, refused = await request(trial, "realtime/client_secrets", short)
    trial.check("range", status == 400, refused, f"status {status}")
    stranger = await trial.connect(key="ek_conformance_forged")
    first = await stranger.next()
    if first["type"] == "session.created":
        trial.not_tested("forged", "this server takes any key")
    else:
        trial.check("forged", first["error"].get("code") == "invalid_api_key", first)


SCENARIOS = (models, client_secrets)
