"""`conversation.item.truncate`: acknowledged, and really done."""

from __future__ import annotations

import base64
from typing import Any

from realtime_nb.testing.conformance.peer import Event, Peer
from realtime_nb.testing.conformance.scenario import core, full, scenario
from realtime_nb.testing.conformance.trial import NotApplicable, Trial

BYTES_PER_MS = 48
TRUNCATED = "conversation.item.truncated"


@scenario(
    "truncate",
    core("beyond", "conversation.item.truncate", "audio_end_ms", "beyond the audio: an error, nothing is cut"),
    core("ack", "conversation.item.truncated", "item_id, audio_end_ms", "acknowledges what was asked"),
    core("audio", "conversation.item.truncated", "", "the item's audio really ends there"),
    core("words", "conversation.item.truncated", "", "the item's transcript loses what was not heard"),
    core("forgotten", "response.create", "", "later responses read the shorter item (by their input tokens)"),
    full("twice", "conversation.item.truncate", "audio_end_ms", "cannot grow the item again"),
    full("user", "conversation.item.truncate", "item_id", "of a user's item: an error"),
    full("text", "conversation.item.truncate", "item_id", "of an answer without sound: unsupported_content_type"),
    full("index", "conversation.item.truncate", "content_index", "of a part that there is not: an error"),
    core("next", "response.create", "", "works afterwards"),
)
async def truncate(trial: Trial) -> None:
    peer = await trial.open()
    item_id = await trial.spoken_answer(peer)
    length_ms = len(peer.audio(item_id)) // BYTES_PER_MS
    said = next(one for one in peer.of("response.output_audio_transcript.done") if one["item_id"] == item_id)
    before = await _retrieve(peer, item_id)
    cost_before = await _cost(trial, peer, item_id)
    problem = await peer.error(await _truncate(peer, item_id, length_ms + 500), TRUNCATED)
    kept = await _retrieve(peer, item_id)
    whole = kept["item"]["content"] == before["item"]["content"]
    trial.check("beyond", problem.get("code") and whole, problem["frame"], "the item was cut all the same")
    cut_ms = length_ms // 2
    sent = await _truncate(peer, item_id, cut_ms)
    ack = await peer.until("conversation.item.truncated")
    trial.check("ack", (ack["item_id"], ack["content_index"], ack["audio_end_ms"]) == (item_id, 0, cut_ms), ack)
    part = (await _retrieve(peer, item_id))["item"]["content"][0]
    left_ms = len(base64.b64decode(part.get("audio") or "")) / BYTES_PER_MS
    frame = peer.events[-1]
    trial.check("audio", cut_ms - 100 <= left_ms <= cut_ms, frame, f"{left_ms:.0f} ms are left of {length_ms}")
    words, spoken = part.get("transcript") or "", said["transcript"]
    shorter = len(words) < len(spoken) and spoken.startswith(words.rstrip("… "))
    trial.check("words", shorter, frame, f"{words!r} of {spoken!r} at {cut_ms} of {length_ms} ms")
    cost_after = await _cost(trial, peer, item_id)
    trial.check("forgotten", cost_after < cost_before, peer.events[-1], f"{cost_before} tokens, then {cost_after}")
    sent = await _truncate(peer, item_id, length_ms)
    peer.expect_error(sent)
    answer = await peer.until("error", "conversation.item.truncated")
    trial.check("twice", answer["type"] == "error", answer, "it was acknowledged")
    user = await trial.say(peer, "Thank you.")
    problem = await peer.error(await _truncate(peer, user["item"]["id"], 100), TRUNCATED)
    trial.check("user", problem.get("code"), problem["frame"])
    beyond = {"item_id": item_id, "content_index": 1, "audio_end_ms": 100}
    problem = await peer.error(await peer.send("conversation.item.truncate", **beyond), TRUNCATED)
    trial.check("index", problem.get("code"), problem["frame"])
    after = await trial.respond(peer, output_modalities=["text"])
    problem = await peer.error(await _truncate(peer, after["output"][0]["id"], 100), TRUNCATED)
    trial.check("text", problem.get("code") == "unsupported_content_type", problem["frame"])
    trial.check("next", after["status"] == "completed", peer.of("response.done")[-1])


@scenario(
    "truncate at the start",
    full("zero", "conversation.item.truncate", "audio_end_ms", "0 leaves nothing, or is an error; never the whole"),
)
async def truncate_at_start(trial: Trial) -> None:
    peer = await trial.open()
    item_id = await trial.spoken_answer(peer)
    peer.expect_error(await _truncate(peer, item_id, 0))
    answer = await peer.until("error", "conversation.item.truncated")
    if answer["type"] == "error":
        trial.check("zero", True)
        return
    part = (await _retrieve(peer, item_id))["item"]["content"][0]
    trial.check("zero", not part.get("transcript") and not part.get("audio"), peer.events[-1])


async def _truncate(peer: Peer, item_id: str, audio_end_ms: int) -> str:
    return await peer.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=audio_end_ms)


async def _retrieve(peer: Peer, item_id: str) -> Event:
    await peer.send("conversation.item.retrieve", item_id=item_id)
    return await peer.until("conversation.item.retrieved")


async def _cost(trial: Trial, peer: Peer, item_id: str) -> int:
    """Return the input tokens of a response that reads the item alone."""
    reference: list[dict[str, Any]] = [{"type": "item_reference", "id": item_id}]
    response = await trial.respond(
        peer, conversation="none", input=reference, output_modalities=["text"], max_output_tokens=1
    )
    usage = response.get("usage")
    if not usage:
        raise NotApplicable("the server counts no tokens")
    return int(usage["input_tokens"])


SCENARIOS = (truncate, truncate_at_start)
