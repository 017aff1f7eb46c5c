"""Which server does a stage of a pipeline, and how it is reached."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import msgspec

from realtime_nb.engines.base import VoiceActivityDetector
from realtime_nb.session.endpoint import Endpoint, choose_endpoint

if TYPE_CHECKING:
    from realtime_nb.engines.base import ChatModel

StageKind = Literal["transcription", "chat", "speech", "audio_chat", "session"]

EMBEDDED = "embedded"
HOSTED_MODELS: dict[StageKind, str] = {
    "transcription": "gpt-transcribe",
    "chat": "gpt-5.4-mini",
    "speech": "gpt-4o-mini-tts",
    "audio_chat": "gpt-audio-1.5",
    "session": "gpt-realtime-2.1",
}
"""Asked for where no model is named and the server is not the embedded one."""


class StageEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where one stage is done.

    Attributes:
        url: base URL of any compatible server; "embedded" is the one inside this process; None chooses as `connect`
            does: `REALTIME_NB_URL`, then the hosted service when there is an `OPENAI_API_KEY`, else embedded.
        api_key: for that server; never shown.
        model: to ask for.
    """

    url: str | None = None
    api_key: str | None = None
    model: str | None = None

    def __repr__(self) -> str:
        key = "set" if self.api_key else "none"
        url = without_credentials(self.url) if self.url and "://" in self.url else self.url
        return f"StageEndpoint(url={url!r}, model={self.model!r}, key={key})"


class StageServer(NamedTuple):
    """A server that was chosen and, if it is the embedded one, started.

    Attributes:
        endpoint: base URL, key and model.
        engine: who computes there, "" when it does not say.
        vad: makes the detector that the embedded server uses, None for other servers.
    """

    kind: StageKind
    endpoint: Endpoint
    engine: str = ""
    vad: Callable[[], VoiceActivityDetector] | None = None

    @property
    def embedded(self) -> bool:
        """Whether it is inside this process."""
        return self.endpoint.choice == "embedded"

    @property
    def said(self) -> str:
        """The address without secrets, or "embedded"."""
        return EMBEDDED if self.embedded else without_credentials(self.endpoint.base_url)

    @property
    def rest_url(self) -> str:
        """The base URL for HTTP."""
        parts = urlsplit(self.endpoint.base_url)
        scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
        return urlunsplit((scheme, parts.netloc, parts.path.removesuffix("/realtime"), "", ""))


async def find_server(
    kind: StageKind, at: StageEndpoint, *, engine: str, chat: str | ChatModel | None = None
) -> StageServer:
    """Choose the server of a stage, and start the embedded one if it is that. On the runtime's loop.

    Raises:
        ConfigurationError, EngineUnavailable: it cannot be.
    """
    if at.url == EMBEDDED:
        endpoint = Endpoint(choice="embedded", base_url="", model=at.model or "")
    else:
        endpoint = choose_endpoint(url=at.url, api_key=at.api_key, model=at.model or HOSTED_MODELS[kind])
    if endpoint.choice != "embedded":
        return StageServer(kind, endpoint)
    from realtime_nb.server.embedded import embedded_server

    server = await embedded_server(engine, chat)
    endpoint = msgspec.structs.replace(
        endpoint, base_url=server.url, api_key=server.token, model=at.model or server.engines.model
    )
    return StageServer(kind, endpoint, server.engines.label, server.engines.vad)


def without_credentials(url: str) -> str:
    """Return an address without user, password and query."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    where = f"[{host}]" if ":" in host else host
    return urlunsplit((parts.scheme, f"{where}:{parts.port}" if parts.port else where, parts.path, "", ""))
