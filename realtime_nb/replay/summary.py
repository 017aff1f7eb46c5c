"""One line that says what a wire event carries."""

from __future__ import annotations

from typing import Any

MAX_CHARACTERS = 120


def summary(event: dict[str, Any]) -> str:
    """Return words, an error, a status or an item, whichever the event has; "" when it has none of them."""
    for find in (_error, _words, _response, _item):
        text = find(event)
        if text:
            return text if len(text) <= MAX_CHARACTERS else text[: MAX_CHARACTERS - 1] + "…"
    return ""


def _error(event: dict[str, Any]) -> str:
    error = event.get("error")
    return f"{error.get('code') or error.get('type')}: {error.get('message', '')}" if isinstance(error, dict) else ""


def _words(event: dict[str, Any]) -> str:
    values = (event.get(name) for name in ("transcript", "text", "delta", "arguments"))
    return next((f"“{value}”" for value in values if isinstance(value, str) and value), "")


def _response(event: dict[str, Any]) -> str:
    response = event.get("response")
    return str(response.get("status") or "") if isinstance(response, dict) else ""


def _item(event: dict[str, Any]) -> str:
    item = event.get("item")
    if not isinstance(item, dict):
        return ""
    content = item.get("content")
    parts = content if isinstance(content, list) else []
    words = [
        str(part.get("text") or part.get("transcript") or part.get("type")) for part in parts if isinstance(part, dict)
    ]
    facts = (item.get("type"), item.get("role"), item.get("name"), item.get("output"), *words)
    return " ".join(str(fact) for fact in facts if fact)
