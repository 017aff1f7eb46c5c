"""The named bounds of the server."""

from __future__ import annotations

import msgspec

MIB = 1024 * 1024


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of a server and of each of its connections.

    Attributes:
        sessions: at once; one more is refused (`rate_limit_exceeded`, close 1013). None for any number.
        tokens_per_minute: of all sessions and requests together; without them a response fails
            (`rate_limit_exceeded`, over HTTP with status 429).
        context_tokens: what a model reads and writes at most for one response.
        output_tokens: what it writes at most; the response is `incomplete` then.
        session_s: after so many seconds responses in progress fail, `session_expired` is sent and the connection
            closed with 1001.
        reply_ahead_bytes: a reply waits while so many bytes are unsent, so that a slow network slows it down.
        unsent_bytes: beyond this the client is cut off (close 1008, `slow_consumer`).
        close_wait_s: how long an ending connection may take to send what is left.
        message_bytes: of one WebSocket message, else it is refused; 15 MiB of audio are 20 MiB of base64.
        frame_bytes: of a message that is refused; beyond this the connection is closed (1009).
        ping_s: between pings, and how long the pong may take.
    """

    sessions: int | None = None
    tokens_per_minute: int = 1_000_000_000
    context_tokens: int = 32_320
    output_tokens: int = 4_096
    session_s: float = 3600.0
    reply_ahead_bytes: int = 1 * MIB
    unsent_bytes: int = 32 * MIB
    close_wait_s: float = 2.0
    message_bytes: int = 22 * MIB
    frame_bytes: int = 64 * MIB
    ping_s: float = 20.0
