"""One response's envelope, as its events build it; the invariants that it checks are stated in `invariants`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from .invariants import ServerInvariants

Event = dict[str, Any]


def bytes_per_ms(audio_format: Any) -> int:
    """Return 48 for 24 kHz PCM16 (and when nothing is said), 8 for G.711."""
    kind = audio_format.get("type") if isinstance(audio_format, dict) else None
    return 8 if kind in ("audio/pcmu", "audio/pcma") else 48


def decoded_bytes(base64_text: str) -> int:
    """Return how many bytes a base64 text stands for."""
    return len(base64_text) // 4 * 3 - base64_text[-2:].count("=")


class OutputItem(msgspec.Struct):
    """One output item being written."""

    id: str
    index: int
    kind: str
    call_id: str | None
    part: str = ""
    words: str = ""
    audio_bytes: int = 0
    dones: set[str] = msgspec.field(default_factory=set)
    added: bool = False
    deleted: bool = False
    cut: bool = False
    done: str = ""
    final: str = ""

    def allows(self, words: str) -> bool:
        """Whether these can be its words now: those of its deltas, or their beginning when it was truncated."""
        return words == self.words or (self.cut and self.words.startswith(words))


DONES = {"audio": {"output_audio.done", "output_audio_transcript.done"}, "text": {"output_text.done"}}
CLOSES = {"function_call": "function_call_arguments.done", "message": "content_part.done"}
DELTAS = {
    "output_audio.delta": "output_audio.done",
    "output_audio_transcript.delta": "output_audio_transcript.done",
    "output_text.delta": "output_text.done",
}
WORDS = {"output_audio_transcript.done": "transcript", "output_text.done": "text"}


class Envelope:
    """Follows one response from created to done."""

    def __init__(self, response: Event) -> None:
        self.id = str(response["id"])
        self.default = response["conversation_id"] is not None
        self.metadata = response.get("metadata")
        self.bytes_per_ms = bytes_per_ms(((response.get("audio") or {}).get("output") or {}).get("format"))
        self.items: list[OutputItem] = []

    def in_conversation(self, item_id: str, rules: ServerInvariants) -> None:
        """An item joined the conversation; perhaps it is the one being written."""
        for item in self.items[-1:]:
            if item.id == item_id and not item.deleted:
                rules.require(self.default, "out_of_band", item_id)
                rules.require(not item.part and not item.dones, "envelope", f"{item_id} is added late")
                item.added = True

    def deleted(self, item_id: str) -> None:
        """An item left the conversation."""
        for item in self.items:
            item.deleted = item.deleted or item.id == item_id

    def was_cut(self, item_id: str) -> None:
        """An item was truncated."""
        for item in self.items:
            item.cut = item.cut or item.id == item_id

    def take(self, event: Event, rules: ServerInvariants) -> OutputItem:
        """Check one event and return the item that it is about."""
        kind = event["type"].removeprefix("response.")
        if kind == "output_item.added":
            return self._add(event, rules)
        item = self._current(event, rules)
        rules.require(item.added or not self.default, "envelope", f"{item.id} is not in the conversation yet")
        if kind == "output_item.done":
            self._finish(item, event, rules)
        elif item.kind == "message":
            self._in_message(item, kind, event, rules)
        else:
            self._in_call(item, kind, event, rules)
        return item

    def close(self, response: Event, rules: ServerInvariants) -> None:
        """Check the final response object."""
        rules.require(all(item.done for item in self.items), "envelope", f"{self.id} ends with an open item")
        rules.require(response["status"] != "in_progress", "one_end", f"{self.id} is done and in progress")
        rules.require(response["usage"] is not None, "envelope", f"{self.id} has no usage")
        wrong = response["status"] in ("cancelled", "failed", "incomplete") and not response["status_details"]
        rules.require(not wrong, "envelope", f"{self.id} is {response['status']} and does not say why")
        rules.require(response.get("metadata") == self.metadata, "same_ids", f"the metadata of {self.id} changed")
        listed = [(item["id"], item["status"]) for item in response["output"]]
        written = [(item.id, item.done) for item in self.items]
        rules.require(listed == written, "same_ids", f"output {listed}, written {written}")
        for shown, item in zip(response["output"], self.items, strict=True):
            rules.require(item.allows(words_of(shown)), "words", f"{words_of(shown)!r}, deltas {item.words!r}")

    def _add(self, event: Event, rules: ServerInvariants) -> OutputItem:
        shown = event["item"]
        rules.require(all(item.done for item in self.items), "envelope", f"{shown['id']} begins inside another item")
        rules.require(event["output_index"] == len(self.items), "same_ids", f"output_index of {shown['id']}")
        rules.require(shown["status"] == "in_progress" and not shown.get("content"), "envelope", shown)
        item = OutputItem(shown["id"], len(self.items), shown["type"], shown.get("call_id"))
        self.items.append(item)
        return item

    def _current(self, event: Event, rules: ServerInvariants) -> OutputItem:
        item_id = event.get("item_id") or event.get("item", {}).get("id")
        item = self.items[-1] if self.items else None
        if item is None or item.done or item.id != item_id:
            raise rules.broken("envelope", f"{event['type']} of {item_id}, which is not open")
        rules.require(event["output_index"] == item.index, "same_ids", f"output_index {event['output_index']}")
        return item

    def _in_message(self, item: OutputItem, kind: str, event: Event, rules: ServerInvariants) -> None:
        rules.require(event["content_index"] == 0, "same_ids", f"content_index {event['content_index']}")
        if kind == "content_part.added":
            rules.require(not item.part, "envelope", f"{item.id} has a second part")
            item.part = event["part"]["type"]
            return
        wanted = DONES.get(item.part, set())
        if kind in DELTAS:
            rules.require(DELTAS[kind] in wanted - item.dones, "envelope", f"{kind} where there is no such part open")
            if kind == "output_audio.delta":
                item.audio_bytes += decoded_bytes(event["delta"])
            else:
                item.words += event["delta"]
        elif kind == "content_part.done":
            rules.require(item.dones == wanted, "envelope", f"the part of {item.id} ends after {item.dones}")
            item.dones.add(kind)
            said = event["part"].get("transcript") or event["part"].get("text") or ""
            rules.require(said == item.words, "words", f"part {said!r}, deltas {item.words!r}")
        else:
            rules.require(kind in wanted - item.dones, "envelope", f"{kind} of {item.id}")
            item.dones.add(kind)
            if kind in WORDS:
                rules.require(event[WORDS[kind]] == item.words, "words", f"{kind}, deltas {item.words!r}")

    def _in_call(self, item: OutputItem, kind: str, event: Event, rules: ServerInvariants) -> None:
        rules.require(event.get("call_id") == item.call_id, "same_ids", f"call_id {event.get('call_id')}")
        rules.require(not item.dones, "envelope", f"{kind} after the arguments were done")
        if kind == "function_call_arguments.delta":
            item.words += event["delta"]
        else:
            rules.require(kind == "function_call_arguments.done", "envelope", f"{kind} of a function call")
            rules.require(event["arguments"] == item.words, "words", f"arguments, deltas {item.words!r}")
            item.dones.add(kind)

    def _finish(self, item: OutputItem, event: Event, rules: ServerInvariants) -> None:
        shown = event["item"]
        closed = CLOSES.get(item.kind)
        rules.require(closed in item.dones or item.kind not in CLOSES, "envelope", f"{item.id} ends after {item.dones}")
        rules.require(shown["status"] in ("completed", "incomplete"), "envelope", f"{item.id} ends {shown['status']}")
        rules.require(item.allows(words_of(shown)), "words", f"{words_of(shown)!r}, deltas {item.words!r}")
        item.done, item.final = shown["status"], words_of(shown)


def words_of(item: Event) -> str:
    """Return the words of an item on the wire: texts and transcripts, or a function call's arguments."""
    if item["type"] == "message":
        return "".join(part.get("transcript") or part.get("text") or "" for part in item["content"])
    return str(item["arguments"]) if item["type"] == "function_call" else ""
