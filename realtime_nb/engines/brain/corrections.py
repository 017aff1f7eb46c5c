"""What people correct or join within one utterance, sorted out before it is read."""

from __future__ import annotations

import re

from realtime_nb.engines.brain.matcher import FUNCTION_WORDS
from realtime_nb.engines.brain.slots import Utterance

_CORRECTED = re.compile(
    r"^(.+?)[\s,.;]+(?:no wait|no sorry|no|sorry|i mean|i meant|or rather|make that|scratch that)[\s,.;]+(.+)$",
    re.IGNORECASE,
)
_DAY_PARTS = frozenset(("morning", "afternoon", "evening", "night", "noon", "week", "weekend", "moment", "time"))
_LEADING = FUNCTION_WORDS | {"make", "number", "order", "said", "meant", "mean", "sorry", "wait", "actually"}
_JOINED = re.compile(
    r"[\s,.;]+(?:and|then|also|plus)[\s,]+(?:(?:then|also|please)\s+)*"
    r"(?=(?:what|where|how|when|who|tell|cancel|order|log|look|find|book|track|check|can|could|connect|transfer|"
    r"i (?:ate|had|want|would|need)|i'd)\b)",
    re.IGNORECASE,
)
_CANCEL_IT = re.compile(
    r"^(?:(?:please|no|can you|could you|just) )*cancel (?:it|that one|this one)(?: please)?\W*$", re.IGNORECASE
)
_TAKES_BACK = re.compile(
    r"\b(?:didn't|did not|don't|do not|never)\b.*\b(?:have|had|eat|ate|drink|want|order|log)\b", re.IGNORECASE
)
_ABOUT = re.compile(r"\b(?:in|on|at|for|what about|how about) (?:the |a )?(\w+)")
_Run = tuple[str, int, int]


def self_corrected(said: str) -> str:
    """Return what was meant: "two pizzas, no, three pizzas" is "three pizzas".

    Only what can be exchanged for something of the same sort (a number for a number, a city for a city) is.
    """
    match = _CORRECTED.match(said)
    if match is None:
        return said
    before, after = Utterance(match.group(1)), Utterance(match.group(2))
    told = _runs(after)
    if not told or any(word not in _LEADING for word in after.words[: told[0][1]]):
        return said
    words, rest, changed = list(before.words), list(after.words), False
    for sort, start, end in reversed(told):
        old = next((run for run in reversed(_runs(before)) if run[0] == sort), None)
        if old is not None:
            words[old[1] : old[2]] = after.words[start:end]
            del rest[start:end]
            before, changed = Utterance(" ".join(words)), True
    more = [word for word in rest if word not in _LEADING]
    return " ".join([*words, *more]) if changed else said


def requests_in(said: str) -> list[str]:
    """Return the parts of an utterance that may be requests of their own: "weather in Rome and where is my order"."""
    return _JOINED.split(said)


def cancels_it(said: str) -> bool:
    """Whether somebody cancels what was spoken of: an order, or else the question that is open."""
    return _CANCEL_IT.match(said) is not None


def names_another(said: str) -> bool:
    """Whether a follow-up names something that no list has: "the weather on Mars" is not about Paris."""
    utterance = Utterance(said)
    known = FUNCTION_WORDS | {utterance.words[place] for place in utterance.free} | _DAY_PARTS
    return any(word not in known for word in _ABOUT.findall(" ".join(utterance.words)))


def takes_back(said: str) -> bool:
    """Whether somebody says that they did not have or want something."""
    return _TAKES_BACK.search(said.replace("’", "'")) is not None


def _runs(utterance: Utterance) -> list[_Run]:
    """Return the stretches of words of one sort: (sort, start, end)."""
    runs: list[_Run] = []
    for place, sort in sorted(utterance.free.items()):
        if runs and runs[-1][0] == sort and runs[-1][2] == place:
            runs[-1] = (sort, runs[-1][1], place + 1)
        else:
            runs.append((sort, place, place + 1))
    return runs
