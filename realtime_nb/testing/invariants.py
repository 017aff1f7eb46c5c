"""What is true of every Realtime server connection: stated once, checked on every frame.

Give `ServerInvariants` every frame of a connection, in order, and it raises `InvariantBroken` at the first one that
cannot be. It knows nothing of any server but the frames; given a `ServerProtocol` too it compares the machine's state.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec

from realtime_nb.protocol.client_events import CLIENT_EVENT_TYPES
from realtime_nb.protocol.codec import decode_server_event
from realtime_nb.protocol.input_buffer import MAX_BUFFER_MS
from realtime_nb.protocol.server_events import UnknownEvent

from .answers import Answers, Asked, judge, state_for
from .envelopes import Envelope, bytes_per_ms, decoded_bytes, words_of

if TYPE_CHECKING:
    from realtime_nb.protocol.server import ServerProtocol

Event = dict[str, Any]

INVARIANTS = {
    "greeting": "session.created comes first, and once.",
    "shape": "Every frame is one JSON object of a documented type with its required fields.",
    "event_id": "Every event has an event_id that no other event of the connection has.",
    "answer": "Every client event has its documented answer, or exactly one error that names its event_id.",
    "refusal": "A refused event changes nothing and causes nothing else.",
    "error": "An error has a type, a code, a bounded message, a param and an event_id (each perhaps null).",
    "one_end": "Every response has exactly one response.done; nothing of it comes before created or after done.",
    "one_active": "At most one response of the default conversation is in progress.",
    "envelope": "Items open and close one after the other, parts inside items, deltas inside parts, dones before done.",
    "same_ids": "item_id, output_index, content_index and call_id of an item are the same in all its events.",
    "words": "Deltas add up to the words of every done, and to those of the item.",
    "out_of_band": "Items of a response outside the conversation cause no conversation events.",
    "order": "previous_item_id names the item before, in the conversation that the events built.",
    "item": "Every item is added once and done once, unless it is deleted in between.",
    "truncate": "An item is cut at no more audio than was sent for it, never twice outwards, and loses words only.",
    "speech": "Each speech_started has one end: speech_stopped, committed and the item, all of one id; or cleared.",
    "marks": "Audio marks never go back, nor beyond the audio appended (rounded to whole milliseconds).",
    "transcription": "An item's transcription ends once, completed or failed, and only for an item that was committed.",
    "bounds": "A machine keeps nothing beyond its conversation: no ended response, no deleted item, a bounded buffer.",
}
"""Name → statement. `InvariantBroken.invariant` is one of the names."""

MAX_ERROR_CHARACTERS = 4000


class InvariantBroken(AssertionError):
    """A frame that cannot be.

    Attributes:
        invariant: a key of `INVARIANTS`.
        recent: the last frames, "C>" for the client's and "S>" for the server's.
    """

    def __init__(self, invariant: str, what: str, recent: list[str]) -> None:
        self.invariant, self.recent = invariant, recent
        shown = [frame[:400] for frame in recent[-12:]]
        super().__init__("\n".join([f"{invariant}: {what}", f"({INVARIANTS[invariant]})", *shown]))


class ServerInvariants:
    """Follows one connection, from its first frame.

    Give it every frame in the order of one end; call `settled` when all answers must be there, `ended` at the end.

    Args:
        machine: a server machine to look into as well; its frames must all have been given when `settled` is called.
        lockstep: every client frame is given alone, with its answers and `settled` before the next: everything about
            answers can be checked. Otherwise frames are in flight both ways and answers are matched by type and id.
    """

    def __init__(self, machine: ServerProtocol | None = None, *, lockstep: bool = True) -> None:
        self.machine = machine
        self.items: list[str] = []
        self.responses: dict[str, Envelope] = {}
        self.spoken_ms: dict[str, float] = {}
        self.appended_ms = 0.0
        self.frames = 0
        self.deleted: deque[str] = deque(maxlen=5)
        self._lockstep = lockstep
        self._recent: deque[str] = deque(maxlen=24)
        self._session: Event = {}
        self._event_ids: set[str] = set()
        self._ended: set[str] = set()
        self._outside: set[str] = set()
        self._open_items: set[str] = set()
        self._words: dict[str, str] = {}
        self._asked: Asked | None = None
        self._in_flight = Answers(self)
        self._speech: tuple[str, int] | None = None
        self._due_commit: str | None = None
        self._due_item: tuple[str, str | None] | None = None
        self._marks = (0, 0)
        self.committed: set[str] = set()
        self.transcribed: set[str] = set()

    @property
    def busy(self) -> bool:
        """Whether something is unanswered, unfinished or half announced."""
        return bool(self.responses or self._open_items or self._in_flight.unanswered or self._due_item)

    @property
    def speech_end_ms(self) -> int:
        """The last audio mark: nothing later may be before it."""
        return self._marks[1]

    # --- what goes in -------------------------------------------------------------------------------------------

    def client_sent(self, frame: str | bytes) -> None:
        """Take a frame that the client sent, before the server reads it."""
        self._recent.append(f"C> {frame[:2000]!r}")
        try:
            event = msgspec.json.decode(frame) if isinstance(frame, str) else None
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            event = None
        event = event if isinstance(event, dict) else {}
        kind = event.get("type")
        kind = kind if isinstance(kind, str) and kind in CLIENT_EVENT_TYPES else None
        if not self._lockstep:
            if kind == "input_audio_buffer.append":
                self._count_audio(event)
            self._in_flight.wait(Asked(kind, event))
            return
        self.settled()
        self._asked = Asked(kind, event, state_for(self.machine, event), [])

    def server_sent(self, frame: str | bytes) -> None:
        """Take a frame that the server sent.

        Raises:
            InvariantBroken: it cannot be.
        """
        self._recent.append(f"S> {frame[:2000]!r}")
        typed = decode_server_event(frame)
        if isinstance(typed, UnknownEvent):
            raise self.broken("shape", f"{typed.type or 'no type'}: {typed.problem}")
        event: Event = msgspec.json.decode(frame)
        self._check_envelope(event)
        if self._asked is not None:
            self._asked.answers.append(event)
        handler = _HANDLERS.get(event["type"])
        if handler is not None:
            handler(self, event)
        elif event["type"].startswith("response.") and "mcp_" not in event["type"]:
            self._in_response(event)
        self.frames += 1
        if self._asked is None:
            self._in_flight.match(event)

    def settled(self) -> None:
        """Check that nothing is unanswered, and the machine's state if there is a machine.

        Raises:
            InvariantBroken: something is missing or left over.
        """
        asked, self._asked = self._asked, None
        if asked is not None:
            accepted = judge(asked, state_for(self.machine, asked.event), self)
            if accepted and asked.type == "input_audio_buffer.append":
                self._count_audio(asked.event)
        self.require(not self._in_flight.unanswered, "answer", f"no answer to {self._in_flight.unanswered}")
        due = self._due_commit or self._due_item
        self.require(not due, "speech", f"{due} was announced and did not come")
        if self.machine is not None:
            self._check_machine(self.machine)

    def ended(self) -> None:
        """Check that every response has ended and every item is done."""
        self.settled()
        never = [*self.responses, *self._open_items]
        self.require(not never, "one_end", f"never ended: {never}")

    def broken(self, invariant: str, what: str) -> InvariantBroken:
        """Return the error for a broken invariant."""
        return InvariantBroken(invariant, what, list(self._recent))

    def require(self, holds: object, invariant: str, what: object) -> None:
        """Raise unless `holds`."""
        if not holds:
            raise self.broken(invariant, str(what))

    # --- every frame --------------------------------------------------------------------------------------------

    def _check_envelope(self, event: Event) -> None:
        event_id, kind = event.get("event_id"), event["type"]
        self.require(isinstance(event_id, str) and event_id, "event_id", f"{kind} has none")
        self.require(event_id not in self._event_ids, "event_id", f"{event_id} comes twice")
        self._event_ids.add(str(event_id))
        self.require(self.frames or kind == "session.created", "greeting", f"{kind} comes first")
        if self._due_item is not None:
            self.require(kind == "conversation.item.added", "speech", f"{kind} follows committed")
        elif self._due_commit is not None:
            self.require(kind == "input_audio_buffer.committed", "speech", f"{kind} follows the end of speech")

    def _on_error(self, event: Event) -> None:
        error = event["error"]
        self.require({"type", "code", "message", "param", "event_id"} <= error.keys(), "error", sorted(error))
        whole = error["type"] and error["code"] and error["message"]
        self.require(whole and len(msgspec.json.encode(event)) <= MAX_ERROR_CHARACTERS, "error", str(error)[:200])

    def _on_created(self, event: Event) -> None:
        self.require(not self.frames, "greeting", "session.created comes again")
        self._session = event["session"]

    def _on_updated(self, event: Event) -> None:
        before, self._session = self._session, event["session"]
        old, new = before["audio"]["input"], self._session["audio"]["input"]
        if old.get("format") != new.get("format") or bool(old["turn_detection"]) != bool(new["turn_detection"]):
            self._forget_speech()

    # --- items --------------------------------------------------------------------------------------------------

    def _count_audio(self, event: Event) -> None:
        audio_format = self._session.get("audio", {}).get("input", {}).get("format")
        self.appended_ms += decoded_bytes(event["audio"]) / bytes_per_ms(audio_format)

    def _before(self, item_id: str) -> str | None:
        position = self.items.index(item_id)
        return self.items[position - 1] if position else None

    def _on_added(self, event: Event) -> None:
        item, previous = event["item"], event.get("previous_item_id")
        item_id = item["id"]
        self.require("previous_item_id" in event and item_id, "order", "an item without an id or a place")
        self.require(item_id not in self.items, "item", f"{item_id} is added twice")
        self.require(previous is None or previous in self.items, "order", f"{previous} is not in the conversation")
        self.require(item_id not in self._outside, "out_of_band", item_id)
        if self._due_item is not None:
            self.require((item_id, previous) == self._due_item, "speech", f"{self._due_item} was committed")
            self._due_item = None
        self.items.insert(self.items.index(previous) + 1 if previous else 0, item_id)
        self._open_items.add(item_id)
        for response in self.responses.values():
            response.in_conversation(item_id, self)

    def _on_done(self, event: Event) -> None:
        item_id, item = event["item"]["id"], event["item"]
        self.require(item_id in self._open_items, "item", f"{item_id} is done, but was not added or is done already")
        self._open_items.remove(item_id)
        self.require(item["status"] in ("completed", "incomplete"), "item", f"{item_id} is done and {item['status']}")
        said, stands = event.get("previous_item_id"), self._before(item_id)
        self.require(said == stands, "order", f"{item_id} follows {stands}, not {said}")

    def _on_deleted(self, event: Event) -> None:
        item_id = event["item_id"]
        self.require(item_id in self.items, "item", f"{item_id} is deleted and was not there")
        self.items.remove(item_id)
        self.deleted.append(item_id)
        self._open_items.discard(item_id)
        for book in (self.spoken_ms, self._words):
            book.pop(item_id, None)
        for response in self.responses.values():
            response.deleted(item_id)

    def _on_retrieved(self, event: Event) -> None:
        item = event["item"]
        self.require(item["id"] in self.items, "item", f"{item['id']} is retrieved and was not there")
        known = self._words.get(item["id"])
        if known is not None and item["status"] != "in_progress":
            now = words_of(item)
            self.require(known.startswith(now), "truncate", f"{item['id']} says {now!r}, had {known!r}")
            self._words[item["id"]] = now

    def _on_truncated(self, event: Event) -> None:
        item_id, end_ms = event["item_id"], event["audio_end_ms"]
        held_ms = self.spoken_ms.get(item_id, -1.0)
        self.require(0 <= end_ms <= held_ms, "truncate", f"{item_id} is cut at {end_ms}, holds {held_ms:.3f} ms")
        self.spoken_ms[item_id] = end_ms
        for response in self.responses.values():
            response.was_cut(item_id)

    # --- speech -------------------------------------------------------------------------------------------------

    def _mark(self, start_ms: int, end_ms: int) -> None:
        """Check a span of the input audio; None yet is written as its start."""
        known = f"{start_ms} to {end_ms} after {self._marks}, {self.appended_ms:.1f} ms were appended"
        last_start, last_end = self._marks
        self.require(last_start - 1 <= start_ms <= end_ms <= self.appended_ms + 1, "marks", known)
        self.require(end_ms >= last_end - 1, "marks", known)

    def _on_speech_started(self, event: Event) -> None:
        item_id, start_ms = event["item_id"], event["audio_start_ms"]
        self.require(self._speech is None, "speech", f"{item_id} starts while {self._speech} goes on")
        self.require(item_id not in self.items and item_id not in self.committed, "speech", f"{item_id} is not new")
        self._mark(start_ms, max(start_ms, self._marks[1]))
        self._marks = (start_ms, self._marks[1])
        self._speech = (item_id, start_ms)

    def _on_speech_stopped(self, event: Event) -> None:
        item_id, end_ms = event["item_id"], event["audio_end_ms"]
        self.require(self._speech and self._speech[0] == item_id, "speech", f"{item_id} stops, {self._speech} spoke")
        self._mark(self._marks[0], end_ms)
        self._marks = (self._marks[0], end_ms)
        self._due_commit = item_id

    def _on_timeout(self, event: Event) -> None:
        self.require(self._speech is None, "speech", f"a timeout while {self._speech} speaks")
        start_ms, end_ms = event["audio_start_ms"], event["audio_end_ms"]
        self._mark(start_ms, end_ms)
        self._marks = (start_ms, end_ms)
        self._due_commit = event["item_id"]

    def _on_committed(self, event: Event) -> None:
        item_id = event["item_id"]
        self.require(self._due_commit in (None, item_id), "speech", f"{item_id}, not {self._due_commit}, is committed")
        speaking = self._speech[0] if self._speech else item_id
        self.require(item_id == speaking, "speech", f"{item_id} is committed while {speaking} speaks")
        last = self.items[-1] if self.items else None
        self.require(event.get("previous_item_id") == last, "order", f"{item_id} follows {last}")
        self._speech = self._due_commit = None
        self._due_item = (item_id, last)
        self.committed.add(item_id)

    def _on_cleared(self, event: Event) -> None:
        self._forget_speech()

    def _forget_speech(self) -> None:
        """Speech that was abandoned leaves no mark."""
        self._speech, self._marks = None, (self._marks[1], self._marks[1])

    def _on_transcription(self, event: Event) -> None:
        item_id = event["item_id"]
        self.require(item_id not in self.transcribed, "transcription", f"{item_id} has its transcript already")
        if not event["type"].endswith(("delta", "segment")):
            known = item_id in self.committed or item_id in self.items
            self.require(known, "transcription", f"{item_id} was not committed")
            self.transcribed.add(item_id)

    # --- responses ----------------------------------------------------------------------------------------------

    def _on_response_created(self, event: Event) -> None:
        response = event["response"]
        response_id = response["id"]
        fresh = response_id not in self.responses and response_id not in self._ended
        self.require(fresh, "one_end", f"{response_id} is created twice")
        self.require((response["status"], response["output"]) == ("in_progress", []), "envelope", response)
        if response["conversation_id"] is not None:
            active = [one.id for one in self.responses.values() if one.default]
            self.require(not active, "one_active", f"{response_id} begins while {active} goes on")
        self.responses[response_id] = Envelope(response)

    def _in_response(self, event: Event) -> None:
        response = self.responses.get(event.get("response_id") or "")
        if response is None:
            raise self.broken("one_end", f"{event['type']} of {event.get('response_id')}, which is not in progress")
        item = response.take(event, self)
        if event["type"] == "response.output_item.added" and not response.default:
            self._outside.add(event["item"]["id"])
        if not response.default or item.deleted or item.id not in self.items:
            return
        if event["type"] == "response.output_item.done":
            self.require(item.id not in self._open_items, "envelope", f"{item.id} is not done in the conversation")
            self._words[item.id] = item.final
        elif event["type"] == "response.output_audio.delta" and not item.cut:
            self.spoken_ms[item.id] = item.audio_bytes / response.bytes_per_ms

    def _on_response_done(self, event: Event) -> None:
        response = self.responses.pop(event["response"]["id"], None)
        if response is None:
            raise self.broken("one_end", f"{event['response']['id']} is done, but was not in progress")
        self._ended.add(response.id)
        response.close(event["response"], self)

    # --- the machine --------------------------------------------------------------------------------------------

    def _check_machine(self, machine: ServerProtocol) -> None:
        self.require(machine.conversation.ids == self.items, "order", "the machine's conversation differs")
        self.require(list(machine.active) == list(self.responses), "bounds", "the machine's responses differ")
        self.require(machine.spoken.item_ids <= set(self.items), "bounds", "the ledger holds items that are gone")
        self.require(machine.input_buffer.buffered_ms <= MAX_BUFFER_MS, "bounds", "the input buffer is too full")


_HANDLERS: dict[str, Any] = {
    "error": ServerInvariants._on_error,
    "session.created": ServerInvariants._on_created,
    "session.updated": ServerInvariants._on_updated,
    "conversation.item.added": ServerInvariants._on_added,
    "conversation.item.done": ServerInvariants._on_done,
    "conversation.item.deleted": ServerInvariants._on_deleted,
    "conversation.item.retrieved": ServerInvariants._on_retrieved,
    "conversation.item.truncated": ServerInvariants._on_truncated,
    "input_audio_buffer.speech_started": ServerInvariants._on_speech_started,
    "input_audio_buffer.speech_stopped": ServerInvariants._on_speech_stopped,
    "input_audio_buffer.timeout_triggered": ServerInvariants._on_timeout,
    "input_audio_buffer.committed": ServerInvariants._on_committed,
    "input_audio_buffer.cleared": ServerInvariants._on_cleared,
    "conversation.item.input_audio_transcription.delta": ServerInvariants._on_transcription,
    "conversation.item.input_audio_transcription.completed": ServerInvariants._on_transcription,
    "conversation.item.input_audio_transcription.failed": ServerInvariants._on_transcription,
    "response.created": ServerInvariants._on_response_created,
    "response.done": ServerInvariants._on_response_done,
}

__all__ = ["INVARIANTS", "InvariantBroken", "ServerInvariants"]
