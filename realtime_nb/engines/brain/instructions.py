"""The few things of a session's instructions that a matcher can honestly follow."""

from __future__ import annotations

import functools
import re

import msgspec

_LANGUAGES = (
    "french german spanish italian portuguese dutch polish russian chinese japanese korean arabic hindi turkish"
)
_NAME = re.compile(r"\b(?i:your name is|you are called|call yourself|you are named|named)\s+[\"“']?([A-Z][\w-]*)")
_BRIEF = re.compile(r"\b(brief|briefly|short|concise|concisely|terse|one sentence|few words)\b", re.IGNORECASE)
_SPEAK = re.compile(
    rf"\b(?:speak|answer|respond|reply|talk|converse)\b[^.!?]*?\b(?:in|only|always)?\s*({'|'.join(_LANGUAGES.split())})\b",
    re.IGNORECASE,
)
_SAY = re.compile(
    r"\b(?:say|greet|answer|reply|respond|begin|start|open)\b[^\"“”.]*[\"“]([^\"“”]{1,300})[\"”]", re.IGNORECASE
)


class Manner(msgspec.Struct, frozen=True):
    """How to speak.

    Attributes:
        name: what the assistant is called, None when nothing says.
        brief: of several answers the shortest is wanted.
        language: a language that was asked for and that the brain cannot speak.
        opening: words to say when nobody has spoken yet.
    """

    name: str | None = None
    brief: bool = False
    language: str | None = None
    opening: str | None = None


@functools.lru_cache(maxsize=64)
def manner_of(instructions: str) -> Manner:
    """Return what of `instructions` can be followed."""
    text = instructions[:8000]
    name, language, opening = _NAME.search(text), _SPEAK.search(text), _SAY.search(text)
    return Manner(
        name=name.group(1) if name else None,
        brief=bool(_BRIEF.search(text)),
        language=language.group(1).capitalize() if language else None,
        opening=opening.group(1).strip() if opening else None,
    )
