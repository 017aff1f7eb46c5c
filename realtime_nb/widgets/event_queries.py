"""The inspector's questions about single events: full JSON, and audio to listen to."""

from __future__ import annotations

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
        return {"json": json.dumps(self._logged(command).event, ensure_ascii=False, default=repr)}

    async def _get_event_audio(self, client: LinkClient, command: messages.Command) -> dict[str, Any]:
        logged = self._logged(command)
        if logged.audio_left_out_bytes:
            raise RealtimeError(
                f"The audio of event {logged.sequence} is no longer in the log.",
                what_now="Play the whole turn with turn.audio in a cell, or look at a newer event.",
            )
        data, rate_hz = event_audio(logged.event_type, logged.event), 24_000
        decode = {"audio/pcmu": decode_mulaw, "audio/pcma": decode_alaw}.get(self._wire_format(logged.direction))
        if decode is not None:
            data, rate_hz = decode(data).tobytes(), 8_000
        return {"pcm16_base64": base64.b64encode(data).decode(), "sample_rate_hz": rate_hz}

    def _logged(self, command: messages.Command) -> LoggedEventPort:
        sequence = command.arguments.get("sequence")
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
