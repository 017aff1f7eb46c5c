"""Keys, tokens and auth headers never reach a file: removed by their name, by their look, and by their value."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import msgspec

REMOVED = "(removed)"
MIN_SECRET_CHARACTERS = 8
"""Shorter values are not searched for: they would be found inside ordinary words."""
MAX_KNOWN = 256
SECRET_KEYS = frozenset({"headers", "cookie", "setcookie", "token", "secret", "passwd", "pwd", "idtoken"})
"""Names under which a value is removed wherever it stands. Case, `-` and `_` do not count."""
SECRET_ENDINGS = (
    *("authorization", "apikey", "accesskey", "secretkey", "privatekey", "ephemeralkey", "password", "passphrase"),
    *("credential", "credentials", "clientsecret"),
    *("accesstoken", "refreshtoken", "authtoken", "bearertoken", "sessiontoken", "securitytoken"),
)
"""And names that end so."""
SCHEMA_KEYS = frozenset({"type", "description", "title", "format", "minLength", "maxLength", "pattern", "items"})
_MEDIA_TYPE = re.compile(
    r"(?:application|audio|font|image|message|model|multipart|text|video)/[a-z][a-z0-9.+-]*(?:\s*;.*)?"
)
"""Values of harmless headers; removed with the others, and not searched for elsewhere."""
_LOOKS = re.compile(
    r"(?i:\bbearer\s+)[A-Za-z0-9._~+/=-]{8,}"
    r"|(?i:\b(?:authorization|api[-_]?key)[\"']?\s*[:=]\s*[\"']?(?:(?:basic|bearer|token)\s+)?)[A-Za-z0-9._~+/=-]{8,}"
    r"|\bek_[A-Za-z0-9_-]{8,}|\b[sr]k-[A-Za-z0-9_-]{16,}"
    r"|\bhf_[A-Za-z0-9]{20,}|\bgh[pousr]_[A-Za-z0-9]{20,}|\bAKIA[A-Z0-9]{16}\b"
    r"|\bAIza[A-Za-z0-9_-]{30,}|\bgsk_[A-Za-z0-9]{20,}|\bglpat-[A-Za-z0-9_-]{16,}|\bxox[abprs]-[A-Za-z0-9-]{10,}"
    r"|\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*"
)
_USERINFO = re.compile(r"(\w://)[^/\s@\"'<>]+@")
_QUERY = re.compile(r"(?i)([?&][\w-]*(?:key|token|secret|sig|signature|password|pwd|credential)=)[^&\s\"'<>#]+")


class Scrubber:
    """Takes secrets out of events and texts. Not thread-safe.

    What was found under a secret name is remembered, and removed wherever else it turns up later: an error message that
    repeats the key, a tool's arguments.

    Args:
        known: secrets that the caller knows, such as the key of the connection; those under 8 characters are ignored.
    """

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._known: dict[str, None] = {}
        for secret in known:
            self._remember(secret)

    def learn(self, secret: object) -> None:
        """Remember every text in a secret value; at most 256 are remembered."""
        if isinstance(secret, dict):
            secret = list(secret.values())
        if isinstance(secret, list):
            for part in secret:
                self.learn(part)
        elif isinstance(secret, str) and secret != REMOVED and not _MEDIA_TYPE.fullmatch(secret):
            self._remember(secret)

    def _remember(self, secret: str) -> None:
        bare = re.sub(r"(?i)^(?:bearer|basic)\s+", "", secret.strip())
        for form in (bare, quote(bare, safe=""), msgspec.json.encode(bare).decode()[1:-1]):
            if len(form) >= MIN_SECRET_CHARACTERS and len(self._known) < MAX_KNOWN:
                self._known[form] = None

    def text(self, text: str) -> str:
        """Return a text without secrets."""
        text = self.known_out(text)
        text = _LOOKS.sub(REMOVED, text)
        if "://" in text:
            text = _USERINFO.sub(r"\1", text)
        return _QUERY.sub(rf"\1{REMOVED}", text) if "=" in text else text

    def known_out(self, text: str) -> str:
        """Return a text without the secrets that are known by value: enough for base64 audio."""
        for secret in self._known:
            if secret in text:
                text = text.replace(secret, REMOVED)
        return text

    def value(self, value: Any) -> Any:
        """Return a JSON value without secrets, also those inside texts that are JSON themselves (tool arguments)."""
        self._learn_from(value)
        return self._clean(value)

    def _learn_from(self, value: Any) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                if _is_secret(key, item, value):
                    self.learn(item)
                else:
                    self._learn_from(item)
        elif isinstance(value, list):
            for item in value:
                self._learn_from(item)
        elif isinstance(value, str) and (inner := _inner_json(value)) is not None:
            self._learn_from(inner)

    def _clean(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {
                self.text(key): REMOVED if item and _is_secret(key, item, value) else self._clean(item)
                for key, item in value.items()
            }
        if isinstance(value, list):
            return [self._clean(item) for item in value]
        if not isinstance(value, str):
            return value
        inner = _inner_json(value)
        if inner is not None and (cleaned := self._clean(inner)) != inner:
            return msgspec.json.encode(cleaned).decode()
        return self.text(value)


def bare_url(url: str) -> str:
    """Return an address without user, password, query and fragment, and what is said after it; other text as it is."""
    address, space, said = url.partition(" ")
    parts = urlsplit(address)
    if not parts.scheme or not parts.netloc:
        return url
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")) + space + said


def _is_secret(key: str, value: object, siblings: dict[str, Any]) -> bool:
    """Whether a value is secret by its name; a transcript's tokens and the schema of a tool's argument are not."""
    if not _names_a_secret(key) or (key == "token" and "logprob" in siblings):
        return False
    return not (isinstance(value, dict) and "type" in value and value.keys() <= SCHEMA_KEYS)


@functools.lru_cache(4096)
def _names_a_secret(key: str) -> bool:
    name = re.sub(r"[^a-z0-9]", "", key.lower())
    return name in SECRET_KEYS or name.endswith(SECRET_ENDINGS)


def _inner_json(text: str) -> Any:
    if text[:1] not in ("{", "["):
        return None
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None
