"""Spoken turns: found by the server, or held by the client."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from realtime_nb.testing.conformance.peer import Event, Peer, of_response
from realtime_nb.testing.conformance.scenario import core, full, scenario
from realtime_nb.testing.conformance.scenarios.responses import LONG, begin_long
from realtime_nb.testing.conformance.trial import SILENCE_BEFORE_MS, NotApplicable, Trial

PREFIX_MS = 300
EARLY_MS = 200
QUIET_S = 1.0
NO_VAD: dict[str, Any] = {"input": {"turn_detection": None}}

TURN = (
    *("input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped", "input_audio_buffer.committed"),
    *("conversation.item.added", "conversation.item.done", "response.created"),
)


def detection(kind: str = "server_vad", **settings: Any) -> dict[str, Any]:
    """Return audio settings with this turn detection."""
    return {"input": {"turn_detection": {"type": kind, **settings}}}


@asynccontextmanager
async def hearing(trial: Trial, peer: Peer, audio: bytes, **how: Any) -> AsyncIterator[None]:
    """Append audio while the block reads."""
    task = asyncio.create_task(trial.hear(peer, audio, **how))
    try:
        yield
        await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@scenario(
    "server VAD turn",
    core("started", "input_audio_buffer.speech_started", "audio_start_ms", "is where speech begins, less the prefix"),
    core("stopped", "input_audio_buffer.speech_stopped", "audio_end_ms", "is after the speech, within what was sent"),
    core("once", "input_audio_buffer.speech_stopped", "", "comes once for the utterance"),
    core("one_id", "conversation.item.added", "item.id", "is that of started, stopped and committed"),
    core("order", "input_audio_buffer.*", "", "started, stopped, committed, added, done, response.created"),
    core("item", "conversation.item.done", "item", "user, completed, one input_audio part without its audio"),
    core("answered", "response.done", "response.status", "the turn is answered aloud, unasked"),
    core("follows", "conversation.item.added", "previous_item_id", "the answer follows the user's item"),
    core("counts", "input_audio_buffer.speech_started", "audio_start_ms", "counts all audio of the session"),
)
async def vad_turn(trial: Trial) -> None:
    peer = await trial.open()
    clip, audio = trial.target.clip, trial.speech()
    assert clip.speech_start_ms is not None
    assert clip.speech_end_ms is not None
    async with hearing(trial, peer, audio, paced=True):
        done = await peer.until("response.done")
    started = peer.of("input_audio_buffer.speech_started")[0]
    onset_ms = SILENCE_BEFORE_MS + clip.speech_start_ms
    start_ms = started["audio_start_ms"]
    in_place = onset_ms - PREFIX_MS - EARLY_MS <= start_ms <= onset_ms + EARLY_MS
    trial.check("started", in_place, started, f"{start_ms} ms; speech begins at {onset_ms:.0f}")
    stopped = peer.of("input_audio_buffer.speech_stopped")
    end_ms, true_end_ms = stopped[-1]["audio_end_ms"], SILENCE_BEFORE_MS + clip.speech_end_ms
    in_place = true_end_ms - EARLY_MS <= end_ms <= len(audio) / 48 + 1
    trial.check("stopped", in_place, stopped[-1], f"{end_ms} ms; speech ends at {true_end_ms:.0f}")
    trial.check("once", len(stopped) == len({one["item_id"] for one in stopped}), stopped[-1], f"{len(stopped)} came")
    names = [one["type"] for one in peer.events if one["type"] in TURN][: len(TURN)]
    trial.check("order", tuple(names) == TURN, {"order": names}, "another order")
    _user_item(trial, peer, started)
    trial.check("answered", done["response"]["status"] == "completed" and done["response"]["output"], done)
    answer = next(one for one in peer.of("conversation.item.added") if one["item"].get("role") == "assistant")
    trial.check("follows", answer["previous_item_id"] == started["item_id"], answer)
    so_far_ms = len(audio) / 48
    await trial.hear(peer, trial.speech())
    again = await peer.until("input_audio_buffer.speech_started")
    right = again["audio_start_ms"] >= so_far_ms - 1 and again["audio_start_ms"] <= so_far_ms + onset_ms + EARLY_MS
    trial.check("counts", right, again, f"{so_far_ms:.0f} ms had been sent before")
    await peer.until("response.done")


def _user_item(trial: Trial, peer: Peer, started: Event) -> None:
    item_id = started["item_id"]
    user = next(one for one in peer.of("conversation.item.done") if one["item"].get("role") == "user")
    ids = {one["item_id"] for one in peer.of("input_audio_buffer.speech_stopped", "input_audio_buffer.committed")}
    trial.check("one_id", ids == {item_id} and user["item"]["id"] == item_id, user, f"{ids}, {item_id}")
    content = user["item"]["content"]
    right = len(content) == 1 and content[0]["type"] == "input_audio" and not content[0].get("audio")
    trial.check("item", right and user["item"]["status"] == "completed", user)


@scenario(
    "VAD settings",
    full("prefix", "input_audio_buffer.speech_started", "audio_start_ms", "is earlier by prefix_padding_ms"),
    full("silence", "input_audio_buffer.speech_stopped", "audio_end_ms", "is later by silence_duration_ms"),
)
async def vad_settings(trial: Trial) -> None:
    short = await _marks(trial, prefix_padding_ms=0, silence_duration_ms=200)
    long = await _marks(trial, prefix_padding_ms=300, silence_duration_ms=900)
    by_ms = short[0]["audio_start_ms"] - long[0]["audio_start_ms"]
    trial.check("prefix", abs(by_ms - 300) <= EARLY_MS, long[0], f"earlier by {by_ms} ms, not by 300")
    by_ms = long[1]["audio_end_ms"] - short[1]["audio_end_ms"]
    trial.check("silence", abs(by_ms - 700) <= EARLY_MS, long[1], f"later by {by_ms} ms, not by 700")


async def _marks(trial: Trial, **settings: Any) -> tuple[Event, Event]:
    """Return where the server says that the clip's first speech begins and its last one ends."""
    peer = await trial.open(audio=detection(create_response=False, **settings))
    await trial.hear(peer, trial.speech())
    await peer.until("input_audio_buffer.speech_stopped")
    await peer.quiet(2 * QUIET_S)  # a pause in the clip may be a stop, too
    started = peer.of("input_audio_buffer.speech_started")
    return started[0], peer.of("input_audio_buffer.speech_stopped")[-1]


