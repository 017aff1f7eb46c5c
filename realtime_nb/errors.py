"""Every error that realtime_nb raises on purpose.

::

    RealtimeError                     who, what, and what now
    ├── ConfigurationError            an argument or environment that cannot work
    │   └── MissingExtra              an optional dependency is not installed
    ├── AudioError                    audio that cannot be read or used
    ├── ProtocolError
    │   ├── LocalProtocolError        we (or the caller) broke the protocol; nothing was sent
    │   └── RemoteProtocolError       the other side broke the protocol
    ├── TransportError
    │   ├── ConnectionRefused         no server there, or it would not open
    │   └── ConnectionLost            it was open and broke (`code`, `reason`)
    ├── SessionError
    │   ├── AuthenticationFailed      the server refused the key
    │   ├── SessionClosed             ended well; nothing more can be sent
    │   ├── ServerRejected            the server answered an `error` event to something we sent
    │   └── ResponseFailed            `response.done` with status `failed`, or none came in time
    └── EngineError
        ├── EngineUnavailable         the engine cannot start here (and what to install)
        ├── EngineOverloaded          it works, but takes no more for now
        └── EngineCrashed             a worker died; the turn failed, the worker is restarted
"""

from __future__ import annotations

from typing import Any


class RealtimeError(Exception):
    """Base of all errors here.

    Attributes:
        message: who did what, in one sentence.
        what_now: what the reader can do about it, in one sentence (may be empty).
    """

    def __init__(self, message: str, *, what_now: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.what_now = what_now

    def __str__(self) -> str:
        return f"{self.message} {self.what_now}".rstrip()

    def __reduce__(self) -> tuple[Any, ...]:
        return _made_again, (type(self), *self.args), self.__dict__  # a worker's error reaches who asked


def _made_again(kind: type[RealtimeError], *args: object) -> RealtimeError:
    return kind.__new__(kind, *args)


class ConfigurationError(RealtimeError):
    """An argument or an environment variable cannot work."""


class MissingExtra(ConfigurationError):
    """An optional dependency is not installed.

    Attributes:
        extra: the name of the extra that brings it.
    """

    def __init__(self, what: str, *, extra: str) -> None:
        super().__init__(f"{what} is not installed.", what_now=f"Install it with: pip install 'realtime-nb[{extra}]'")
        self.extra = extra


class AudioError(RealtimeError):
    """Audio that cannot be read or used."""


class ProtocolError(RealtimeError):
    """Base of protocol errors; never raised itself."""


class LocalProtocolError(ProtocolError):
    """The caller asked for something the protocol does not allow now; nothing was sent.

    Attributes:
        code: the wire's error code, for example `input_audio_buffer_commit_empty`.
        param: the field at fault, or None.
    """

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None, what_now: str = "") -> None:
        super().__init__(message, what_now=what_now)
        self.code = code
        self.param = param


class RemoteProtocolError(ProtocolError):
    """The other side sent something the protocol does not allow.

    Attributes:
        code: the wire's error code that a server answers with.
        param: the field at fault, or None.
        event_id: the id of the offending event when it had one.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        event_id: str | None = None,
        what_now: str = "",
    ) -> None:
        super().__init__(message, what_now=what_now)
        self.code = code
        self.param = param
        self.event_id = event_id


class TransportError(RealtimeError):
    """Base of network errors."""


class ConnectionRefused(TransportError):
    """The endpoint could not be reached or refused to open."""


class ConnectionLost(TransportError):
    """An open connection broke.

    Attributes:
        code: the WebSocket close code (1006 when there was no close frame).
        reason: the close reason the peer gave, may be empty.
    """

    def __init__(self, message: str, *, code: int = 1006, reason: str = "", what_now: str = "") -> None:
        super().__init__(message, what_now=what_now)
        self.code = code
        self.reason = reason


class SessionError(RealtimeError):
    """Base of errors of a session."""


class AuthenticationFailed(SessionError):
    """The server refused the key."""


class SessionClosed(SessionError):
    """The session ended; nothing more can be sent. What was received stays readable."""


class ServerRejected(SessionError):
    """The server answered an `error` event to something we sent.

    Attributes:
        code: the server's error code, or None.
        param: the field at fault, or None.
        event_id: the id of our event that was refused, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        event_id: str | None = None,
        what_now: str = "",
    ) -> None:
        super().__init__(message, what_now=what_now)
        self.code = code
        self.param = param
        self.event_id = event_id


class ResponseFailed(SessionError):
    """A response ended with status `failed`, or the server fell silent before its end."""


class EngineError(RealtimeError):
    """Base of errors of the engines behind the embedded server."""


class EngineUnavailable(EngineError):
    """An engine cannot start here."""


class EngineOverloaded(EngineError):
    """An engine, or the service behind it, takes no more for now."""


class EngineCrashed(EngineError):
    """An engine's worker died; it is being restarted."""
