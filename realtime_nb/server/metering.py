"""Counts tokens by the documented rates, so that costs can be studied without a bill."""

from __future__ import annotations

from collections import deque
from math import ceil

from realtime_nb.protocol.response import OutputTokenDetails, Usage
from realtime_nb.protocol.server_events import RateLimit, RateLimitsUpdated
from realtime_nb.protocol.server_response import ServerResponse
from realtime_nb.protocol.session_config import bytes_per_ms
from realtime_nb.server.prompt import ASSISTANT_AUDIO_MS_PER_TOKEN, CHARACTERS_PER_TOKEN, Prompt
from realtime_nb.server.token_bucket import TokenBucket

REMEMBERED_PROMPTS = 4
"""Prompts whose beginning is still cached: an out-of-band response does not push the conversation out."""
RATE_LIMIT_EXCEEDED = "rate_limit_exceeded"


class RateLimited(Exception):
    """A response may not begin now: too many tokens were used in the last minute.

    Attributes:
        wait_s: after which it may; None when it never will.
        headers: the bucket, as the service's HTTP headers show it.
    """

    def __init__(self, message: str, *, wait_s: float | None, headers: dict[str, str]) -> None:
        super().__init__(message)
        self.wait_s = wait_s
        self.headers = headers


def claim(bucket: TokenBucket, needed: int) -> None:
    """Use so many tokens.

    Raises:
        RateLimited: they are not there; none was used.
    """
    limit, there = bucket.tokens_per_minute, bucket.remaining
    if needed <= there and there:
        bucket.take(needed)
        return
    wait_s = bucket.wait_seconds(max(1, needed)) if needed <= limit else None
    advice = "It will never fit." if wait_s is None else f"Please try again in {wait_s:.3g}s."
    raise RateLimited(
        f"Rate limit reached on tokens per minute: Limit {limit}, Remaining {there}, Requested {needed}. {advice}",
        wait_s=wait_s,
        headers=rate_limit_headers(bucket),
    )


def rate_limit_headers(bucket: TokenBucket) -> dict[str, str]:
    """Return what the service's HTTP answers say of the bucket."""
    return {
        "x-ratelimit-limit-tokens": str(bucket.tokens_per_minute),
        "x-ratelimit-remaining-tokens": str(bucket.remaining),
        "x-ratelimit-reset-tokens": f"{bucket.reset_seconds:.3f}s",
    }


def output_tokens(response: ServerResponse) -> OutputTokenDetails:
    """Return what a response has written so far."""
    return OutputTokenDetails(
        text_tokens=ceil(response.characters / CHARACTERS_PER_TOKEN),
        audio_tokens=ceil(_audio_ms(response) / ASSISTANT_AUDIO_MS_PER_TOKEN),
    )


def room_for_text(response: ServerResponse, tokens: int) -> int:
    """Return how many characters a response may still write to hold so many tokens at most."""
    tokens -= output_tokens(response).audio_tokens
    return max(0, tokens * CHARACTERS_PER_TOKEN - response.characters)


def room_for_audio_ms(response: ServerResponse, tokens: int, *, characters: int) -> float:
    """Return how much it may still say, its words being so many more characters; below 0 when not even those fit."""
    tokens -= ceil((response.characters + characters) / CHARACTERS_PER_TOKEN)
    return tokens * ASSISTANT_AUDIO_MS_PER_TOKEN - _audio_ms(response)


def _audio_ms(response: ServerResponse) -> float:
    return response.audio_bytes / bytes_per_ms(response.settings.format)


class Meter:
    """Measures the responses of one connection. It is the protocol's `meter`.

    A response reads its whole prompt again; what the beginning of a recent prompt of this connection has in common
    with it is cached.

    Args:
        bucket: what all connections use together.
    """

    def __init__(self, bucket: TokenBucket) -> None:
        self._bucket = bucket
        self._reading: dict[str, tuple[Prompt, int]] = {}
        self._recent: deque[Prompt] = deque(maxlen=REMEMBERED_PROMPTS)

    def begin(self, response: ServerResponse, prompt: Prompt) -> None:
        """A model begins to read a prompt; its tokens are used from now on.

        Raises:
            RateLimited: there are not enough tokens for it; nothing was counted.
        """
        claim(self._bucket, prompt.tokens)
        n_cached = max((prompt.shared_with(one) for one in self._recent), default=0)
        self._reading[response.id] = (prompt, n_cached)
        self._recent.append(prompt)

    def __call__(self, response: ServerResponse) -> Usage:
        """Return the usage of a response that ended; one that a model never read has no input."""
        prompt, n_cached = self._reading.pop(response.id, (Prompt(), 0))
        output = output_tokens(response)
        total_in, total_out = prompt.tokens, output.text_tokens + output.audio_tokens
        self._bucket.take(total_out)
        return Usage(
            total_tokens=total_in + total_out,
            input_tokens=total_in,
            output_tokens=total_out,
            input_token_details=prompt.details(n_cached),
            output_token_details=output,
        )

    def rate_limits(self) -> RateLimitsUpdated:
        """Return the event that follows `response.done`."""
        bucket = self._bucket
        limit = RateLimit(
            name="tokens",
            limit=bucket.tokens_per_minute,
            remaining=bucket.remaining,
            reset_seconds=round(bucket.reset_seconds, 3),
        )
        return RateLimitsUpdated(rate_limits=[limit])
