"""Truncation: what of a conversation still fits into the model's context, oldest items leaving first."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from realtime_nb.protocol.items import Item
from realtime_nb.protocol.server_response import ResponseSettings
from realtime_nb.protocol.session_config import RetentionRatio, TokenLimits, Truncation
from realtime_nb.protocol.spoken import AudioLedger
from realtime_nb.server.limits import Limits
from realtime_nb.server.prompt import Prompt, PromptPart, PromptReader


class ContextFull(Exception):
    """The conversation does not fit, and nothing may be, or is left to be, dropped."""


class Reading(msgspec.Struct, frozen=True):
    """What a model reads for one response.

    Attributes:
        items: those that fit, in order.
        prompt: the same, counted.
        dropped: the ids of those left out, this time and before.
    """

    items: list[Item]
    prompt: Prompt
    dropped: frozenset[str]


class ContextWindow:
    """One connection's context. What was dropped once stays out, so that the prefix stays the same until the next cut.

    Args:
        limits: the context's size and the longest reply.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._reader = PromptReader()
        self._dropped: frozenset[str] = frozenset()

    def fit(
        self, settings: ResponseSettings, items: Iterable[Item], spoken: AudioLedger, truncation: Truncation
    ) -> Reading:
        """Return what a response reads. Nothing is dropped for good before `keep`.

        Raises:
            ContextFull: with `disabled`, too much; else instructions and the last item alone are too much.
        """
        items = list(items)
        sticky = settings.input is None and truncation != "disabled"
        dropped = self._dropped & {str(item.id) for item in items} if sticky else frozenset()
        kept = [item for item in items if str(item.id) not in dropped]
        prompt = self._reader.read(settings, kept, spoken)
        room = self._room(settings, prompt, truncation)
        said = prompt.parts[1:]
        if _tokens(said) > room:
            if truncation == "disabled":
                raise ContextFull(
                    f"The conversation has {prompt.tokens} tokens, more than the model reads; truncation is disabled."
                )
            ratio = truncation.retention_ratio if isinstance(truncation, RetentionRatio) else 1.0
            said = _newest(said, room * ratio)
            if _tokens(said) > room:
                needed = prompt.parts[0].tokens + _tokens(said)
                raise ContextFull(f"Instructions, tools and the last item alone have {needed} tokens: too many.")
            dropped |= {str(item.id) for item in kept[: len(kept) - len(said)]}
            kept = kept[len(kept) - len(said) :]
            prompt = Prompt((prompt.parts[0], *said))
        return Reading(kept, prompt, dropped)

    def keep(self, settings: ResponseSettings, reading: Reading) -> None:
        """Note that a model really reads this: what it leaves out of the conversation stays out."""
        if settings.input is None:
            self._dropped = reading.dropped

    def _room(self, settings: ResponseSettings, prompt: Prompt, truncation: Truncation) -> int:
        """Return how many tokens the items may have."""
        longest = self._limits.output_tokens
        if isinstance(settings.max_output_tokens, int):
            longest = min(longest, settings.max_output_tokens)
        room = self._limits.context_tokens - longest - prompt.parts[0].tokens
        limits = truncation.token_limits if isinstance(truncation, RetentionRatio) else None
        if isinstance(limits, TokenLimits) and limits.post_instructions is not None:
            room = min(room, limits.post_instructions)
        return room


def _newest(parts: tuple[PromptPart, ...], room: float) -> tuple[PromptPart, ...]:
    """Return the newest parts that fit, at least the last."""
    total, first = 0, len(parts)
    while first and (first == len(parts) or total + parts[first - 1].tokens <= room):
        first -= 1
        total += parts[first].tokens
    return parts[first:]


def _tokens(parts: Iterable[PromptPart]) -> int:
    return sum(part.tokens for part in parts)
