"""What must hold on every connection, whatever is talked about: the envelope of responses, items and speech.

`Envelope` reads every event of one connection. A broken rule is kept with the first frame that broke it; how often
each rule was put to the test is counted, so that a rule that never was is not reported as kept.
"""

from __future__ import annotations

from typing import Any

import msgspec

from realtime_nb.testing.conformance.results import Row
from realtime_nb.testing.conformance.scenario import core, full

RULES: dict[str, Row] = {
    row.key: row
    for row in (
        core("created", "response.created", "response", "comes first: in_progress, no output, no usage, no details"),
        core("belongs", "response.*", "response_id", "is of a response that was created and has not ended"),
        core("one_done", "response.done", "response.id", "exactly one for every response.created, its last event"),
        core("terminal", "response.done", "status", "is an end, with status_details of the same type unless completed"),
        core("output", "response.done", "output", "is the items that were done, in order, and all of them"),
        core("usage", "response.done", "usage", "is there and adds up"),
        core("one_active", "response.created", "response", "never two at once in the default conversation"),
        core("item_pair", "response.output_item.done", "item", "one for every output_item.added, before response.done"),
        core("item_status", "response.output_item.done", "item.status", "is completed or incomplete"),
        core("index", "response.*", "output_index", "goes with item_id, and counts from 0"),
        core("added_too", "conversation.item.added", "item.id", "follows output_item.added, unless out of band"),
        core("conv_done", "conversation.item.done", "item.id", "one for every conversation.item.added"),
        core("part", "response.content_part.added", "part", "comes before the part's deltas; audio or text"),
        core("part_done", "response.content_part.done", "part", "one for every part, last, with the final words"),
        core("words", "response.output_*.done", "text, transcript", "is what the deltas said"),
        core("audio_done", "response.output_audio.done", "", "one for every audio part, after its last delta"),
        core("arguments", "response.function_call_arguments.done", "arguments", "is what the deltas said, and JSON"),
        core("stopped", "input_audio_buffer.speech_stopped", "item_id", "one per item, after its speech_started"),
        core(
            "marks", "input_audio_buffer.speech_stopped", "audio_end_ms", "is after audio_start_ms, and never goes back"
        ),
        core("committed", "input_audio_buffer.committed", "item_id", "is the one of speech_started and speech_stopped"),
        core("user_item", "conversation.item.added", "item", "follows committed: a user item of the same id"),
        core("previous", "conversation.item.added", "previous_item_id", "is an item of the conversation, or null"),
        core("event_id", "every event", "event_id", "is there and never the same twice"),
        full(
            "transcribed", "conversation.item.input_audio_transcription.*", "item_id", "one end for an item that exists"
        ),
    )
}

ENDS = ("completed", "cancelled", "failed", "incomplete")
WORDS = {
    "response.output_text.delta": "",
    "response.output_audio_transcript.delta": "",
    "response.function_call_arguments.delta": "",
}


class Violation(msgspec.Struct, frozen=True):
    """A rule broken."""

    rule: str
    why: str
    frame: Any


class _Item(msgspec.Struct):
    index: int
    added: bool = False
    done: bool = False
    part: str = ""
    part_done: bool = False
    words: str = ""
    audio_dones: int = 0


class _Response(msgspec.Struct):
    created: Any
    in_conversation: bool
    items: dict[str, _Item]
    ended: bool = False


