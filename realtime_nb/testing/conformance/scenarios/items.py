"""The conversation's items: every kind, order, retrieval, deletion, refusals."""

from __future__ import annotations

import base64
from typing import Any

from realtime_nb.testing.conformance.peer import Event, Peer
from realtime_nb.testing.conformance.scenario import core, full, scenario
from realtime_nb.testing.conformance.trial import Trial

PIXEL = (
    "data:image/png;base64,"
    + "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABpfZFQAAAAABJRU5ErkJggg=="
)


def message(role: str, *content: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a message item."""
    return {"type": "message", "role": role, "content": list(content), **more}


def text(words: str, kind: str = "input_text") -> dict[str, Any]:
    """Return a text part."""
    return {"type": kind, "text": words}


@scenario(
    "item kinds",
    core("user", "conversation.item.create", "item", "user text: added and done, as it was sent"),
    core("system", "conversation.item.create", "item", "system text"),
    core("assistant", "conversation.item.create", "item", "assistant text"),
    full("audio", "conversation.item.create", "item", "user audio; its bytes are not echoed"),
    full("image", "conversation.item.create", "item", "user image"),
    core("call", "conversation.item.create", "item", "function call"),
    core("output", "conversation.item.create", "item", "function call output"),
    full("refused_audio", "conversation.item.create", "item", "assistant audio is refused: invalid_value"),
    full("refused_part", "conversation.item.create", "item", "a part that does not fit the role is refused"),
    full("unknown_kind", "conversation.item.create", "item.type", "an unknown kind is refused"),
    full("extra", "conversation.item.create", "item.*", "an unknown parameter of an item: unknown_parameter"),
    core("pair", "conversation.item.done", "item", "equals conversation.item.added for a client's item"),
    core("status", "conversation.item.done", "item.status", "completed"),
)
async def kinds(trial: Trial) -> None:
    peer = await trial.open()
    sent = await peer.send("conversation.item.create", item=message("user", text("Hello."), surprise=1))
    problem = await peer.error(sent, "conversation.item.done")
    trial.check("extra", problem.get("code") == "unknown_parameter", problem["frame"], f"code {problem.get('code')}")
    speech = base64.b64encode(trial.target.clip.samples[:24_000].tobytes()).decode()
    call_id = "call_conformance"
    accepted = {
        "user": message("user", text("Hello.")),
        "system": message("system", text("Be kind.")),
        "assistant": message("assistant", text("Hello there.", "output_text")),
        "audio": message("user", {"type": "input_audio", "audio": speech}),
        "image": message("user", {"type": "input_image", "image_url": PIXEL}),
        "call": {"type": "function_call", "name": "look_up", "arguments": "{}", "call_id": call_id},
        "output": {"type": "function_call_output", "call_id": call_id, "output": "42"},
    }
    for key, item in accepted.items():
        await _accept(trial, peer, key, item)
    refused = {
        "refused_audio": message("assistant", {"type": "output_audio", "audio": speech}),
        "refused_part": message("system", {"type": "input_audio", "audio": speech}),
        "unknown_kind": {"type": "surprise"},
    }
    for key, item in refused.items():
        sent = await peer.send("conversation.item.create", item=item)
        peer.expect_error(sent)
        answer = await peer.until("error", "conversation.item.done")
        trial.check(key, answer["type"] == "error", answer, "it was accepted")


async def _accept(trial: Trial, peer: Peer, key: str, item: dict[str, Any]) -> None:
    sent = await peer.send("conversation.item.create", item=item)
    peer.expect_error(sent)
    added = await peer.until("conversation.item.added", "error")
    if added["type"] == "error":
        trial.unsupported(key, added)
        return
    done = await peer.until("conversation.item.done")
    same = all(done["item"].get(name) == item[name] for name in item if name != "content")
    shown, given = done["item"].get("content") or [], item.get("content") or []
    parts = [part.get("type") for part in shown] == [part["type"] for part in given]
    words = [part.get("text") for part in shown] == [part.get("text") for part in given]
    silent = not any(part.get("audio") for part in shown)
    trial.check(key, same and parts and words and silent and done["item"].get("id"), done)
    trial.check("pair", added["item"] == done["item"], done, "they differ")
    trial.check("status", done["item"].get("status") == "completed", done)


@scenario(
    "item order",
    core("append", "conversation.item.create", "previous_item_id", "absent: appended after the last"),
    core("first", "conversation.item.added", "previous_item_id", "is null for the first"),
    core("middle", "conversation.item.create", "previous_item_id", "an item's id: put after it"),
    full("root", "conversation.item.create", "previous_item_id", "root: put first"),
    core("unknown", "conversation.item.create", "previous_item_id", "unknown: an error, nothing inserted"),
    core("own_id", "conversation.item.create", "item.id", "may be the client's choice"),
    full("duplicate", "conversation.item.create", "item.id", "one that is taken: no second item"),
)
async def order(trial: Trial) -> None:
    peer = await trial.open()
    one = await trial.say(peer, "One.", item={"id": "item_conformance_1"})
    trial.check("own_id", one["item"]["id"] == "item_conformance_1", one)
    trial.check("first", one["previous_item_id"] is None, one)
    two = await trial.say(peer, "Two.")
    trial.check("append", two["previous_item_id"] == "item_conformance_1", two)
    middle = await trial.say(peer, "Between.", previous_item_id="item_conformance_1")
    trial.check("middle", middle["previous_item_id"] == "item_conformance_1", middle)
    root = await trial.say(peer, "Zero.", previous_item_id="root")
    trial.check("root", root["previous_item_id"] in (None, "root"), root)
    lost = message("user", text("Nowhere."), id="item_conformance_lost")
    sent = await peer.send("conversation.item.create", item=lost, previous_item_id="item_nobody")
    problem = await peer.error(sent, "conversation.item.done")
    gone = await _retrieve(peer, "item_conformance_lost")
    trial.check("unknown", gone["type"] == "error", gone, "it was inserted all the same")
    trial.check("unknown", problem.get("event_id") == sent, problem["frame"], "the error does not echo event_id")
    sent = await peer.send("conversation.item.create", item=message("user", text("Again."), id="item_conformance_1"))
    peer.expect_error(sent)
    await peer.until("error", "conversation.item.done")
    now = await _retrieve(peer, "item_conformance_1")
    kept = now["type"] == "conversation.item.retrieved"
    trial.check("duplicate", kept and now["item"]["content"][0]["text"] in ("One.", "Again."), now)


async def _retrieve(peer: Peer, item_id: str) -> Event:
    peer.expect_error(await peer.send("conversation.item.retrieve", item_id=item_id))
    return await peer.until("conversation.item.retrieved", "error")


@scenario(
    "item retrieve and delete",
    core("retrieve", "conversation.item.retrieved", "item", "is the item"),
    core("retrieve_unknown", "conversation.item.retrieve", "item_id", "unknown: item_retrieve_invalid_item_id"),
    core("delete", "conversation.item.deleted", "item_id", "and the item cannot be retrieved any more"),
    core("delete_unknown", "conversation.item.delete", "item_id", "unknown: item_delete_invalid_item_id"),
    core("truncate_unknown", "conversation.item.truncate", "item_id", "unknown: item_truncate_invalid_item_id"),
    full("user_audio", "conversation.item.retrieved", "item.content.audio", "user audio comes back as it was"),
    core(
        "answer_audio", "conversation.item.retrieved", "item.content.audio", "assistant audio comes back as it was sent"
    ),
    core("missing", "conversation.item.retrieve", "item_id", "absent: missing_required_parameter"),
)
async def retrieve(trial: Trial) -> None:
    peer = await trial.open()
    done = await trial.say(peer, "Keep me.")
    item_id = done["item"]["id"]
    got = await _retrieve(peer, item_id)
    trial.check("retrieve", got.get("item", {}).get("content") == done["item"]["content"], got)
    await peer.send("conversation.item.delete", item_id=item_id)
    deleted = await peer.until("conversation.item.deleted")
    gone = await _retrieve(peer, item_id)
    trial.check("delete", deleted["item_id"] == item_id and gone["type"] == "error", gone, "it is still there")
    for verb in ("retrieve", "delete", "truncate"):
        more = {"content_index": 0, "audio_end_ms": 100} if verb == "truncate" else {}
        sent = await peer.send(f"conversation.item.{verb}", item_id="item_nobody", **more)
        problem = await peer.error(sent, f"conversation.item.{verb}d")
        right = problem.get("code") == f"item_{verb}_invalid_item_id"
        trial.check(f"{verb}_unknown", right, problem["frame"], f"code {problem.get('code')}")
    problem = await peer.error(await peer.send("conversation.item.retrieve"), "conversation.item.retrieved")
    trial.check("missing", problem.get("code") == "missing_required_parameter", problem["frame"])
    audio = trial.target.clip.samples[:24_000].astype("<i2").tobytes()
    part = {"type": "input_audio", "audio": base64.b64encode(audio).decode()}
    peer.expect_error(await peer.send("conversation.item.create", item=message("user", part)))
    done = await peer.until("conversation.item.done", "error")
    if done["type"] == "error":
        trial.unsupported("user_audio", done)
    else:
        got = await _retrieve(peer, done["item"]["id"])
        trial.check("user_audio", _audio(got) == audio, got)
        await peer.send("conversation.item.delete", item_id=done["item"]["id"])
        await peer.until("conversation.item.deleted")
    answer_id = await trial.spoken_answer(peer)
    got = await _retrieve(peer, answer_id)
    trial.check("answer_audio", _audio(got) == peer.audio(answer_id), got, "it is not the audio of the deltas")


def _audio(event: Event) -> bytes:
    content = (event.get("item") or {}).get("content") or [{}]
    return base64.b64decode(content[0].get("audio") or "")


SCENARIOS = (kinds, order, retrieve)
