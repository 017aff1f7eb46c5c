"""How the brain asks for what a tool needs."""

from __future__ import annotations

import re
from collections.abc import Sequence

from realtime_nb.engines.base import ChatTool
from realtime_nb.engines.brain import schema as schemas


def question(name: str, kind: str | None, tool: ChatTool | None) -> str:
    """Return a question for a tool's parameter; `kind` as of `arguments.kind_of`."""
    known, _ = schemas.properties_of(tool.parameters) if tool else ({}, [])
    part = schemas.branch(known.get(name, {}), tool.parameters if tool else {})
    spoken = spoken_name(name)
    choices = part.get("enum")
    if isinstance(choices, list) and 1 < len(choices) <= 6:
        return f"Which {spoken}: {joined([str(choice).replace('_', ' ') for choice in choices], 'or')}?"
    if kind == "quantity":
        return "How many?"
    if schemas.main_type(part) == "boolean":
        return f"Yes or no: {spoken}?"
    return f"What is the {spoken}?"


def spoken_name(name: str) -> str:
    """Return a program's name as it is said: "order number" for `orderId`."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).replace("_", " ").replace("-", " ").lower()
    return re.sub(r"\bid\b", "number", words).strip() or "value"


def joined(names: Sequence[str], last: str = "and") -> str:
    """Return "one, two and three"."""
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + f" {last} {names[-1]}" if names else ""