@scenario(
    "VAD without response",
    full("committed", "input_audio_buffer.committed", "", "create_response false: the turn is committed"),
    full("silent", "response.created", "", "and no response is made"),
)
async def vad_only(trial: Trial) -> None:
    peer = await trial.open(audio=detection(create_response=False))
    await trial.hear(peer, trial.speech())
    await peer.until("input_audio_buffer.committed")
    trial.check("committed", True)
    await peer.quiet(QUIET_S)
    trial.check("silent", not peer.of("response.created"), peer.first("response.created"))


@scenario(
    "semantic VAD",
    full("turn", "input_audio_buffer.speech_stopped", "", "semantic_vad ends turns, too"),
    full("answered", "response.done", "", "and answers them"),
)
async def semantic(trial: Trial) -> None:
    peer = await trial.open(audio=detection("semantic_vad", eagerness="high"))
    async with hearing(trial, peer, trial.speech(tail_ms=3000), paced=True):
        await peer.until("input_audio_buffer.speech_stopped")
        trial.check("turn", True)
        done = await peer.until("response.done")
    trial.check("answered", done["response"]["status"] == "completed", done)


@scenario(
    "push to talk",
    core("silent", "input_audio_buffer.append", "", "is not answered, and nothing happens without turn detection"),
    core("committed", "input_audio_buffer.committed", "item_id", "names the item that is then added and done"),
    core("waits", "input_audio_buffer.commit", "", "makes no response by itself"),
    core("answered", "response.create", "", "then answers what was said"),
    full("audio", "conversation.item.retrieved", "item.content.audio", "is what was appended"),
)
async def push_to_talk(trial: Trial) -> None:
    peer = await trial.open(audio=NO_VAD)
    audio = trial.speech(tail_ms=200)
    start = len(peer.events)
    await trial.hear(peer, audio)
    heard = await peer.quiet(0.5)
    trial.check("silent", not heard, heard[0] if heard else None)
    await peer.send("input_audio_buffer.commit")
    committed = await peer.until("input_audio_buffer.committed")
    done = await peer.until("conversation.item.done")
    trial.check("committed", done["item"]["id"] == committed["item_id"], done)
    await peer.quiet(QUIET_S)
    trial.check("waits", not peer.of("response.created", since=start))
    response = await trial.respond(peer)
    trial.check("answered", response["status"] == "completed" and response["output"], peer.of("response.done")[-1])
    await peer.send("conversation.item.retrieve", item_id=committed["item_id"])
    got = await peer.until("conversation.item.retrieved")
    kept = base64.b64decode(got["item"]["content"][0].get("audio") or "")
    trial.check("audio", abs(len(kept) - len(audio)) <= 4800, got, f"{len(kept)} bytes of {len(audio)}")


@scenario(
    "input buffer",
    core("empty", "input_audio_buffer.commit", "", "an empty buffer: input_audio_buffer_commit_empty"),
    full("short", "input_audio_buffer.commit", "", "less than 100 ms: the same"),
    core("cleared", "input_audio_buffer.clear", "", "is answered cleared, and the audio is gone"),
    core("no_item", "conversation.item.added", "", "comes for none of these"),
)
async def input_buffer(trial: Trial) -> None:
    peer = await trial.open(audio=NO_VAD)

    async def refuse(key: str) -> None:
        problem = await peer.error(await peer.send("input_audio_buffer.commit"), "conversation.item.done")
        right = problem.get("code") == "input_audio_buffer_commit_empty"
        trial.check(key, right, problem["frame"], f"code {problem.get('code')}")

    await refuse("empty")
    await peer.append(bytes(48 * 50))
    await refuse("short")
    await trial.hear(peer, trial.speech(tail_ms=0))
    await peer.send("input_audio_buffer.clear")
    await peer.until("input_audio_buffer.cleared")
    await refuse("cleared")
    trial.check("no_item", not peer.of("conversation.item.added"))


