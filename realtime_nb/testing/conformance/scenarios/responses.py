"""Responses: their envelope, one at a time, cancelled, out of band, overridden."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterable

import numpy as np

from realtime_nb.testing.conformance.peer import Event, Peer, of_response
from realtime_nb.testing.conformance.scenario import core, full, scenario
from realtime_nb.testing.conformance.trial import NotApplicable, Trial

LONG = "Repeat this word for word, to the very end: " + "the waves come in, and the waves go out, " * 30
"""A language model repeats it; an engine that echoes what it hears does so too."""

PONG_S = 5.0
"""Common clients hang up after 20 s without a pong."""

TEXT_ORDER = (
    *("response.created", "response.output_item.added", "conversation.item.added", "response.content_part.added"),
    *("response.output_text.delta", "response.output_text.done", "response.content_part.done"),
    *("conversation.item.done", "response.output_item.done", "response.done"),
)
AUDIO_ORDER = (
    *("response.created", "response.output_item.added", "conversation.item.added", "response.content_part.added"),
    *("deltas", "dones", "response.content_part.done"),
    *("conversation.item.done", "response.output_item.done", "response.done"),
)
SPOKEN = {
    "response.output_audio.delta": "deltas",
    "response.output_audio_transcript.delta": "deltas",
    "response.output_audio.done": "dones",
    "response.output_audio_transcript.done": "dones",
}


def folded(events: Iterable[Event]) -> tuple[str, ...]:
    """Return the events' types in order, repeats in a row as one, audio and transcript alike."""
    order: list[str] = []
    for event in events:
        name = SPOKEN.get(str(event["type"]), str(event["type"]))
        if name.startswith(("rate_limits", "conversation.item.input_audio_transcription")):
            continue
        if not order or order[-1] != name:
            order.append(name)
    return tuple(order)


@scenario(
    "text turn",
    core("order", "response.*", "", "the whole envelope, in the documented order"),
    core("status", "response.done", "response.status", "completed"),
    core("words", "response.done", "response.output", "holds the answer's text"),
    core("modality", "response.done", "output_modalities", "is what was asked for"),
    full("conversation", "response.done", "conversation_id", "names the default conversation"),
    full("previous", "conversation.item.added", "previous_item_id", "the answer follows the question"),
    full("rate_limits", "rate_limits.updated", "rate_limits", "comes with every response, with a tokens entry"),
    full("reread", "response.done", "usage.input_tokens", "counts the whole conversation again in every response"),
)
async def text_turn(trial: Trial) -> None:
    peer = await trial.open()
    asked = await trial.say(peer, "Say hello in one short sentence.")
    start = len(peer.events)
    response = await trial.respond(peer, output_modalities=["text"])
    order = folded(peer.events[start:])
    trial.check("order", order == TEXT_ORDER, {"order": order}, "another order")
    done = peer.of("response.done")[-1]
    trial.check("status", response["status"] == "completed", done)
    content = (response.get("output") or [{}])[0].get("content") or [{}]
    trial.check("words", content[0].get("type") == "output_text" and content[0].get("text"), done)
    trial.check("modality", response.get("output_modalities") == ["text"], done)
    trial.check("conversation", str(response.get("conversation_id") or "").startswith("conv"), done)
    added = peer.of("conversation.item.added", since=start)[0]
    trial.check("previous", added.get("previous_item_id") == asked["item"]["id"], added)
    if not peer.of("rate_limits.updated"):
        await peer.quiet(1.5)
    limits = [one for event in peer.of("rate_limits.updated") for one in event["rate_limits"]]
    trial.check("rate_limits", any(one.get("name") == "tokens" for one in limits), None, "none came")
    await trial.say(peer, "And once more.")
    again = await trial.respond(peer, output_modalities=["text"])
    grown = again["usage"]["input_tokens"] > response["usage"]["input_tokens"]
    trial.check("reread", grown, peer.of("response.done")[-1])


