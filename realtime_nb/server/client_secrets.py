"""`POST /v1/realtime/client_secrets`: short-lived keys that carry a session's first settings."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from realtime_nb.errors import RemoteProtocolError
from realtime_nb.protocol.ids import IdFactory
from realtime_nb.protocol.session_config import (
    SessionConfig,
    check_voice,
    first_config,
    merge,
    session_object,
    validation_problem,
    voice_name,
    without_noise_reduction,
)

PREFIX = "ek_"
DEFAULT_TTL_S = 600
MAX_LIVE_SECRETS = 10_000


class ExpiresAfter(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How long a secret opens sessions; those that run go on."""

    anchor: Literal["created_at"] = "created_at"
    seconds: Annotated[int, Meta(ge=10, le=7200)] = DEFAULT_TTL_S


class SecretRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The body of a request, all of it optional."""

    expires_after: ExpiresAfter | None = None
    session: dict[str, Any] | None = None


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What a secret stands for.

    Attributes:
        config: the first settings of the sessions that it opens; an empty `model` leaves the choice to the URL.
        session_type: "realtime" or "transcription" where the request said so, None where it left it open.
        expires_at: Unix time, seconds.
    """

    config: SessionConfig
    session_type: str | None
    expires_at: float


class ClientSecrets:
    """The secrets of one server, at most `MAX_LIVE_SECRETS` alive.

    Args:
        model: what a session gets when neither the secret nor the URL names one.
        voices: the names that can be chosen, any if there are none.
        reduces_noise: whether that setting means anything here.
        session_s: how long a session lives.
        clock: Unix time in seconds.
    """

    def __init__(
        self,
        *,
        model: str,
        voices: tuple[str, ...],
        reduces_noise: bool = True,
        session_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._model = model
        self._voices = voices
        self._reduces_noise = reduces_noise
        self._session_s = session_s
        self._clock = clock
        self._ids = IdFactory()
        self._scopes: dict[str, Scope] = {}

    def create(self, body: bytes) -> dict[str, Any]:
        """Return a new secret as the wire shows it: `value`, `expires_at` and the effective `session`.

        Args:
            body: JSON, may be empty.

        Raises:
            RemoteProtocolError: with the wire's code and param; `rate_limit_exceeded` when too many are alive.
        """
        request = _read(body)
        config = self._config(request.session or {"type": "realtime"})
        now = self._clock()
        self._scopes = {value: scope for value, scope in self._scopes.items() if scope.expires_at > now}
        if len(self._scopes) >= MAX_LIVE_SECRETS:
            raise RemoteProtocolError(
                f"{MAX_LIVE_SECRETS} client secrets are alive; wait until some expire.", code="rate_limit_exceeded"
            )
        expires_at = int(now) + (request.expires_after or ExpiresAfter()).seconds
        value = f"{PREFIX}{secrets.token_hex(16)}"
        self._scopes[value] = Scope(
            config=config, session_type=config.type if request.session else None, expires_at=expires_at
        )
        shown = first_config(
            config,
            session_id=self._ids.new("sess"),
            model=config.model or self._model,
            expires_at=int(now + self._session_s),
        )
        return {"value": value, "expires_at": expires_at, "session": session_object(shown)}

    def scope(self, key: str | None) -> Scope | None:
        """Return what a key stands for, None when it is no secret or has expired."""
        scope = self._scopes.get(key or "")
        return scope if scope is not None and scope.expires_at > self._clock() else None

    def _config(self, session: dict[str, Any]) -> SessionConfig:
        kind = session.get("type")
        if kind is not None and kind not in ("realtime", "transcription"):
            raise RemoteProtocolError(
                f"Invalid value: {kind!r}. Supported values are: 'realtime' and 'transcription'.",
                code="invalid_value",
                param="session.type",
            )
        model = session.get("model")
        if model is not None and (not isinstance(model, str) or not model):
            raise RemoteProtocolError("The model must be a name.", code="invalid_value", param="session.model")
        config = merge(SessionConfig(type=kind or "realtime", model=model or ""), session)
        check_voice(voice_name(config.audio.output.voice), self._voices, "session.audio.output.voice")
        return config if self._reduces_noise else without_noise_reduction(config)


def _read(body: bytes) -> SecretRequest:
    try:
        return msgspec.json.decode(body or b"{}", type=SecretRequest)
    except msgspec.ValidationError as problem:
        raise validation_problem(problem) from problem
    except (msgspec.DecodeError, UnicodeError, RecursionError) as problem:
        raise RemoteProtocolError("We could not parse the JSON body of your request.", code="invalid_json") from problem
