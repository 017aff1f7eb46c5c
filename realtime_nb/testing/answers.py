"""Which server event answers which client event, judged one by one or matched while many are in flight."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec

from realtime_nb.protocol.client_events import MAX_EVENT_ID_CHARACTERS
from realtime_nb.protocol.items import without_audio

if TYPE_CHECKING:
    from realtime_nb.protocol.server import ServerProtocol

    from .invariants import ServerInvariants

Event = dict[str, Any]

ANSWERS: dict[str, tuple[str, ...]] = {
    "session.update": ("session.updated",),
    "input_audio_buffer.append": (),
    "input_audio_buffer.commit": (
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
    ),
    "input_audio_buffer.clear": ("input_audio_buffer.cleared",),
    "conversation.item.create": ("conversation.item.added", "conversation.item.done"),
    "conversation.item.retrieve": ("conversation.item.retrieved",),
    "conversation.item.truncate": ("conversation.item.truncated",),
    "conversation.item.delete": ("conversation.item.deleted",),
    "response.create": ("response.created",),
    "response.cancel": ("response.done",),
}
"""What a client event is answered with when it is not refused; `output_audio_buffer.clear` always is."""

UNASKED_ERRORS = {"session_expired", "rate_limit_exceeded", "server_error", "inference_rate_limit_exceeded"}
ALSO_UNASKED = {"response.create", "response.cancel", "input_audio_buffer.commit"}
"""The server may do the same by itself, and then refuse the client's."""


class Asked(msgspec.Struct):
    """A client frame that waits for its answer; `type` is None for nonsense."""

    type: str | None
    event: Event
    state: Any = None
    answers: list[Event] = []

    @property
    def event_id(self) -> str | None:
        """The id that an error must name."""
        given = self.event.get("event_id")
        return (given or None) if isinstance(given, str) and len(given) <= MAX_EVENT_ID_CHARACTERS else None


class Answers:
    """The client frames of one connection that are waiting for their answers."""

    def __init__(self, rules: ServerInvariants) -> None:
        self._rules = rules
        self._waiting: deque[Asked] = deque()
        self._perhaps_refused: deque[str] = deque(maxlen=10_000)

    @property
    def unanswered(self) -> list[tuple[str | None, str | None]]:
        """Type and event_id of what waits."""
        return [(asked.type, asked.event_id) for asked in self._waiting]

    def wait(self, asked: Asked) -> None:
        """A client frame is in flight."""
        if asked.type == "input_audio_buffer.append":
            self._no_answer(asked)
        else:
            self._waiting.append(asked)

    def match(self, event: Event) -> None:
        """Find whom a server event answers."""
        if event["type"] == "error":
            self._match_error(event["error"])
            return
        for asked in self._waiting:
            answers = ANSWERS.get(str(asked.type), ())
            if answers and answers[-1] == event["type"] and fits(asked, event):
                self._waiting.remove(asked)
                if asked.type in ALSO_UNASKED:
                    self._no_answer(asked)
                return

    def _match_error(self, error: Event) -> None:
        named = error["event_id"]
        for asked in self._waiting:
            if asked.event_id == named and (named is not None or asked.type is None):
                self._waiting.remove(asked)
                return
        if named is None:
            self._rules.require(error["code"] in UNASKED_ERRORS, "answer", f"nobody asked for {error}")
        else:
            waits = named in self._perhaps_refused
            self._rules.require(waits, "answer", f"an error names {named!r}, which waits for nothing")
            self._perhaps_refused.remove(named)

    def _no_answer(self, asked: Asked) -> None:
        if asked.event_id is not None:
            self._perhaps_refused.append(asked.event_id)


def judge(asked: Asked, state: Any, rules: ServerInvariants) -> bool:
    """Check all that came between a client frame and the next; True when it was accepted."""
    kinds = [event["type"] for event in asked.answers]
    if "error" in kinds:
        rules.require(len(kinds) == 1, "answer", f"{asked.type} got {kinds}")
        named = asked.answers[0]["error"]["event_id"]
        rules.require(named == asked.event_id, "answer", f"the error names {named!r}, not {asked.event_id!r}")
        if asked.state != state:
            raise rules.broken("refusal", f"a refused {asked.type} changed {asked.state} to {state}")
        return False
    rules.require(asked.type in ANSWERS, "answer", f"{asked.type or 'nonsense'} was not refused")
    if asked.type == "response.cancel":
        rules.require(kinds and kinds[-1] == "response.done", "answer", f"cancel got {kinds}")
        details = asked.answers[-1]["response"]["status_details"] or {}
        rules.require(details.get("reason") == "client_cancelled", "answer", details)
        about = asked.answers[-1:]
    else:
        rules.require(tuple(kinds) == ANSWERS[str(asked.type)], "answer", f"{asked.type} got {kinds}")
        about = asked.answers
    rules.require(all(fits(asked, event) for event in about), "answer", f"{asked.type}: about something else")
    return True


def state_for(machine: ServerProtocol | None, event: Event) -> Any:
    """Return what a refused event may not change."""
    if machine is None:
        return None
    item_id = event.get("item_id")
    item = machine.conversation.get(item_id) if isinstance(item_id, str) else None
    buffer = machine.input_buffer
    shown = (machine.config, buffer.start_ms, buffer.end_ms, machine.speech_item_id, list(machine.active))
    return (*shown, machine.conversation.ids, msgspec.json.encode(without_audio(item) if item else None))


def fits(asked: Asked, event: Event) -> bool:
    """Whether an answer is about what was asked, where that can be told."""
    if asked.type == "response.create":
        options = asked.event.get("response")
        outside = isinstance(options, dict) and options.get("conversation") == "none"
        return outside is (event["response"]["conversation_id"] is None)
    if asked.type == "response.cancel":
        return asked.event.get("response_id") in (None, "", event["response"]["id"])
    wanted = asked.event.get("item_id") or _item(asked.event).get("id")
    got = event.get("item_id") or _item(event).get("id")
    same_mark = asked.event.get("audio_end_ms") == event.get("audio_end_ms")
    return (not wanted or got is None or wanted == got) and (same_mark or asked.type != "conversation.item.truncate")


def _item(event: Event) -> Event:
    item = event.get("item")
    return item if isinstance(item, dict) else {}