@scenario(
    "audio turn",
    core("order", "response.*", "", "the whole envelope, in the documented order"),
    core("audio", "response.output_audio.delta", "delta", "whole samples of sound, not silence"),
    core("transcript", "response.output_audio_transcript.done", "transcript", "says what is spoken"),
    core("silent_done", "response.done", "response.output", "has the transcript and not the audio"),
    full("voice", "response.created", "response.audio.output.voice", "one response may have a voice of its own"),
)
async def audio_turn(trial: Trial) -> None:
    peer = await trial.open()
    await trial.say(peer, "Say hello in one short sentence.")
    start = len(peer.events)
    own_voice = {"output": {"voice": "verse"}}
    response = await trial.respond(peer, output_modalities=["audio"], audio=own_voice)
    order = folded(peer.events[start:])
    trial.check("order", order == AUDIO_ORDER, {"order": order}, "another order")
    item = response["output"][0]
    audio = peer.audio(item["id"])
    loudest = int(np.abs(np.frombuffer(audio[: len(audio) // 2 * 2], "<i2").astype(int)).max()) if audio else 0
    trial.check("audio", len(audio) % 2 == 0 and loudest > 500, None, f"{len(audio)} bytes, loudest sample {loudest}")
    said = peer.of("response.output_audio_transcript.done")[-1]
    trial.check("transcript", said.get("transcript"), said)
    part, done = item["content"][0], peer.of("response.done")[-1]
    right = part.get("type") == "output_audio" and part.get("transcript") == said.get("transcript")
    trial.check("silent_done", right and not part.get("audio"), done)
    created = peer.of("response.created")[-1]
    voice = (created["response"].get("audio") or {}).get("output", {}).get("voice")
    trial.check("voice", voice == "verse", created)


@scenario(
    "one active response",
    core("refused", "response.create", "", "during another: conversation_already_has_active_response"),
    core("echo", "error", "error.event_id", "is the refused response.create's"),
    full("named", "error", "error.message", "names the response in progress"),
    core("first_ends", "response.done", "", "the first response ends as if nothing had been asked"),
    core("next", "response.create", "", "works when the first has ended"),
)
async def one_active(trial: Trial) -> None:
    peer = await trial.open()
    await trial.say(peer, LONG)
    await peer.send("response.create", response={})
    second = await peer.send("response.create", response={})
    peer.expect_error(second)
    first = (await peer.until("response.created"))["response"]["id"]
    answer = await peer.until("error", "response.done")
    if answer["type"] == "response.done":
        raise NotApplicable("the first response ended before the second was read")
    problem = answer["error"]
    right = problem.get("code") == "conversation_already_has_active_response"
    trial.check("refused", right, answer, f"code {problem.get('code')}")
    trial.check("echo", problem.get("event_id") == second, answer)
    trial.check("named", first in str(problem.get("message")), answer)
    done = await peer.until("response.done")
    trial.check("first_ends", done["response"]["id"] == first and done["response"]["status"] == "completed", done)
    after = await trial.respond(peer, output_modalities=["text"], max_output_tokens=1)
    trial.check("next", after["status"] in ("completed", "incomplete"), peer.of("response.done")[-1])


async def begin_long(trial: Trial, peer: Peer) -> str:
    """Begin a long spoken response and return its id."""
    await trial.say(peer, LONG)
    await peer.send("response.create", response={"output_modalities": ["audio"]})
    return str((await peer.until("response.created"))["response"]["id"])


@scenario(
    "cancel",
    core("cancelled", "response.done", "response.status", "cancelled, reason client_cancelled"),
    core("item", "response.output_item.done", "item.status", "incomplete where the answer was cut"),
    core("kept", "conversation.item.retrieve", "item_id", "what was said before the cancel stays in the conversation"),
    core("cut", "conversation.item.truncated", "audio_end_ms", "and can be cut to what was heard"),
    full("usage", "response.done", "response.usage", "counts what was made of a cancelled response"),
    core("idle", "response.cancel", "", "nothing in progress: response_cancel_not_active"),
    full("unknown", "response.cancel", "response_id", "unknown: response_cancel_not_active"),
    core("race", "response.cancel", "", "right behind response.create: cancelled, or refused and the response ends"),
    core("next", "response.create", "", "works at once after a cancel"),
)
async def cancel(trial: Trial) -> None:
    peer = await trial.open()
    await _cancel_running(trial, peer)
    for key, fields in (("idle", {}), ("unknown", {"response_id": "resp_nobody"})):
        problem = await peer.error(await peer.send("response.cancel", **fields))
        right = problem.get("code") == "response_cancel_not_active"
        trial.check(key, right, problem["frame"], f"code {problem.get('code')}")
    await peer.send("response.create", response={"output_modalities": ["audio"]})
    sent = await peer.send("response.cancel")
    peer.expect_error(sent)
    done = await peer.until("response.done")
    status = done["response"]["status"]
    if status == "completed" and not any(one["error"].get("event_id") == sent for one in peer.of("error")):
        await peer.until("error")
    trial.check("race", status in ("cancelled", "completed"), done)
    after = await trial.respond(peer, output_modalities=["text"], max_output_tokens=1)
    trial.check("next", after["status"] in ("completed", "incomplete"), peer.of("response.done")[-1])


async def _cancel_running(trial: Trial, peer: Peer) -> None:
    for _ in range(3):
        response_id = await begin_long(trial, peer)
        await peer.until("response.output_audio.delta", "response.done")
        sent = await peer.send("response.cancel", response_id=response_id)
        peer.expect_error(sent)
        done = peer.of("response.done")[-1:] or [await peer.until("response.done")]
        if done[0]["response"]["status"] == "completed":
            await peer.error(sent)
            continue
        response = done[0]["response"]
        right = response["status"] == "cancelled" and response["status_details"].get("reason") == "client_cancelled"
        trial.check("cancelled", right, done[0])
        items = [one for one in peer.of("response.output_item.done") if one["response_id"] == response_id]
        trial.check("item", items and items[-1]["item"]["status"] == "incomplete", (items or done)[-1])
        tokens = (response.get("usage") or {}).get("output_tokens", 0)
        trial.check("usage", tokens > 0, done[0])
        await peer.send("conversation.item.retrieve", item_id=items[-1]["item"]["id"])
        got = await peer.until("conversation.item.retrieved")
        trial.check("kept", got["item"]["id"] == items[-1]["item"]["id"], got)
        await _cut_cancelled(trial, peer, items[-1]["item"]["id"])
        return
    for key in ("cancelled", "item", "usage", "kept", "cut"):
        trial.not_tested(key, "the server ends responses before they can be cancelled")


async def _cut_cancelled(trial: Trial, peer: Peer, item_id: str) -> None:
    heard_ms = len(peer.audio(item_id)) // 48 // 2
    if not heard_ms:
        trial.not_tested("cut", "it was cancelled before its first sound")
        return
    await peer.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=heard_ms)
    await peer.until("conversation.item.truncated")
    await peer.send("conversation.item.retrieve", item_id=item_id)
    got = await peer.until("conversation.item.retrieved")
    left_ms = len(base64.b64decode(got["item"]["content"][0].get("audio") or "")) / 48
    trial.check("cut", heard_ms - 100 <= left_ms <= heard_ms, got, f"{left_ms:.0f} ms are left, not {heard_ms}")


@scenario(
    "cancel aside",
    full("aside", "response.done", "response.status", "an out-of-band response is cancelled by its id"),
    full("main", "response.done", "", "and the conversation's own goes on to its end"),
)
async def cancel_aside(trial: Trial) -> None:
    peer = await trial.open()
    await trial.say(peer, LONG)
    await peer.send("response.create", response={"output_modalities": ["audio"]})
    question = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": LONG}]}
    aside = {"conversation": "none", "input": [question], "output_modalities": ["audio"], "metadata": {"aside": "1"}}
    await peer.send("response.create", response=aside)
    created = await peer.until("response.created", where=lambda one: bool(one["response"].get("metadata")))
    peer.expect_error(await peer.send("response.cancel", response_id=created["response"]["id"]))
    while len(peer.of("response.done")) < 2:
        await peer.until("response.done")
    done = {bool(one["response"].get("metadata")): one for one in peer.of("response.done")}
    if done[True]["response"]["status"] == "completed":
        raise NotApplicable("the server ends responses before they can be cancelled")
    right = done[True]["response"]["status_details"].get("reason") == "client_cancelled"
    trial.check("aside", right and done[True]["response"]["status"] == "cancelled", done[True])
    trial.check("main", done[False]["response"]["status"] == "completed", done[False])


@scenario(
    "overrides",
    core("own", "response.created", "response", "shows the modality and the token limit of this response"),
    core("session", "session.updated", "session", "is not changed by a response's own settings"),
    core("back", "response.created", "output_modalities", "of the next response is the session's again"),
)
async def overrides(trial: Trial) -> None:
    peer = await trial.open()
    before = peer.events[0]["session"]
    await trial.say(peer, "Say hello in one short sentence.")
    await trial.respond(peer, output_modalities=["text"], max_output_tokens=99, instructions="Be brief.", tools=[])
    created = peer.of("response.created")[-1]
    shown = created["response"]["output_modalities"], created["response"]["max_output_tokens"]
    trial.check("own", shown == (["text"], 99), created)
    after = await trial.update(peer)
    kept = ("instructions", "output_modalities", "max_output_tokens", "tools", "audio")
    changed = [name for name in kept if after.get(name) != before.get(name)]
    trial.check("session", not changed, peer.events[-1], f"changed: {', '.join(changed)}")
    await trial.say(peer, "And once more.")
    await trial.respond(peer)
    created = peer.of("response.created")[-1]
    trial.check("back", created["response"]["output_modalities"] == before["output_modalities"], created)


@scenario(
    "alive while it speaks",
    core("pong", "(ping)", "", f"is answered within {PONG_S:g} s during a response"),
    core("update", "session.updated", "", "and so is session.update"),
)
async def alive(trial: Trial) -> None:
    peer = await trial.open()
    response_id = await begin_long(trial, peer)
    await peer.until("response.output_audio.delta", "response.done")
    ponging = asyncio.create_task(peer.transport.ping())
    try:
        await peer.send("session.update", session={"type": "realtime", "instructions": "Go on."})
        await peer.until("session.updated", patience_s=PONG_S)
        trial.check("update", True)
        while not ponging.done():  # what is not read holds up the pong
            await peer.next(PONG_S)
        trial.check("pong", await ponging < PONG_S, None, f"it took {await ponging:.1f} s")
    except TimeoutError:
        trial.check("pong", False, None, "it was not")
    finally:
        ponging.cancel()
    if not any(of_response(response_id)(one) for one in peer.of("response.done")):
        peer.expect_error(await peer.send("response.cancel", response_id=response_id))


@scenario(
    "out of band",
    full("metadata", "response.created", "response.metadata", "is echoed, also in response.done"),
    full("conversation", "response.created", "response.conversation_id", "is null"),
    full("parallel", "response.created", "", "comes while the default conversation's response is in progress"),
    full("apart", "conversation.item.retrieve", "item_id", "its answer is no item of the conversation"),
    full("two", "response.create", "", "two of them at once, told apart by metadata"),
    full("undisturbed", "response.done", "", "the default conversation's response completes"),
    full("empty", "response.create", "input", "[] means no history, and is no error"),
    full("reference", "response.create", "input", "item_reference stands for an item of the conversation"),
)
async def out_of_band(trial: Trial) -> None:
    peer = await trial.open()
    known = await trial.say(peer, LONG)
    await peer.send("response.create", response={"output_modalities": ["audio"]})
    question = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Say yes."}]}
    apart = {"conversation": "none", "input": [question], "output_modalities": ["text"]}
    for topic in ("one", "two"):
        await peer.send("response.create", response={**apart, "metadata": {"topic": topic}})
    done: dict[str, Event] = {}
    while len(done) < 3:
        event = await peer.until("response.done")
        done[str((event["response"].get("metadata") or {}).get("topic"))] = event
    created = {str((one["response"].get("metadata") or {}).get("topic")): one for one in peer.of("response.created")}
    echoed = {"one", "two"} <= set(done) and {"one", "two"} <= set(created)
    trial.check("metadata", echoed, peer.of("response.created")[-1])
    aside = [created[topic]["response"] for topic in ("one", "two")]
    trial.check("conversation", all(one["conversation_id"] is None for one in aside), created["one"])
    trial.check("two", all(done[topic]["response"]["status"] == "completed" for topic in ("one", "two")), done["two"])
    main = done["None"]
    trial.check("undisturbed", main["response"]["status"] == "completed", main)
    at = peer.events.index
    if at(created["one"]) < at(main):
        trial.check("parallel", True)
    trial.not_tested("parallel", "the first response had ended already")
    item_id = done["one"]["response"]["output"][0]["id"]
    peer.expect_error(await peer.send("conversation.item.retrieve", item_id=item_id))
    got = await peer.until("error", "conversation.item.retrieved")
    trial.check("apart", got["type"] == "error", got)
    empty = await trial.respond(peer, conversation="none", input=[], output_modalities=["text"])
    trial.check("empty", empty["status"] == "completed", peer.of("response.done")[-1])
    reference = [{"type": "item_reference", "id": known["item"]["id"]}]
    referred = await trial.respond(peer, conversation="none", input=reference, output_modalities=["text"])
    more = referred["usage"]["input_tokens"] > empty["usage"]["input_tokens"]
    trial.check("reference", referred["status"] == "completed" and more, peer.of("response.done")[-1])


@scenario(
    "token limit",
    full("status", "response.done", "response.status", "incomplete, reason max_output_tokens"),
    full("echo", "response.created", "max_output_tokens", "shows the limit of this response"),
    full("session", "session.update", "max_output_tokens", "may be set for all responses"),
)
async def token_limit(trial: Trial) -> None:
    peer = await trial.open()
    await trial.say(peer, "Say a long sentence about the sea and the ships on it.")
    response = await trial.respond(peer, output_modalities=["text"], max_output_tokens=1)
    details = response.get("status_details") or {}
    right = response["status"] == "incomplete" and details.get("reason") == "max_output_tokens"
    trial.check("status", right, peer.of("response.done")[-1])
    created = peer.of("response.created")[-1]
    trial.check("echo", created["response"]["max_output_tokens"] == 1, created)
    await trial.update(peer, max_output_tokens=1)
    await trial.say(peer, "Say a long sentence about the sea and the ships on it.")
    response = await trial.respond(peer, output_modalities=["text"])
    trial.check("session", response["status"] == "incomplete", peer.of("response.done")[-1])


SCENARIOS = (
    *(text_turn, audio_turn, overrides, one_active, cancel, cancel_aside),
    *(alive, out_of_band, token_limit),
)