class Envelope:
    """Watches one connection.

    Attributes:
        seen: how often each rule was put to the test.
        violations: the first of each rule.
    """

    def __init__(self) -> None:
        self.seen: dict[str, int] = {}
        self.violations: dict[str, Violation] = {}
        self._responses: dict[str, _Response] = {}
        self._event_ids: set[str] = set()
        self._conversation: dict[str, bool] = {}
        self._speech: dict[str, str] = {}
        self._start_ms = 0
        self._last_mark_ms = 0
        self._awaited_user_item: tuple[str, Any] | None = None
        self._transcribed: set[str] = set()

    @property
    def open(self) -> bool:
        """Whether something begun has not ended."""
        return (
            any(not one.ended for one in self._responses.values())
            or not all(self._conversation.values())
            or self._awaited_user_item is not None
        )

    def feed(self, event: dict[str, Any]) -> None:
        """Read one event. Odd shapes are the schema's business and break nothing here."""
        name = event.get("type")
        event_id = event.get("event_id")
        self._judge("event_id", isinstance(event_id, str) and event_id not in self._event_ids, event, "missing or old")
        self._event_ids.add(str(event_id))
        handler = _HANDLERS.get(str(name))
        try:
            if handler is not None:
                handler(self, event)
            elif isinstance(name, str) and name.startswith("response."):
                self._within(event, name)
        except (KeyError, TypeError, AttributeError, ValueError):
            return

    def finish(self) -> None:
        """The connection is over: what is still open was never ended."""
        for response in self._responses.values():
            if not response.ended:
                self._judge("one_done", False, response.created, "it never came")
        for item_id, done in self._conversation.items():
            self._judge("conv_done", done, {"item_id": item_id}, f"none came for {item_id}")
        if self._awaited_user_item is not None:
            self._judge("user_item", False, self._awaited_user_item[1], "no conversation.item.added came")

    def _judge(self, rule: str, ok: bool, frame: Any, why: str) -> None:
        self.seen[rule] = self.seen.get(rule, 0) + 1
        if not ok and rule not in self.violations:
            self.violations[rule] = Violation(rule, why, frame)

    # --- responses ----------------------------------------------------------------------------------------------

    def _created(self, event: dict[str, Any]) -> None:
        response = event["response"]
        fresh = response.get("status") == "in_progress" and not response.get("output")
        fresh = fresh and response.get("usage") is None and response.get("status_details") is None
        self._judge("created", fresh and response["id"] not in self._responses, event, "it is not fresh")
        in_conversation = response.get("conversation_id") is not None
        active = [key for key, one in self._responses.items() if not one.ended and one.in_conversation]
        self._judge("one_active", not (in_conversation and active), event, f"{active} had not ended")
        self._responses[response["id"]] = _Response(event, in_conversation, {})

    def _done(self, event: dict[str, Any]) -> None:
        wire = event["response"]
        response = self._responses.get(wire["id"])
        self._judge("one_done", response is not None and not response.ended, event, "not created, or ended before")
        status, details = wire.get("status"), wire.get("status_details")
        agree = details is None or not details.get("type") or details["type"] == status
        explained = status == "completed" or (isinstance(details, dict) and details.get("type") == status)
        self._judge("terminal", status in ENDS and agree and explained, event, f"status {status}, details {details}")
        self._judge_usage(event, wire.get("usage"), status)
        if response is None:
            return
        response.ended = True
        undone = [key for key, item in response.items.items() if not item.done]
        self._judge("item_pair", not undone, event, f"no output_item.done for {undone}")
        done = [key for key, item in response.items.items() if item.done]
        self._judge("output", [item["id"] for item in wire["output"]] == done, event, f"done were {done}")
        for key, item in response.items.items():
            self._judge("part_done", item.part_done or not item.part, event, f"no content_part.done for {key}")
            spoken = item.part == "audio"
            self._judge("audio_done", item.audio_dones == 1 or not spoken, event, f"{item.audio_dones} for {key}")
            if response.in_conversation:
                self._judge("added_too", key in self._conversation, event, f"no conversation.item.added for {key}")
                self._judge("conv_done", self._conversation.get(key, False), event, f"none came for {key}")

    def _judge_usage(self, event: dict[str, Any], usage: Any, status: Any) -> None:
        if usage is None:
            self._judge("usage", status == "failed", event, "it is null")
            return
        total = usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
        out, into = usage.get("output_token_details") or {}, usage.get("input_token_details") or {}
        parts = usage["output_tokens"] == out.get("text_tokens", 0) + out.get("audio_tokens", 0)
        inputs = into.get("text_tokens", 0) + into.get("audio_tokens", 0) + into.get("image_tokens", 0)
        ok = total and (parts or not out) and (usage["input_tokens"] == inputs or not into)
        self._judge("usage", ok, event, "it does not add up")

    def _within(self, event: dict[str, Any], name: str) -> None:
        """Judge an event inside a response."""
        response = self._responses.get(event.get("response_id", ""))
        self._judge("belongs", response is not None and not response.ended, event, "no response of that id is running")
        if response is None:
            return
        if name == "response.output_item.added":
            self._item_added(response, event)
            return
        item_id = event["item"]["id"] if name == "response.output_item.done" else event["item_id"]
        item = response.items.get(item_id)
        known = item is not None and item.index == event.get("output_index")
        self._judge("index", known, event, "output_index and item_id do not go together")
        if item is None:
            return
        if name == "response.output_item.done":
            self._judge("item_pair", not item.done, event, "a second one")
            self._judge("item_status", event["item"].get("status") in ("completed", "incomplete"), event, "it is not")
            item.done = True
        elif name.startswith("response.content_part"):
            self._part(item, event, name)
        else:
            self._content(item, event, name)

    def _item_added(self, response: _Response, event: dict[str, Any]) -> None:
        index = event.get("output_index")
        fresh = event["item"]["id"] not in response.items and index == len(response.items)
        self._judge("index", fresh, event, f"it should be {len(response.items)}")
        response.items[event["item"]["id"]] = _Item(len(response.items), added=True)

    def _part(self, item: _Item, event: dict[str, Any], name: str) -> None:
        part = event["part"]
        if name.endswith("added"):
            self._judge("part", part["type"] in ("audio", "text") and not item.part, event, f"type {part['type']}")
            item.part = part["type"]
            return
        words = part.get("transcript") if part["type"] == "audio" else part.get("text")
        self._judge("part_done", bool(item.part) and not item.part_done, event, "no part is open")
        self._judge("part_done", words == item.words, event, f"its words are not the deltas': {item.words[:200]!r}")
        item.part_done = True

    def _content(self, item: _Item, event: dict[str, Any], name: str) -> None:
        if "function_call" not in name:
            self._judge("part", bool(item.part) and not item.part_done, event, "no part is open")
        if name in WORDS:
            item.words += event["delta"]
        elif name == "response.output_audio.delta":
            self._judge("audio_done", not item.audio_dones, event, "a delta after the done")
        elif name == "response.output_audio.done":
            item.audio_dones += 1
        elif name == "response.function_call_arguments.done":
            same = event["arguments"] == item.words and _is_json(event["arguments"])
            self._judge("arguments", same, event, f"deltas: {item.words[:200]!r}")
        elif name in ("response.output_text.done", "response.output_audio_transcript.done"):
            said = event["text"] if "text" in event else event["transcript"]
            self._judge("words", said == item.words, event, f"deltas: {item.words[:200]!r}")

    # --- conversation -------------------------------------------------------------------------------------------

    def _conversation_added(self, event: dict[str, Any]) -> None:
        item_id, previous = event["item"]["id"], event.get("previous_item_id")
        known = previous in self._conversation or (previous is None)
        self._judge("previous", known, event, f"{previous} is not in the conversation")
        self._conversation[item_id] = False
        if self._awaited_user_item is not None and event["item"].get("role") == "user":
            awaited, self._awaited_user_item = self._awaited_user_item[0], None
            self._judge("user_item", item_id == awaited, event, f"committed said {awaited}")
        out_of_band = [one for one in self._responses.values() if item_id in one.items and not one.in_conversation]
        self._judge("added_too", not out_of_band, event, "its response is out of band")

    def _conversation_done(self, event: dict[str, Any]) -> None:
        item_id = event["item"]["id"]
        fresh = self._conversation.get(item_id) is False
        self._judge("conv_done", fresh, event, "it was not added, or done before")
        self._conversation[item_id] = True

    def _deleted(self, event: dict[str, Any]) -> None:
        self._conversation.pop(event["item_id"], None)

    def _transcription_end(self, event: dict[str, Any]) -> None:
        item_id = event["item_id"]
        fresh = item_id not in self._transcribed and item_id in self._conversation
        self._judge("transcribed", fresh, event, "a second one, or for an unknown item")
        self._transcribed.add(item_id)

    # --- speech -------------------------------------------------------------------------------------------------

    def _speech_started(self, event: dict[str, Any]) -> None:
        self._judge("stopped", event["item_id"] not in self._speech, event, "a second start of one item")
        self._speech[event["item_id"]] = "started"
        self._start_ms = event["audio_start_ms"]

    def _speech_stopped(self, event: dict[str, Any]) -> None:
        phase = self._speech.get(event["item_id"])
        self._judge("stopped", phase == "started", event, f"its item is {phase or 'unknown'}")
        end_ms = event["audio_end_ms"]
        self._judge("marks", end_ms > self._start_ms and end_ms >= self._last_mark_ms, event, "it goes back")
        self._last_mark_ms = end_ms
        self._speech[event["item_id"]] = "stopped"

    def _committed(self, event: dict[str, Any]) -> None:
        stopped = [key for key, phase in self._speech.items() if phase == "stopped"]
        if stopped:
            self._judge("committed", event["item_id"] == stopped[-1], event, f"speech was {stopped[-1]}")
        self._speech = dict.fromkeys((*self._speech, event["item_id"]), "over")
        self._awaited_user_item = (event["item_id"], event)


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError:
        return not text
    return True


_HANDLERS = {
    "response.created": Envelope._created,
    "response.done": Envelope._done,
    "conversation.item.added": Envelope._conversation_added,
    "conversation.item.done": Envelope._conversation_done,
    "conversation.item.deleted": Envelope._deleted,
    "conversation.item.input_audio_transcription.completed": Envelope._transcription_end,
    "conversation.item.input_audio_transcription.failed": Envelope._transcription_end,
    "input_audio_buffer.speech_started": Envelope._speech_started,
    "input_audio_buffer.speech_stopped": Envelope._speech_stopped,
    "input_audio_buffer.committed": Envelope._committed,
}
