"""Which server a session talks to, chosen in a fixed order, and said."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec

from realtime_nb.errors import ConfigurationError

HOSTED_BASE_URL = "https://api.openai.com/v1"
HOSTED_DOMAINS = ("api.openai.com", "openai.azure.com")
"""Hosts of these names, and below them, are the services that `OPENAI_API_KEY` is for."""
DEFAULT_HOSTED_MODEL = "gpt-realtime-2.1"
"""The model asked of the hosted service when none is named; `REALTIME_NB_MODEL` or `model=` change it."""

Choice = Literal["url", "environment", "openai", "embedded"]


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A server to talk to.

    Attributes:
        choice: why this one.
        base_url: `http(s)://…/v1`; "" for an embedded server that is not started yet.
        model: asked for in the address.
        api_key: never shown; see `__repr__`.
        key_withheld: there is an `OPENAI_API_KEY`, and it is not sent: this server is none that the key is for.
    """

    choice: Choice
    base_url: str
    model: str
    api_key: str = ""
    key_withheld: bool = False

    def __repr__(self) -> str:
        return f"Endpoint({self.choice}, {self.base_url}, model={self.model}, key={'set' if self.api_key else 'none'})"

    @property
    def websocket_url(self) -> str:
        """The address of the Realtime WebSocket."""
        parts = urlsplit(self.base_url)
        scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
        path = parts.path.rstrip("/")
        if not path.endswith("/realtime"):
            path += "/realtime"
        query = "&".join(filter(None, [parts.query, urlencode({"model": self.model}) if self.model else ""]))
        return urlunsplit((scheme, parts.netloc, path, query, ""))

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the handshake."""
        return {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}

    @property
    def said(self) -> str:
        """One line for humans: where, and why there."""
        why = {
            "url": "the url you gave",
            "environment": "REALTIME_NB_URL is set",
            "openai": "OPENAI_API_KEY is set",
            "embedded": "no url and no key: the server inside this process, offline",
        }[self.choice]
        where = "the embedded server" if self.choice == "embedded" else self.base_url
        withheld = "; without OPENAI_API_KEY, which is for other hosts" if self.key_withheld else ""
        return f"{where} ({why}{withheld})"

    @property
    def key_advice(self) -> str:
        """What to do when the server refuses the key, in one sentence."""
        if self.key_withheld:
            return "OPENAI_API_KEY was not sent to this host; give api_key=… if the server wants one."
        if not self.api_key:
            return "No key was sent; give api_key=… for this server."
        return "Check OPENAI_API_KEY or api_key=, or unset both to use the embedded server."


def choose_endpoint(
    *,
    url: str | None = None,
    api_key: str | None = None,
    model: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Endpoint:
    """Choose: explicit `url`, then `REALTIME_NB_URL`, then `OPENAI_API_KEY`, else the embedded server.

    `OPENAI_API_KEY` is sent to an explicit `url` only over TLS to a host of `HOSTED_DOMAINS`; whoever sets
    `REALTIME_NB_URL` means that server, so it goes there too (`REALTIME_NB_API_KEY` before it).

    Args:
        url: a base URL `http(s)://…/v1` or `ws(s)://…`.
        api_key: for the server, sent wherever that is; a key without a url means the hosted service.
        model: to ask for; `REALTIME_NB_MODEL` otherwise.
        environ: the environment, `os.environ` by default.

    Raises:
        ConfigurationError: the url is not one.
    """
    environ = os.environ if environ is None else environ
    model = model or environ.get("REALTIME_NB_MODEL", "")
    key = api_key or environ.get("OPENAI_API_KEY", "")
    if url:
        base_url = _checked(url)
        withheld = bool(key) and not api_key and not _is_hosted(base_url)
        return Endpoint(
            choice="url",
            base_url=base_url,
            model=model or DEFAULT_HOSTED_MODEL,
            api_key="" if withheld else key,
            key_withheld=withheld,
        )
    if environ.get("REALTIME_NB_URL"):
        return Endpoint(
            choice="environment",
            base_url=_checked(environ["REALTIME_NB_URL"]),
            model=model or DEFAULT_HOSTED_MODEL,
            api_key=api_key or environ.get("REALTIME_NB_API_KEY", "") or key,
        )
    if key:
        return Endpoint(choice="openai", base_url=HOSTED_BASE_URL, model=model or DEFAULT_HOSTED_MODEL, api_key=key)
    return Endpoint(choice="embedded", base_url="", model=model)


def _is_hosted(url: str) -> bool:
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    named = any(host == domain or host.endswith(f".{domain}") for domain in HOSTED_DOMAINS)
    return named and parts.scheme in ("https", "wss")


def _checked(url: str) -> str:
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https", "ws", "wss") or not parts.netloc:
        raise ConfigurationError(
            f"{url!r} is not the address of a server.",
            what_now="Give a base URL such as http://127.0.0.1:8000/v1 or wss://example.org/v1.",
        )
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), parts.query, ""))
