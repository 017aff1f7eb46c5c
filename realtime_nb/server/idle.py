"""`idle_timeout_ms`: when nobody answers the assistant for a while, the assistant speaks again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from realtime_nb.protocol.server_response import ServerResponse
from realtime_nb.protocol.session_config import ServerVad, bytes_per_ms
from realtime_nb.server.wire import Wire


class IdleTimer:
    """Runs from the end of a reply's playback, as it would be without pauses, until somebody speaks.

    Args:
        wire: of the connection.
        on_timeout: called when nobody did.
    """

    def __init__(self, wire: Wire, on_timeout: Callable[[], None]) -> None:
        self._wire = wire
        self._on_timeout = on_timeout
        self._waiting: asyncio.Task[None] | None = None

    def start_after(self, response: ServerResponse) -> None:
        """Start anew after the end of a response of the conversation, if the session asks for it."""
        if not response.settings.in_conversation:
            return
        self.stop()
        if self._timeout_ms is not None:
            audio_ms = response.audio_bytes / bytes_per_ms(response.settings.format)
            self._waiting = self._wire.spawn(self._wait(audio_ms + self._timeout_ms), name="turn-idle")

    @property
    def _timeout_ms(self) -> int | None:
        detection = self._wire.protocol.config.audio.input.turn_detection
        return detection.idle_timeout_ms if isinstance(detection, ServerVad) else None

    def stop(self) -> None:
        """Somebody spoke or a reply began."""
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    async def _wait(self, duration_ms: float) -> None:
        await self._wire.sleep(duration_ms / 1000)
        self._waiting = None
        if self._wire.protocol.active_default is None and self._timeout_ms is not None:
            self._on_timeout()
