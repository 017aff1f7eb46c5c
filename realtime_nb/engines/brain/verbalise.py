"""Turns what a tool returned into a sentence or three."""

from __future__ import annotations

import json
import re
from typing import Any

from realtime_nb.engines.brain.facts import scalar, sentence, sentence_of_list

_MOST_FACTS = 4
_DONE = ("", "ok", "okay", "done", "success", "none", "null")
_MOST_NAMED = 3
_MOST_CHARACTERS = 320
_SPOKEN_WHOLE = ("message", "summary", "text", "answer", "result", "reply", "content", "description", "speech")
LEAD = "Here is what I found."
"""How several facts begin."""
_HIDDEN = re.compile(r"(^|_)(uuid|guid|url|uri|href|link|token|hash|trace|request_id|timestamp|created_at)(_|$)|^_")


def verbalise(output: str) -> str:
    """Return what to say about a tool's output: JSON, or any text."""
    try:
        value = json.loads(output)
    except (ValueError, RecursionError):
        value = output
    return _shorten(_say(value))


def _say(value: Any) -> str:
    if value is None or value is True:
        return "That is done."
    if value is False:
        return "That did not work."
    if isinstance(value, dict):
        return _say_object(value) if value else "I found nothing."
    if isinstance(value, list):
        return _say_list(value) if value else "I found nothing."
    if isinstance(value, int | float):
        return f"The answer is {scalar(value)}."
    text = str(value).strip()
    if text.lower().rstrip(".!") in _DONE:
        return "That is done."
    failed = re.match(r"(?:error|exception|failed|failure)\b[:\s]*(.*)", text, re.IGNORECASE | re.DOTALL)
    return _failure(failed.group(1)) if failed else _sentence(text)


def _failure(reason: Any) -> str:
    if isinstance(reason, dict):
        reason = reason.get("message") or reason.get("detail") or reason.get("code") or ""
    reason = _sentence(str(reason))
    return f"Sorry, that did not work. {reason[:1].upper()}{reason[1:]}".rstrip()


def _say_object(value: dict[str, Any]) -> str:
    for key in ("error", "errors", "exception"):
        if value.get(key):
            reason = value[key] if value[key] is not True else value.get("message", "")
            return _failure(reason[0] if isinstance(reason, list) else reason)
    if value.get("ok") is False or value.get("success") is False:
        return _failure(value.get("message") or value.get("reason") or "")
    if list(value) == ["status"] and str(value["status"]).lower() in _DONE:
        return "That is done."
    for key in _SPOKEN_WHOLE:
        whole = value.get(key)
        if isinstance(whole, str) and whole.strip():
            return _sentence(whole)
        if isinstance(whole, dict | list) and whole and len(value) <= 2:
            return _say(whole)
    facts = _facts(value)
    lists = [sentence_of_list(str(key), part) for key, part in value.items() if isinstance(part, list) and part]
    if not facts:
        return " ".join(lists[:2]) or "That is done."
    return " ".join([LEAD, *facts[:_MOST_FACTS], *lists[:1]])


def _facts(value: dict[str, Any], depth: int = 0) -> list[str]:
    facts = []
    for key, part in value.items():
        if _HIDDEN.search(str(key)) or part is None or (part is True and key.endswith(("ed", "ok", "success", "done"))):
            continue
        if isinstance(part, dict) and depth < 2:
            facts += _facts(part, depth + 1)
        elif not isinstance(part, dict | list) and (said := sentence(str(key), part)):
            facts.append(said)
    return facts


def _say_list(values: list[Any]) -> str:
    if len(values) == 1:
        return _say(values[0])
    named = [_label(value) for value in values[:_MOST_NAMED]]
    spoken = [name for name in named if name]
    if not spoken:
        return f"I found {len(values)} results."
    joined = spoken[0] if len(spoken) == 1 else ", ".join(spoken[:-1]) + f" and {spoken[-1]}"
    whole = len(values) <= _MOST_NAMED and len(spoken) == len(values)
    return f"I found {len(values)}. " + (f"They are {joined}." if whole else f"The first are {joined}.")


def _label(value: Any) -> str:
    if isinstance(value, dict):
        for key in ("name", "title", "label", "status", "id"):
            if isinstance(value.get(key), str | int):
                return scalar(value[key])
        value = next((part for part in value.values() if isinstance(part, str | int | float)), "")
    return "" if isinstance(value, list | dict) or value is None else scalar(value)


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text if not text or text[-1] in ".!?" else text + "."


def _shorten(text: str) -> str:
    if len(text) <= _MOST_CHARACTERS:
        return text
    sentences = re.split(r"(?<=[.!?])\s+", text)
    kept = sentences[0]
    for more in sentences[1:]:
        if len(kept) + len(more) >= _MOST_CHARACTERS:
            break
        kept += " " + more
    return kept if len(kept) <= _MOST_CHARACTERS else kept[:_MOST_CHARACTERS].rsplit(" ", 1)[0] + " and so on."