@scenario(
    "barge-in",
    core("cancelled", "response.done", "status_details.reason", "speech cancels the response: turn_detected"),
    core("after", "response.done", "", "comes after speech_started"),
    core("goes_on", "response.created", "", "the interrupting turn is answered in its turn"),
    full("aside", "response.done", "", "speech does not cancel out-of-band responses"),
)
async def barge_in(trial: Trial) -> None:
    peer = await trial.open()
    done = await _interrupt(trial, peer)
    if done is None:
        raise NotApplicable("the server ends its responses before speech can interrupt them")
    details = done["response"].get("status_details") or {}
    right = done["response"]["status"] == "cancelled" and details.get("reason") == "turn_detected"
    trial.check("cancelled", right, done)
    await peer.until("input_audio_buffer.speech_stopped")
    before = [one["type"] for one in peer.events[: peer.events.index(done)]]
    trial.check("after", "input_audio_buffer.speech_started" in before, done)
    answer = await peer.until("response.done")
    trial.check("goes_on", answer["response"]["status"] == "completed", answer)
    question = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": LONG}]}
    aside = {"conversation": "none", "input": [question], "output_modalities": ["audio"], "metadata": {"aside": "1"}}
    since = len(peer.events)
    await peer.send("response.create", response=aside)
    await trial.hear(peer, trial.speech())
    done = await peer.until("response.done", where=lambda one: bool(one["response"].get("metadata")))
    trial.check("aside", done["response"]["status"] == "completed", done)
    if len(peer.of("response.done", since=since)) < 2:  # the answer to the speech may have been the first to end
        await peer.until("response.done")


async def _interrupt(trial: Trial, peer: Peer) -> Event | None:
    """Speak into a long response; return the interrupted response's end, None when it was never interrupted."""
    for _ in range(3):
        response_id = await begin_long(trial, peer)
        await trial.hear(peer, trial.speech())
        done = await peer.until("response.done", where=of_response(response_id))
        started = peer.of("input_audio_buffer.speech_started")
        in_time = started and peer.events.index(started[-1]) < peer.events.index(done)
        if done["response"]["status"] == "cancelled" or in_time:
            return done
        await peer.until("response.done")
    return None


@scenario(
    "no interruption",
    full("completes", "response.done", "response.status", "interrupt_response false: speech leaves it alone"),
    full("late", "response.created", "", "and the turn is answered when it has ended"),
)
async def no_interruption(trial: Trial) -> None:
    peer = await trial.open(audio=detection(interrupt_response=False))
    response_id = await begin_long(trial, peer)
    await trial.hear(peer, trial.speech())
    done = await peer.until("response.done")
    ended = done["response"]["id"] == response_id and done["response"]["status"] == "completed"
    trial.check("completes", ended, done)
    answer = await peer.until("response.done")
    trial.check("late", answer["response"]["status"] == "completed", answer)


@scenario(
    "idle timeout",
    full("triggered", "input_audio_buffer.timeout_triggered", "", "comes when nobody answers the assistant"),
    full("committed", "input_audio_buffer.committed", "item_id", "follows, of the same item"),
    full("speaks", "response.done", "", "and the assistant speaks again"),
    timeout_s=60,
)
async def idle_timeout(trial: Trial) -> None:
    peer = await trial.open(audio=detection(idle_timeout_ms=5000))
    await trial.hear(peer, bytes(48 * 200))
    item_id = await trial.spoken_answer(peer, "Say yes.")
    wait_s = len(peer.audio(item_id)) / 48_000 + 5 + trial.target.patience_s
    silence = bytes(round(48 * 1000 * wait_s))
    async with _ends_early(hearing(trial, peer, silence, paced=True)):
        timeout = await peer.until("input_audio_buffer.timeout_triggered", patience_s=wait_s)
        trial.check("triggered", timeout["audio_end_ms"] >= timeout["audio_start_ms"], timeout)
        committed = await peer.until("input_audio_buffer.committed")
        trial.check("committed", committed["item_id"] == timeout["item_id"], committed)
        done = await peer.until("response.done")
        trial.check("speaks", done["response"]["status"] == "completed", done)


class _Enough(Exception):
    """The block has what it wants; stop appending."""


@asynccontextmanager
async def _ends_early(appending: Any) -> AsyncIterator[None]:
    try:
        async with appending:
            yield
            raise _Enough
    except _Enough:
        return


SCENARIOS = (
    *(vad_turn, vad_settings, vad_only, semantic, push_to_talk, input_buffer),
    *(barge_in, no_interruption, idle_timeout),
)
