"""Who may open a connection, and what they asked for. Pure functions of headers and query."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import msgspec

from realtime_nb.errors import RemoteProtocolError
from realtime_nb.server.client_secrets import PREFIX as SECRET_PREFIX
from realtime_nb.server.client_secrets import ClientSecrets, Scope

SUBPROTOCOL = "realtime"
KEY_SUBPROTOCOL = "openai-insecure-api-key."
BETA_SUBPROTOCOL = "openai-beta.realtime-v1"

CLOSE_BAD_KEY = 3000
CLOSE_BAD_REQUEST = 4000
CLOSE_TRY_LATER = 1013


class Keyring(msgspec.Struct, frozen=True, kw_only=True):
    """Which keys are accepted: any, or exactly one."""

    key: str | None

    def accepts(self, offered: str | None) -> bool:
        """Compare in constant time. A client secret is no key."""
        if self.key is None:
            return offered is None or not offered.startswith(SECRET_PREFIX)
        return offered is not None and hmac.compare_digest(offered.encode(), self.key.encode())


class Refused(Exception):
    """The connection must end with an `error` event and this close code."""

    def __init__(self, code: int, problem: RemoteProtocolError, *, type: str = "invalid_request_error") -> None:
        super().__init__(problem.message)
        self.type = type
        self.close_code = code
        self.problem = problem

    @property
    def reason(self) -> str:
        """The close reason, `<error.type>.<error.code>`."""
        return f"{self.type}.{self.problem.code}"


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """What an admitted client asked for.

    Attributes:
        session_type: "realtime" or "transcription".
        model: "" where nobody named one.
        scope: of the client secret that opened it, if one did.
    """

    session_type: str
    model: str
    scope: Scope | None = None


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is this machine's loopback."""
    name = host.strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def origin_allowed(origin: str | None, *, host: str) -> bool:
    """Return whether a page of this origin may talk to a server bound to `host`.

    On loopback only pages of this machine may, for there a key protects nothing that a page could not guess. No
    Origin (not a browser) is fine; elsewhere the key decides.
    """
    if origin is None or not is_loopback(host):
        return True
    try:
        page = urlsplit(origin)
        return page.scheme in ("http", "https") and page.hostname is not None and is_loopback(page.hostname)
    except ValueError:
        return False


def offered_key(headers: Mapping[str, str], subprotocols: Sequence[str]) -> str | None:
    """Return the key in the Authorization header or in the browser's subprotocol list."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and key.strip():
        return key.strip()
    insecure = (one.removeprefix(KEY_SUBPROTOCOL) for one in subprotocols if one.startswith(KEY_SUBPROTOCOL))
    return next(insecure, None)


def admit(
    headers: Mapping[str, str],
    subprotocols: Sequence[str],
    query: Mapping[str, str],
    keys: Keyring,
    client_secrets: ClientSecrets | None = None,
) -> Admission:
    """Check key, dialect and model, in the service's order.

    A client secret opens sessions of its own settings; the model that it names comes before the URL's.

    Raises:
        Refused: with the service's error code and close code.
    """
    scope = _admit_key(offered_key(headers, subprotocols), keys, client_secrets)
    if "realtime=v1" in headers.get("openai-beta", "") or BETA_SUBPROTOCOL in subprotocols:
        raise Refused(
            CLOSE_BAD_REQUEST,
            RemoteProtocolError(
                "The Realtime beta API is not supported. Leave out the OpenAI-Beta header and use the GA events.",
                code="beta_api_shape_disabled",
            ),
        )
    session_type = _session_type(query, scope)
    model = (scope.config.model if scope is not None else "") or query.get("model", "")
    if not model and session_type == "realtime" and scope is None:
        raise Refused(
            CLOSE_BAD_REQUEST,
            RemoteProtocolError(
                "You must provide a model parameter, for example /v1/realtime?model=gpt-realtime.",
                code="missing_model",
                param="model",
            ),
        )
    return Admission(session_type=session_type, model=model, scope=scope)


def _admit_key(key: str | None, keys: Keyring, client_secrets: ClientSecrets | None) -> Scope | None:
    if key is not None and key.startswith(SECRET_PREFIX):
        scope = client_secrets.scope(key) if client_secrets is not None else None
        if scope is None:
            raise Refused(
                CLOSE_BAD_KEY,
                RemoteProtocolError(
                    "Incorrect API key provided: the client secret is unknown or has expired.", code="invalid_api_key"
                ),
            )
        return scope
    if not keys.accepts(key):
        raise Refused(CLOSE_BAD_KEY, RemoteProtocolError("Incorrect API key provided.", code="invalid_api_key"))
    return None


def _session_type(query: Mapping[str, str], scope: Scope | None) -> str:
    asked = "transcription" if query.get("intent") == "transcription" else None
    scoped = scope.session_type if scope is not None else None
    if asked is not None and scoped is not None and asked != scoped:
        raise Refused(
            CLOSE_BAD_REQUEST,
            RemoteProtocolError(
                f"This client secret opens sessions of type '{scoped}' only.", code="invalid_value", param="intent"
            ),
        )
    return scoped or asked or "realtime"
