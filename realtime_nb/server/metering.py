"""Counts tokens by the documented rates, so that costs can be studied without a bill.

User audio is 1 token per 100 ms, assistant audio 1 token per 50 ms, text about 4 characters a token. Nothing is
cached yet.
"""

from __future__ import annotations

import json
from math import ceil

from realtime_nb.protocol.items import Item, Message, OutputAudio, item_text
from realtime_nb.protocol.response import InputTokenDetails, OutputTokenDetails, Usage
from realtime_nb.protocol.server import ServerProtocol
from realtime_nb.protocol.server_events import RateLimit, RateLimitsUpdated
from realtime_nb.protocol.server_response import ServerResponse
from realtime_nb.protocol.session_config import bytes_per_ms

USER_AUDIO_MS_PER_TOKEN = 100
ASSISTANT_AUDIO_MS_PER_TOKEN = 50
CHARACTERS_PER_TOKEN = 4
TOKENS_PER_MINUTE = 1_000_000


def text_tokens(text: str) -> int:
    """Return how many tokens a text counts for."""
    return ceil(len(text) / CHARACTERS_PER_TOKEN)


def output_tokens(response: ServerResponse) -> OutputTokenDetails:
    """Return what a response has written so far."""
    audio_ms = response.audio_bytes / bytes_per_ms(response.settings.format)
    return OutputTokenDetails(
        text_tokens=ceil(response.characters / CHARACTERS_PER_TOKEN),
        audio_tokens=ceil(audio_ms / ASSISTANT_AUDIO_MS_PER_TOKEN),
    )


class Meter:
    """Measures the responses of one connection. Attach with `protocol.meter = Meter(protocol)`."""

    def __init__(self, protocol: ServerProtocol) -> None:
        self._protocol = protocol
        self.tokens_used = 0

    def __call__(self, response: ServerResponse) -> Usage:
        """Return the usage of a response that ended: the whole conversation re-read, and what was written."""
        settings = response.settings
        written = {str(item.id) for item in response.output}
        said: list[Item] = [
            item
            for item in (settings.input if settings.input is not None else self._protocol.conversation)
            if str(item.id) not in written
        ]
        fixed = settings.instructions + (json.dumps(settings.tools) if settings.tools else "")
        audio = sum(self._audio_tokens(item) for item in said)
        text = text_tokens(fixed) + sum(text_tokens(item_text(item)) for item in said if not self._is_user_audio(item))
        output = output_tokens(response)
        total_in, total_out = text + audio, output.text_tokens + output.audio_tokens
        self.tokens_used += total_in + total_out
        return Usage(
            total_tokens=total_in + total_out,
            input_tokens=total_in,
            output_tokens=total_out,
            input_token_details=InputTokenDetails(text_tokens=text, audio_tokens=audio),
            output_token_details=output,
        )

    def _is_user_audio(self, item: Item) -> bool:
        return isinstance(item, Message) and item.role == "user" and self._protocol.spoken.audio_ms(str(item.id)) > 0

    def _audio_tokens(self, item: Item) -> int:
        audio_ms = self._protocol.spoken.audio_ms(str(item.id))
        spoken = isinstance(item, Message) and any(isinstance(part, OutputAudio) for part in item.content)
        return ceil(audio_ms / (ASSISTANT_AUDIO_MS_PER_TOKEN if spoken else USER_AUDIO_MS_PER_TOKEN))

    def rate_limits(self) -> RateLimitsUpdated:
        """Return the event that follows `response.done`; the limit is nominal and never refuses anything."""
        remaining = max(0, TOKENS_PER_MINUTE - self.tokens_used)
        limit = RateLimit(name="tokens", limit=TOKENS_PER_MINUTE, remaining=remaining, reset_seconds=0.0)
        return RateLimitsUpdated(rate_limits=[limit])
