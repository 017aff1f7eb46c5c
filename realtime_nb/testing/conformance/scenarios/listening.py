"""What the server makes of user audio: transcription, other formats, transcription sessions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from realtime_nb.audio.g711 import decode_alaw, decode_mulaw, encode_alaw, encode_mulaw
from realtime_nb.audio.pcm import rms_dbfs
from realtime_nb.audio.resample import resample
from realtime_nb.testing.conformance.peer import Event, Peer
from realtime_nb.testing.conformance.scenario import core, full, scenario
from realtime_nb.testing.conformance.scenarios.speech import NO_VAD, QUIET_S, TURN
from realtime_nb.testing.conformance.trial import SILENCE_BEFORE_MS, Trial

COMPLETED = "conversation.item.input_audio_transcription.completed"
DELTA = "conversation.item.input_audio_transcription.delta"
TRANSCRIPTION = {"model": "gpt-4o-mini-transcribe"}


@scenario(
    "input transcription",
    core("completed", COMPLETED, "item_id, transcript", "comes for the committed item"),
    core("usage", COMPLETED, "usage", "is tokens or duration, counted"),
    full("deltas", DELTA, "delta", "come before, and add up to the transcript"),
    full("kept", "conversation.item.retrieved", "item.content.transcript", "is what was transcribed"),
    full("off", COMPLETED, "", "does not come when transcription is off"),
)
async def transcription(trial: Trial) -> None:
    peer = await trial.open(audio={"input": {"turn_detection": None, "transcription": TRANSCRIPTION}})
    completed = await _commit(trial, peer)
    trial.check("completed", isinstance(completed["transcript"], str), completed)
    _usage(trial, completed)
    deltas = [one for one in peer.of(DELTA) if one["item_id"] == completed["item_id"]]
    words = "".join(one.get("delta") or "" for one in deltas).split()
    trial.check("deltas", words == completed["transcript"].split(), completed, f"deltas: {words}")
    await peer.send("conversation.item.retrieve", item_id=completed["item_id"])
    got = await peer.until("conversation.item.retrieved")
    trial.check("kept", got["item"]["content"][0].get("transcript") == completed["transcript"], got)
    await trial.update(peer, audio={"input": {"transcription": None}})
    start = len(peer.events)
    await trial.hear(peer, trial.speech(tail_ms=200))
    await peer.send("input_audio_buffer.commit")
    await peer.until("conversation.item.done")
    await trial.respond(peer)
    late = peer.first(COMPLETED, DELTA, since=start)
    trial.check("off", late is None, late)


async def _commit(trial: Trial, peer: Peer) -> Event:
    await trial.hear(peer, trial.speech(tail_ms=200))
    await peer.send("input_audio_buffer.commit")
    committed = await peer.until("input_audio_buffer.committed")
    return await peer.until(COMPLETED, where=lambda one: one["item_id"] == committed["item_id"])


def _usage(trial: Trial, completed: Event) -> None:
    usage = completed.get("usage") or {}
    tokens = usage.get("type") == "tokens" and usage.get("total_tokens", 0) > 0
    trial.check("usage", tokens or (usage.get("type") == "duration" and usage.get("seconds", 0) > 0), completed)


@scenario(
    "transcription session",
    full("created", "session.created", "session.type", "intent=transcription needs no model and opens one"),
    full("updated", "session.updated", "session", "is of type transcription, with audio.input only"),
    full("completed", COMPLETED, "transcript", "comes for what was committed"),
    full("usage", COMPLETED, "usage", "is tokens or duration, counted"),
    full("refused", "response.create", "", "is an error in such a session"),
    full("silent", "response.created", "", "never comes"),
)
async def transcription_session(trial: Trial) -> None:
    peer = await trial.connect(query={"intent": "transcription", "model": None})
    created = await peer.until("session.created")
    session = created["session"]
    right = session.get("type") == "transcription" and session.get("object") == "realtime.transcription_session"
    trial.check("created", right, created)
    settings = {"type": "transcription", "audio": {"input": {"transcription": TRANSCRIPTION, "turn_detection": None}}}
    await peer.send("session.update", session=settings)
    updated = await peer.until("session.updated")
    heard = updated["session"]["audio"]["input"]["transcription"]["model"] == TRANSCRIPTION["model"]
    trial.check("updated", heard and "output" not in updated["session"]["audio"], updated)
    completed = await _commit(trial, peer)
    trial.check("completed", isinstance(completed["transcript"], str), completed)
    _usage(trial, completed)
    peer.expect_error(await peer.send("response.create"))
    answer = await peer.until("error", "response.created")
    trial.check("refused", answer["type"] == "error", answer)
    trial.check("silent", not peer.of("response.created"))


@scenario(
    "transcription session with VAD",
    full("turn", "input_audio_buffer.*", "", "started, stopped, committed, added, done"),
    full("heard", COMPLETED, "item_id", "comes for the committed item, unasked"),
    full("quiet", "response.created", "", "never comes, and no rate_limits.updated"),
)
async def transcription_vad(trial: Trial) -> None:
    peer = await trial.connect(query={"intent": "transcription", "model": None})
    await peer.until("session.created")
    audio = {"input": {"transcription": TRANSCRIPTION, "turn_detection": {"type": "server_vad"}}}
    await peer.send("session.update", session={"type": "transcription", "audio": audio})
    await peer.until("session.updated")
    await trial.hear(peer, trial.speech())
    completed = await peer.until(COMPLETED)
    names = tuple(one["type"] for one in peer.events if one["type"] in TURN)[: len(TURN) - 1]
    trial.check("turn", names == TURN[:-1], {"order": names}, "another order")
    committed = peer.of("input_audio_buffer.committed")
    trial.check("heard", completed["item_id"] in [one["item_id"] for one in committed], completed)
    await peer.quiet(QUIET_S)
    more = peer.first("response.created", "rate_limits.updated")
    trial.check("quiet", more is None, more)


@scenario(
    "G.711 mu-law",
    full("in", "input_audio_buffer.append", "audio", "8 bytes a millisecond, found where it is spoken"),
    full("out", "response.output_audio.delta", "delta", "is mu-law: as long as its words, and sound"),
    full("shown", "response.created", "response.audio.output.format", "says so"),
)
async def mulaw(trial: Trial) -> None:
    await _g711(trial, "audio/pcmu", encode_mulaw, decode_mulaw)


@scenario(
    "G.711 A-law",
    full("in", "input_audio_buffer.append", "audio", "8 bytes a millisecond, found where it is spoken"),
    full("out", "response.output_audio.delta", "delta", "is A-law: as long as its words, and sound"),
    full("shown", "response.created", "response.audio.output.format", "says so"),
)
async def alaw(trial: Trial) -> None:
    await _g711(trial, "audio/pcma", encode_alaw, decode_alaw)


Codec = Callable[..., object]


async def _g711(trial: Trial, name: str, encode: Codec, decode: Codec) -> None:
    peer = await trial.open(audio={"input": {"format": {"type": name}}, "output": {"format": {"type": name}}})
    samples = np.frombuffer(trial.speech(), "<i2")
    encoded = encode(resample(samples, 24_000, 8_000))
    assert isinstance(encoded, bytes)
    await trial.hear(peer, encoded, bytes_per_ms=8)
    clip = trial.target.clip
    assert clip.speech_end_ms is not None
    stopped = await peer.until("input_audio_buffer.speech_stopped")
    end_ms = SILENCE_BEFORE_MS + clip.speech_end_ms
    in_place = end_ms - 200 <= stopped["audio_end_ms"] <= len(encoded) / 8 + 1
    trial.check("in", in_place, stopped, f"{stopped['audio_end_ms']} ms; speech ends at {end_ms:.0f}")
    done = await peer.until("response.done")
    created = peer.of("response.created")[-1]
    shown = ((created["response"].get("audio") or {}).get("output") or {}).get("format") or {}
    trial.check("shown", shown.get("type") == name, created)
    audio = peer.audio(done["response"]["output"][0]["id"])
    decoded = decode(audio)
    assert isinstance(decoded, np.ndarray)
    level = rms_dbfs(decoded)
    a_second = len(audio) / 8000
    words = len(str(done["response"]["output"][0]["content"][0].get("transcript")).split())
    plausible = 0.08 * words < a_second < 1.5 * words + 2
    trial.check("out", plausible and -45 < level < -3, None, f"{a_second:.1f} s for {words} words at {level:.0f} dBFS")


SCENARIOS = (transcription, transcription_session, transcription_vad, mulaw, alaw)

__all__ = ["NO_VAD", "SCENARIOS"]
