from __future__ import annotations

import pytest

from realtime_nb.protocol.conversation import Conversation
from realtime_nb.protocol.items import InputAudio, InputText, Message, item_text, without_audio


def message(item_id: str, text: str = "words") -> Message:
    return Message(id=item_id, role="user", status="completed", content=[InputText(text=text)])


def ids(conversation: Conversation) -> list[str]:
    return [str(item.id) for item in conversation]


def test_items_are_appended_put_first_and_put_after() -> None:
    conversation = Conversation()
    assert conversation.insert(message("b")) is None
    assert conversation.insert(message("d")) == "b"
    assert conversation.insert(message("a"), previous_item_id="root") is None
    assert conversation.insert(message("c"), previous_item_id="b") == "b"
    assert conversation.insert(message("e"), previous_item_id="") == "d"
    assert ids(conversation) == ["a", "b", "c", "d", "e"]
    assert conversation.last_id == "e"
    assert conversation.previous_id("a") is None


@pytest.mark.parametrize("previous", ["nowhere", None])
def test_unknown_places_and_taken_ids_change_nothing(previous: str | None) -> None:
    conversation = Conversation()
    conversation.insert(message("a"))
    with pytest.raises(KeyError):
        conversation.insert(message("b" if previous else "a"), previous_item_id=previous)
    assert ids(conversation) == ["a"]


def test_deleting_closes_the_gap() -> None:
    conversation = Conversation()
    for item_id in "abc":
        conversation.insert(message(item_id))
    conversation.delete("b")
    assert ids(conversation) == ["a", "c"]
    assert conversation.previous_id("c") == "a"
    with pytest.raises(KeyError):
        conversation.delete("b")


def test_events_show_items_without_their_audio() -> None:
    item = Message(id="a", role="user", content=[InputAudio(audio=b"\0\0", transcript="hello")])
    shown = without_audio(item)
    assert not isinstance(shown.content[0].audio, bytes)
    assert item.content[0].audio == b"\0\0"
    assert item_text(shown) == "hello"
