"""When and how a broken session is opened again, and what of the conversation can be rebuilt."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable
from typing import Any

import msgspec

from realtime_nb.errors import ConnectionLost, ConnectionRefused, RealtimeError
from realtime_nb.protocol.conversation import Conversation
from realtime_nb.protocol.items import (
    ContentPart,
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    InputText,
    Item,
    Message,
    OutputAudio,
    OutputText,
)
from realtime_nb.protocol.session_config import SessionConfig

RETRYABLE_CLOSE_CODES = frozenset({1001, 1005, 1006, 1011, 1012, 1013, 1015})
"""The codes that the official Python SDK reconnects on; 1001 is also how a 60-minute session ends."""

READ_ONLY = frozenset({"id", "object", "type", "model", "expires_at"})


class Reconnect(msgspec.Struct, frozen=True, kw_only=True):
    """How to go on after a cut: exponential backoff with jitter.

    Attributes:
        attempts: openings tried before giving up; 0 never tries. They count anew when a connection has lasted longer
            than `longest_delay_s`: a server that greets and hangs up is not called for ever.
        first_delay_s: before the first attempt; doubles with each.
        longest_delay_s: bound of one wait.
        jitter: each wait is shortened by up to this fraction, so that many clients do not come back at once.
        kept_microphone_ms: microphone audio kept while there is no connection; what is older is dropped and counted.
    """

    attempts: int = 5
    first_delay_s: float = 0.5
    longest_delay_s: float = 8.0
    jitter: float = 0.25
    kept_microphone_ms: int = 10_000

    def delay_s(self, attempt: int, chance: random.Random) -> float:
        """Return how long to wait before attempt 1, 2, … in seconds."""
        delay_s = min(self.longest_delay_s, self.first_delay_s * 2 ** (attempt - 1))
        return delay_s * (1 - self.jitter * chance.random())


NEVER = Reconnect(attempts=0)


async def pause(waiting: Awaitable[None], closing: asyncio.Event) -> None:
    """Wait until `waiting` is over or `closing` is set; nothing of it is left when cancelled."""
    tasks = [asyncio.ensure_future(waiting), asyncio.ensure_future(closing.wait())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


class StateRestored(msgspec.Struct, frozen=True, kw_only=True):
    """What a reconnected session still knows.

    Attributes:
        gap_ms: how long there was no connection.
        attempts: openings it took.
        items: conversation items created again.
        items_lost: items that could not be (audio without a transcript, images of unknown origin).
        spoken_as_text: items whose audio is gone and whose words stayed: tone, emphasis and voice are forgotten.
        microphone_kept_ms: microphone audio of the gap that was sent afterwards.
        microphone_dropped_ms: microphone audio of the gap that was not.
    """

    gap_ms: float
    attempts: int
    items: int
    items_lost: int
    spoken_as_text: int
    microphone_kept_ms: float
    microphone_dropped_ms: float

    def __str__(self) -> str:
        lost = f", {self.items_lost} could not be" if self.items_lost else ""
        return (
            f"Reconnected after {self.gap_ms / 1000:.1f} s. {self.items} items were restored{lost}; "
            f"{self.spoken_as_text} spoken ones as text, so the model no longer knows how they sounded."
        )


def retryable(error: RealtimeError) -> bool:
    """Whether opening again can help."""
    if isinstance(error, ConnectionLost):
        return error.code in RETRYABLE_CLOSE_CODES
    return isinstance(error, ConnectionRefused)


def settings_again(config: SessionConfig) -> dict[str, Any]:
    """Return the settings that differ from a fresh session's, for its first `session.update`."""
    fresh = msgspec.to_builtins(SessionConfig())
    current = msgspec.to_builtins(config)
    return {key: value for key, value in current.items() if key not in READ_ONLY and value != fresh[key]}


def restorable(conversation: Conversation) -> tuple[list[Item], int, int]:
    """Return items that a fresh conversation can be given, how many cannot, and how many lost their audio."""
    items: list[Item] = []
    lost = spoken = 0
    for item in conversation:
        if isinstance(item, FunctionCall | FunctionCallOutput):
            items.append(msgspec.structs.replace(item))
        elif isinstance(item, Message):
            parts = [text for part in item.content if (text := _as_text(part)) is not None]
            spoken += any(isinstance(part, InputAudio | OutputAudio) for part in item.content) and bool(parts)
            if parts:
                items.append(msgspec.structs.replace(item, content=parts))
            else:
                lost += 1
        else:
            lost += 1
    return items, lost, spoken


def _as_text(part: ContentPart) -> ContentPart | None:
    if isinstance(part, InputAudio):
        return InputText(text=part.transcript) if part.transcript else None
    if isinstance(part, OutputAudio):
        return OutputText(text=part.transcript) if part.transcript else None
    if isinstance(part, OutputText) and not part.text:
        return None
    return part
