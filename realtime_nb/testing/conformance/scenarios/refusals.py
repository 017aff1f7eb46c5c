"""What is no event, or too much of one: an error, and the session goes on."""

from __future__ import annotations

import base64

from realtime_nb.errors import ConnectionLost
from realtime_nb.testing.conformance.peer import Peer
from realtime_nb.testing.conformance.scenario import core, full, scenario
from realtime_nb.testing.conformance.trial import Trial

TOO_MUCH_BYTES = 15 * 1024 * 1024 + 48_000


@scenario(
    "bad frames",
    core("json", "error", "error.code", "what is not JSON: invalid_json"),
    full("array", "error", "error.code", "JSON that is no object: an error"),
    full("typeless", "error", "error.code", "no type: invalid_event"),
    core("type", "error", "error.code", "an unknown type: invalid_value, param type"),
    core("binary", "error", "error.code", "a binary frame: invalid_event"),
    core("extra", "error", "error.code", "an unknown parameter of an event: unknown_parameter"),
    full("long_id", "error", "error.code", "an event_id of more than 512 characters: an error"),
    full("base64", "error", "error.code", "audio that is not base64: an error"),
    full("webrtc", "error", "error.code", "output_audio_buffer.clear on a WebSocket: an error"),
    full("transcription", "error", "error.code", "transcription_session.update (beta): an error"),
    core("goes_on", "session.update", "", "works after all of this"),
)
async def bad_frames(trial: Trial) -> None:
    peer = await trial.open()

    async def refuse(key: str, frame: str | bytes, *codes: str) -> None:
        await peer.send_raw(frame)
        problem = await peer.error(None, "input_audio_buffer.cleared", "session.updated")
        right = problem.get("type") and (not codes or problem.get("code") in codes)
        trial.check(key, right, problem["frame"], f"code {problem.get('code')}")

    await refuse("json", "{not json", "invalid_json")
    await refuse("array", "[1, 2]")
    await refuse("typeless", '{"event_id": null}', "invalid_event", "missing_required_parameter")
    await refuse("type", '{"type": "response.dance"}', "invalid_value")
    await refuse("binary", b"\x00\x01", "invalid_event")
    await refuse("extra", '{"type": "input_audio_buffer.clear", "surprise": 1}', "unknown_parameter")
    await refuse("long_id", f'{{"type": "input_audio_buffer.clear", "event_id": "{"x" * 600}"}}')
    await refuse("base64", '{"type": "input_audio_buffer.append", "audio": "?!"}')
    await refuse("webrtc", '{"type": "output_audio_buffer.clear"}')
    await refuse("transcription", '{"type": "transcription_session.update", "session": {}}')
    await _goes_on(trial, peer)


async def _goes_on(trial: Trial, peer: Peer) -> None:
    session = await trial.update(peer, instructions="Still here.")
    trial.check("goes_on", session.get("instructions") == "Still here.", session)


@scenario(
    "oversize chunk",
    full("refused", "input_audio_buffer.append", "audio", "more than 15 MiB: an error"),
    full("goes_on", "session.update", "", "works afterwards"),
    timeout_s=90,
)
async def oversize(trial: Trial) -> None:
    peer = await trial.open(audio={"input": {"turn_detection": None}})
    audio = base64.b64encode(bytes(TOO_MUCH_BYTES)).decode()
    try:
        sent = await peer.send("input_audio_buffer.append", audio=audio)
        problem = await peer.error(sent, patience_s=30)
    except ConnectionLost as lost:
        trial.check("refused", False, None, f"the connection was closed: {lost.code} {lost.reason}")
        return
    trial.check("refused", problem.get("type") == "invalid_request_error", problem["frame"])
    await _goes_on(trial, peer)


@scenario(
    "response limits",
    full("metadata", "response.create", "metadata", "more than 16 pairs, or long ones: an error"),
    full("tokens", "response.create", "max_output_tokens", "beyond 4,096: an error"),
    full("unknown", "response.create", "response.*", "an unknown parameter: unknown_parameter"),
    full("modalities", "response.create", "output_modalities", "audio and text together: an error"),
    full("reference", "response.create", "input", "a reference to an unknown item: an error"),
    full("nothing", "response.created", "", "does not come for any of these"),
)
async def response_limits(trial: Trial) -> None:
    peer = await trial.open()
    bad = {
        "metadata": {"metadata": {f"key{n}": "value" for n in range(17)}},
        "tokens": {"max_output_tokens": 5000},
        "unknown": {"temperature": 0.8},
        "modalities": {"output_modalities": ["audio", "text"]},
        "reference": {"input": [{"type": "item_reference", "id": "item_nobody"}]},
    }
    for key, response in bad.items():
        sent = await peer.send("response.create", response=response)
        peer.expect_error(sent)
        answer = await peer.until("error", "response.created")
        trial.check(key, answer["type"] == "error", answer, "it was accepted")
        if answer["type"] == "response.created":
            trial.check("nothing", False, answer)
            await peer.until("response.done")
    for value in ({"k" * 65: "value"}, {"key": "v" * 513}):
        sent = await peer.send("response.create", response={"metadata": value})
        peer.expect_error(sent)
        answer = await peer.until("error", "response.created")
        trial.check("metadata", answer["type"] == "error", answer, "it was accepted")
    trial.check("nothing", not peer.of("response.created"))


SCENARIOS = (bad_frames, oversize, response_limits)
