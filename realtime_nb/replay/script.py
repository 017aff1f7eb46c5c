"""What a recorded server does in answer to what its client does: the part that can be played to another client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from realtime_nb.protocol.session_config import AudioFormat
from realtime_nb.recording.index import APPEND

if TYPE_CHECKING:
    from .reader import Recording

ASKING = frozenset({"response.create", "input_audio_buffer.commit", "conversation.item.create"})
"""What a server's answer waits for, as long as it takes."""
TELLING = frozenset(
    {
        *("session.update", "input_audio_buffer.clear", "response.cancel"),
        *("conversation.item.truncate", "conversation.item.delete", "conversation.item.retrieve"),
    }
)
"""What one client does and another does not: waited for a moment only."""
ANSWERED_WITHIN = 10
HEARING = frozenset({"input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped"})
"""What a server says because of the audio that it got."""


class Gate(msgspec.Struct, frozen=True):
    """The client's `number`-th event of this type (from 1), and the ids in it that later server events name."""

    event_type: str
    number: int
    ids: tuple[str, ...]
    patient: bool


class Hears(msgspec.Struct, frozen=True):
    """The client has sent so much audio since the last anchor; `starts`: or it began to speak."""

    audio_ms: float
    starts: bool


class Says(msgspec.Struct, frozen=True):
    """A server event, `delay_ms` after the last anchor (a gate, or something heard)."""

    entry: int
    delay_ms: float


Step = Gate | Hears | Says


class Script:
    """The steps of one connection, in the recorded order. Making it decodes no audio.

    Attributes:
        steps: gates, things heard, things said.
    """

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.file = recording.event_file
        self.steps: list[Step] = list(self._made())
        self._name_items()

    def frame(self, entry: int, ids: dict[str, str]) -> str | None:
        """Return a server event as text with the ids of this client in it; None when it cannot be read."""
        line = self.file.event(entry)
        if line is None:
            return None
        if line.event is None:
            return line.raw
        return msgspec.json.encode(_renamed(line.event, ids) if ids else line.event).decode()

    def input_format(self) -> AudioFormat:
        """Return the format in which the recorded client sent its audio, at the end."""
        return self.recording.input_format

    def _made(self) -> Iterator[Step]:
        counts: dict[str, int] = {}
        heard_ms = 0.0
        anchor_ms: float | None = None
        greeted = False
        durations = iter(self.recording.append_durations_ms().tolist())
        for entry, kind in enumerate(self.file.entries["kind"].tolist()):
            time_ms = float(self.file.entries[entry]["time_ns"]) / 1e6
            if kind == APPEND:
                heard_ms += next(durations)
                continue
            event_type, content, direction = self._seen(entry)
            if direction == "sent":
                if event_type in ASKING or event_type in TELLING:
                    counts[event_type] = counts.get(event_type, 0) + 1
                    yield Gate(event_type, counts[event_type], _ids(content), event_type in ASKING)
                    anchor_ms = time_ms
                continue
            if event_type == "session.created":
                if greeted:
                    continue
                greeted = True
            if anchor_ms is None:
                anchor_ms = time_ms
            if event_type in HEARING:
                yield Hears(heard_ms, event_type.endswith("started"))
                heard_ms, anchor_ms = 0.0, time_ms
            yield Says(entry, max(0.0, time_ms - anchor_ms))

    def _name_items(self) -> None:
        """Where the recorded client left an item's id to the server, take it from the server's answer."""
        for number, step in enumerate(self.steps):
            if isinstance(step, Gate) and step.event_type == "conversation.item.create" and not step.ids[1]:
                item_id = next(self._added_after(number), "")
                self.steps[number] = msgspec.structs.replace(step, ids=(step.ids[0], item_id))

    def _added_after(self, number: int) -> Iterator[str]:
        for step in self.steps[number : number + ANSWERED_WITHIN]:
            event = self.file.event(step.entry) if isinstance(step, Says) else None
            if event is not None and (event.event or {}).get("type") == "conversation.item.added":
                yield str((event.event or {}).get("item", {}).get("id", ""))

    def _seen(self, entry: int) -> tuple[str, dict[str, Any], Literal["sent", "received"]]:
        """Return an entry's type, its content when that is short, and its direction."""
        try:
            line = _decoder.decode(self.file.line(entry))
        except (msgspec.DecodeError, UnicodeError):
            return "", {}, "sent"
        if line.direction == "received":
            return line.event.type, {}, "received"
        event = self.file.event(entry)
        return line.event.type, (event.event or {}) if event is not None else {}, "sent"


class _Kind(msgspec.Struct):
    type: str = ""


class _Line(msgspec.Struct):
    direction: Literal["sent", "received"]
    event: _Kind = msgspec.field(default_factory=_Kind)


_decoder = msgspec.json.Decoder(_Line)


def _ids(content: dict[str, Any]) -> tuple[str, ...]:
    """Return the ids that a client event brings into the conversation: its own, and its item's."""
    item = content.get("item")
    found = (content.get("event_id"), item.get("id") if isinstance(item, dict) else None)
    return tuple(one if isinstance(one, str) else "" for one in found)


def same_ids(gate: Gate, content: dict[str, Any]) -> dict[str, str]:
    """Return which recorded ids are which of this client's."""
    pairs = zip(gate.ids, _ids(content), strict=True)
    return {recorded: own for recorded, own in pairs if recorded and own and recorded != own}


def _renamed(value: Any, ids: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _renamed(item, ids) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, ids) for item in value]
    return ids.get(value, value) if isinstance(value, str) else value
