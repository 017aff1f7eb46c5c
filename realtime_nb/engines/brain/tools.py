"""Which tool serves what was asked."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

from realtime_nb.engines.base import ChatTool
from realtime_nb.engines.brain import schema as schemas
from realtime_nb.engines.brain.arguments import kind_of
from realtime_nb.engines.brain.intents import Intent, Reader
from realtime_nb.engines.brain.slots import Utterance

LEAST_SERVICE = 0.6

_SAME_WORDS = {
    "get": "lookup look up find fetch retrieve query check search show read status track details information info",
    "create": "place make new add submit book schedule open start insert register buy",
    "delete": "cancel remove void drop",
    "change": "update modify edit set patch reschedule",
    "transfer": "handoff hand off escalate connect forward route",
    "human": "agent person representative operator support live someone manager",
    "food": "meal nutrition diet diary eaten eat",
    "weather": "forecast temperature climate",
    "customer": "account user profile client member contact crm",
    "log": "record note",
    "order": "purchase package parcel shipment shipping delivery cart",
}
_CANONICAL = {same: word for word, others in _SAME_WORDS.items() for same in (word, *others.split())}
_ACTIONS = frozenset(("create", "delete", "change"))
_NOISE_TEXT = """
a an the of for to in on by with and or this that tool function call api my your user's do run current data given from
its
"""
_NOISE = frozenset(_NOISE_TEXT.split())


def tokens(text: str) -> tuple[str, ...]:
    """Return the telling words of a name or description, words of like meaning made one."""
    parts = re.findall(r"[a-z]+|\d+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text).lower())
    stems = (
        part if part in _CANONICAL or len(part) < 4 else re.sub(r"(?<=[a-z]{3})(s|ed|ing)$", "", part) for part in parts
    )
    return tuple(_CANONICAL.get(stem, stem) for stem in stems if stem not in _NOISE)


@functools.lru_cache(maxsize=4096)
def _service(phrases: tuple[str, ...], name: str, description: str) -> float:
    named, described = set(tokens(name)), set(tokens(description[:200]))
    best = 0.0
    for phrase in phrases:
        wanted = set(tokens(phrase))
        if wanted <= _ACTIONS | {"get"}:
            continue
        weights = sum(1.0 if word in named else 0.6 if word in described else 0.0 for word in wanted)
        strays = len(named - wanted - described - {"get"})
        clash = (named & _ACTIONS) - wanted if not wanted & _ACTIONS & named else set()
        clash |= (wanted & _ACTIONS) - named - described
        best = max(best, weights / max(1, len(wanted)) - 0.12 * strays - 0.5 * len(clash))
    return best


def serving(intent: Intent, tools: Sequence[ChatTool]) -> ChatTool | None:
    """Return the tool that does what `intent` asks for, None when there is none."""
    scored = [(_service(intent.tools, tool.name, tool.description), -place) for place, tool in enumerate(tools)]
    score, place = max(scored, default=(0.0, 0))
    return tools[-place] if intent.tools and score >= LEAST_SERVICE else None


def named_in(utterance: Utterance, tools: Sequence[ChatTool], reader: Reader) -> tuple[ChatTool | None, float]:
    """Return the tool whose name the user's words are nearest to, and how near (1: all words of it were said)."""
    said = set(tokens(" ".join(utterance.words)))
    best: tuple[ChatTool | None, float] = (None, 0.0)
    for tool in tools:
        name = [word for word in tokens(tool.name) if word != "get"] or list(tokens(tool.name))
        if not name:
            continue
        described = set(tokens(tool.description[:200]))
        heard = sum(1.0 if word in said else 0.0 for word in name) / len(name)
        helped = len(described & said) / max(3, len(said))
        if heard + 0.5 * helped > best[1] and (heard >= 0.5 or helped >= 0.5):
            best = (tool, heard + 0.5 * helped)
    return best


def answering(tools: Sequence[ChatTool]) -> ChatTool | None:
    """Return a tool that takes any question, such as a search, None when there is none."""
    general = {"search", "knowledge", "faq", "ask", "answer", "docs", "documentation", "wiki", "web", "wikipedia"}
    for tool in tools:
        known, _ = schemas.properties_of(tool.parameters)
        if general & set(re.findall(r"[a-z]+", tool.name.lower())) and any(
            kind_of(name, None) == "text" for name in known
        ):
            return tool
    return None
