"""What a recorded server does in answer to what its client does: the part that can be played to another client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from realtime_nb.protocol.session_config import AudioFormat
from realtime_nb.recording.index import APPEND

from .connections import GREETING, Connection, greeting

if TYPE_CHECKING:
    from .reader import Recording

ITEM, ADDED = "conversation.item.create", "conversation.item.added"
ASKING = frozenset({"response.create", "input_audio_buffer.commit", ITEM})
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


class Breaks(msgspec.Struct, frozen=True):
    """The connection ends here, `delay_ms` after the last anchor, and another one goes on."""

    delay_ms: float
    code: int
    reason: str


Step = Gate | Hears | Says | Breaks
MADE_UP = -1
"""The entry of a greeting that is not in the recording."""


class Script:
    """The steps of every connection, in the recorded order. Making it decodes no audio.

    Attributes:
        connections: of each: gates, things heard, things said; all but the last end with the break.
        items: the ids of all items, by the number of the connection in which they came up.

    Raises:
        ConfigurationError: the recording holds nothing that a server said.
    """

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.file = recording.event_file
        self._greeting, _ = greeting(recording)
        self._durations = iter(recording.append_durations_ms().tolist())
        self.items: dict[str, int] = {}
        self.connections: list[list[Step]] = []
        found = recording.connections
        for number, connection in enumerate(found):
            last = found[number + 1].first if number + 1 < len(found) else len(self.file)
            self.connections.append(list(self._made(connection, range(connection.first, last), number)))
            self._name_items(self.connections[-1])

    def frame(self, entry: int, ids: dict[str, str]) -> str | None:
        """Return a server event as text with the ids of this client in it; None when it cannot be read."""
        if entry == MADE_UP:
            return self._greeting
        line = self.file.event(entry)
        if line is None:
            return None
        if line.event is None:
            return line.raw
        return msgspec.json.encode(_renamed(line.event, ids) if ids else line.event).decode()

    def input_format(self) -> AudioFormat:
        """Return the format in which the recorded client sent its audio, at the end."""
        return self.recording.input_format

    def _made(self, connection: Connection, entries: range, number: int) -> Iterator[Step]:
        counts: dict[str, int] = {}
        heard_ms = 0.0
        anchor_ms: float | None = None
        kinds, times_ms = self.file.entries["kind"].tolist(), self.file.entries["time_ns"] / 1e6
        if self._seen(entries.start)[0] != GREETING:
            yield Says(MADE_UP, 0.0)
        for entry in entries:
            time_ms = float(times_ms[entry])
            if kinds[entry] == APPEND:
                heard_ms += next(self._durations)
                continue
            event_type, content, direction = self._seen(entry)
            is_new = self._note_item(content, number)
            if direction == "sent":
                if event_type in TELLING or (event_type in ASKING and (is_new or event_type != ITEM)):
                    counts[event_type] = counts.get(event_type, 0) + 1
                    yield Gate(event_type, counts[event_type], _ids(content), event_type in ASKING)
                    anchor_ms = time_ms
                continue
            if anchor_ms is None:
                anchor_ms = time_ms
            if event_type in HEARING:
                yield Hears(heard_ms, event_type.endswith("started"))
                heard_ms, anchor_ms = 0.0, time_ms
            yield Says(entry, max(0.0, time_ms - anchor_ms))
        if connection.lost_ms is not None:
            after_ms = connection.lost_ms - (connection.began_ms if anchor_ms is None else anchor_ms)
            yield Breaks(max(0.0, after_ms), connection.code, connection.reason)

    def _note_item(self, content: dict[str, Any], number: int) -> bool:
        """Remember an event's item; False for one that an earlier connection had: it is rebuilt."""
        item = content.get("item")
        item_id = item.get("id") if isinstance(item, dict) else None
        return not isinstance(item_id, str) or self.items.setdefault(item_id, number) == number

    def _name_items(self, steps: list[Step]) -> None:
        """Where the recorded client left an item's id to the server, take it from the server's answer."""
        for number, step in enumerate(steps):
            if isinstance(step, Gate) and step.event_type == ITEM and not step.ids[1]:
                item_id = next(self._added_after(steps, number), "")
                steps[number] = msgspec.structs.replace(step, ids=(step.ids[0], item_id))

    def _added_after(self, steps: list[Step], number: int) -> Iterator[str]:
        for step in steps[number : number + ANSWERED_WITHIN]:
            event = self.file.event(step.entry) if isinstance(step, Says) and step.entry != MADE_UP else None
            if event is not None and (event.event or {}).get("type") == ADDED:
                yield str((event.event or {}).get("item", {}).get("id", ""))

    def _seen(self, entry: int) -> tuple[str, dict[str, Any], Literal["sent", "received"]]:
        """Return an entry's type, its content when that is short, and its direction."""
        try:
            line = _decoder.decode(self.file.line(entry))
        except (msgspec.DecodeError, UnicodeError):
            return "", {}, "sent"
        if line.direction == "received" and line.event.type != ADDED:
            return line.event.type, {}, "received"
        event = self.file.event(entry)
        return line.event.type, (event.event or {}) if event is not None else {}, line.direction


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
