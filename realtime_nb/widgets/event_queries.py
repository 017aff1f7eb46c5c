"""The inspector's questions about single events: full JSON, and audio to listen to."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any

from realtime_nb.audio.g711 import decode_alaw, decode_mulaw
from realtime_nb.errors import RealtimeError
from realtime_nb.widgets import messages
from realtime_nb.widgets.event_rows import event_audio
from realtime_nb.widgets.link_client import LinkClient
from realtime_nb.widgets.session_port import LoggedEventPort

__all__ = ["EventQueries"]

MAX_HEARD_BYTES = 60 * 48_000
"""A minute of 24 kHz PCM16; a longer run is played so far."""
EVENTS_A_BREATH = 50


class EventQueries:
    """Answers `get_event` and `get_event_audio`.

    Args:
        find: returns the logged event of a sequence number; KeyError when there is none.
        config: returns the session configuration, which says how audio is encoded on the wire; None means PCM16.
    """

    def __init__(self, find: Callable[[int], LoggedEventPort], config: Callable[[], Any] = lambda: None) -> None:
        self._find = find
        self._config = config
        self.commands = {"get_event": self._get_event, "get_event_audio": self._get_event_audio}

    async def _get_event(self, client: LinkClient, command: messages.Command) -> dict[str, Any]:
        logged = self._logged(command.arguments.get("sequence"))
        return {"json": json.dumps(logged.event, ensure_ascii=False, default=repr)}

    async def _get_event_audio(self, client: LinkClient, command: messages.Command) -> dict[str, Any]:
        sequences = command.arguments.get("sequences")
        if not isinstance(sequences, list) or not sequences:
            raise RealtimeError("No event was named.", what_now="Choose one in the inspector.")
        data, direction = bytearray(), self._logged(sequences[0]).direction
        for position, sequence in enumerate(sequences):
            if len(data) >= MAX_HEARD_BYTES:
                break
            if position % EVENTS_A_BREATH == EVENTS_A_BREATH - 1:
                await asyncio.sleep(0)
            data += _audio_of(self._logged(sequence))
        pcm16, rate_hz = bytes(data), 24_000
        decode = {"audio/pcmu": decode_mulaw, "audio/pcma": decode_alaw}.get(self._wire_format(direction))
        if decode is not None:
            pcm16, rate_hz = decode(pcm16).tobytes(), 8_000
        return {"pcm16_base64": base64.b64encode(pcm16).decode(), "sample_rate_hz": rate_hz}

    def _logged(self, sequence: object) -> LoggedEventPort:
        try:
            if not isinstance(sequence, int):
                raise KeyError(sequence)
            return self._find(sequence)
        except KeyError:
            raise RealtimeError(f"Event {sequence} is no longer in the log.", what_now="Look at a newer one.") from None

    def _wire_format(self, direction: str) -> str:
        audio = getattr(self._config(), "audio", None)
        kind = getattr(getattr(audio, "input" if direction == "sent" else "output", None), "format", None)
        return str(getattr(getattr(type(kind), "__struct_config__", None), "tag", ""))


def _audio_of(logged: LoggedEventPort) -> bytes:
    if logged.audio_left_out_bytes:
        raise RealtimeError(
            f"The audio of event {logged.sequence} is no longer in the log.",
            what_now="Play the whole turn with turn.audio in a cell, or look at a newer event.",
        )
    return event_audio(logged.event_type, logged.event)
