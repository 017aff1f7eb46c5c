"""`session.update`: merged by present keys, refused whole."""

from __future__ import annotations

from typing import Any

from realtime_nb.testing.conformance.scenario import core, full, scenario
from realtime_nb.testing.conformance.scenarios.responses import begin_long
from realtime_nb.testing.conformance.trial import Trial

TOOL = {"type": "function", "name": "look_up", "description": "Look something up.", "parameters": {"type": "object"}}
TRIES = 5
"""A quick server may have ended a response before it reads what was sent during it."""


@scenario(
    "settings merge",
    core("present", "session.update", "session", "changes the keys that are present"),
    core("absent", "session.update", "session", "leaves the keys that are absent"),
    core("nested", "session.update", "session.audio", "merges below audio, too"),
    core("whole", "session.updated", "session", "shows all settings, not only the changed ones"),
    full("empty", "session.update", "instructions, tools", 'are cleared by "" and []'),
    core("null", "session.update", "turn_detection", "null turns it off and is not the same as absent"),
    full("transcription", "session.update", "transcription", "null turns it off again"),
    full("detection", "session.update", "turn_detection", "a new type starts from its own defaults"),
    full("formats", "session.update", "audio.*.format", "takes G.711 both ways and shows it"),
)
async def merge(trial: Trial) -> None:
    peer = await trial.open()
    created = peer.events[0]["session"]
    first = await trial.update(peer, instructions="Be brief.", tools=[TOOL], audio={"output": {"speed": 1.1}})
    trial.check("present", first["instructions"] == "Be brief." and first["tools"][0]["name"] == "look_up", first)
    trial.check("whole", set(created) <= set(first), first, f"gone: {set(created) - set(first)}")
    kept = first["audio"]["output"]["voice"] == created["audio"]["output"]["voice"]
    trial.check("nested", kept and first["audio"]["output"]["speed"] == 1.1, first)
    second = await trial.update(peer, audio={"input": {"turn_detection": None}})
    trial.check("null", second["audio"]["input"]["turn_detection"] is None, second)
    same = second["instructions"] == "Be brief." and second["audio"]["output"]["speed"] == 1.1
    trial.check("absent", same and second["audio"]["input"]["format"] == first["audio"]["input"]["format"], second)
    third = await trial.update(peer, instructions="", tools=[])
    still_off = third["audio"]["input"]["turn_detection"] is None
    trial.check("empty", third["instructions"] == "" and third["tools"] == [] and still_off, third)
    on = await trial.update(peer, audio={"input": {"transcription": {"model": "whisper-1"}}})
    off = await trial.update(peer, audio={"input": {"transcription": None}})
    heard = on["audio"]["input"]["transcription"]["model"] == "whisper-1"
    trial.check("transcription", heard and off["audio"]["input"]["transcription"] is None, off)
    semantic = await trial.update(peer, audio={"input": {"turn_detection": {"type": "semantic_vad"}}})
    detection = semantic["audio"]["input"]["turn_detection"]
    fresh = detection.get("eagerness") == "auto" and "threshold" not in detection
    trial.check("detection", fresh and detection.get("create_response") is True, semantic)
    law = {"type": "audio/pcmu"}
    g711 = await trial.update(peer, audio={"input": {"format": law}, "output": {"format": {"type": "audio/pcma"}}})
    shown = (g711["audio"]["input"]["format"]["type"], g711["audio"]["output"]["format"]["type"])
    trial.check("formats", shown == ("audio/pcmu", "audio/pcma"), g711)


@scenario(
    "settings refused",
    core("typeless", "session.update", "session.type", "without it: missing_required_parameter"),
    core("unknown", "session.update", "session.*", "an unknown parameter: unknown_parameter, and which"),
    core("value", "session.update", "session.*", "a value that does not exist: invalid_value, and where"),
    core("atomic", "session.update", "session", "one bad key and nothing at all is changed"),
    core("echo", "error", "error.event_id", "is the client's event_id"),
    full("switch", "session.update", "session.type", "cannot become another"),
    full("rate", "session.update", "audio.input.format", "PCM other than 24 kHz is refused"),
    full("range", "session.update", "audio.output.speed", "beyond 0.25 to 1.5 is refused"),
    full("both", "session.update", "output_modalities", "audio and text together are refused"),
    full("beta", "session.update", "modalities", "names of the beta are unknown parameters"),
    full("idle", "session.update", "idle_timeout_ms", "beyond 5,000 to 30,000 is refused"),
    full("model", "session.update", "model", "never changes the session's model"),
)
async def refused(trial: Trial) -> None:
    peer = await trial.open(instructions="Before.")

    async def refuse(key: str, codes: tuple[str, ...], **session: Any) -> dict[str, Any]:
        sent = await peer.send("session.update", session=session)
        problem = await peer.error(sent, "session.updated")
        trial.check(key, problem.get("code") in codes, problem["frame"], f"code {problem.get('code')}")
        trial.check("echo", problem.get("event_id") == sent, problem["frame"])
        return problem

    await refuse("typeless", ("missing_required_parameter",), instructions="No type.")
    odd = await refuse("unknown", ("unknown_parameter",), type="realtime", surprise=1)
    trial.check("unknown", "surprise" in str(odd.get("param")), odd["frame"], f"param {odd.get('param')}")
    await refuse("value", ("invalid_value",), type="realtime", output_modalities=["smell"])
    await refuse("switch", ("invalid_value",), type="transcription")
    bad_rate = {"input": {"format": {"type": "audio/pcm", "rate": 16000}}}
    await refuse("rate", ("invalid_value",), type="realtime", audio=bad_rate)
    await refuse("range", ("invalid_value",), type="realtime", audio={"output": {"speed": 9}})
    await refuse("both", ("invalid_value",), type="realtime", output_modalities=["audio", "text"])
    await refuse("beta", ("unknown_parameter",), type="realtime", modalities=["text"])
    idle = {"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 100}}}
    await refuse("idle", ("invalid_value",), type="realtime", audio=idle)
    both = {"type": "realtime", "instructions": "After.", "audio": {"output": {"speed": 9}}}
    await peer.error(await peer.send("session.update", session=both), "session.updated")
    now = await trial.update(peer)
    trial.check("atomic", now["instructions"] == "Before." and now["audio"]["output"]["speed"] == 1.0, now)
    sent = await peer.send("session.update", session={"type": "realtime", "model": "another-model"})
    peer.expect_error(sent)
    await peer.until("error", "session.updated")
    now = await trial.update(peer)
    trial.check("model", now.get("model") == peer.events[0]["session"].get("model"), now)


@scenario(
    "more settings",
    full("truncation", "session.update", "truncation", "auto, disabled or a ratio is shown as it was set"),
    full("choice", "session.update", "tool_choice", "none, required or one function is shown as it was set"),
    full("include", "session.update", "include", "is shown as it was set"),
    full("noise", "session.update", "noise_reduction", "is shown as it was set, or null where there is none"),
    full("limit", "session.update", "max_output_tokens", "a number is shown as it was set; 0 and 5,000 are refused"),
    full("ratio", "session.update", "retention_ratio", "beyond 0 to 1 is refused"),
    full("tracing", "session.update", "tracing", "cannot be changed once it is on"),
    full("speed", "session.update", "audio.output.speed", "cannot be changed during a response"),
)
async def more_settings(trial: Trial) -> None:
    peer = await trial.open(tools=[TOOL])
    named = {"type": "function", "name": "look_up"}
    ratio = {"type": "retention_ratio", "retention_ratio": 0.8}
    shown: tuple[tuple[str, str, Any], ...] = (
        *(("truncation", "truncation", value) for value in ("disabled", ratio, "auto")),
        *(("choice", "tool_choice", value) for value in ("none", "required", named, "auto")),
        ("include", "include", ["item.input_audio_transcription.logprobs"]),
        ("limit", "max_output_tokens", 99),
        ("tracing", "tracing", "auto"),
    )
    for key, name, value in shown:
        now = await trial.update(peer, **{name: value})
        kept = {part: now[name].get(part) for part in value} if isinstance(value, dict) else now.get(name)
        trial.check(key, kept == value, peer.events[-1], f"{name} is {now.get(name)!r}, not {value!r}")
    now = await trial.update(peer, audio={"input": {"noise_reduction": {"type": "near_field"}}})
    reduction = now["audio"]["input"].get("noise_reduction")
    trial.check("noise", reduction is None or reduction.get("type") == "near_field", peer.events[-1])

    async def refuse(key: str, *, during: int | None = None, **session: Any) -> bool:
        problem = await peer.error(
            await peer.send("session.update", session={"type": "realtime", **session}), "session.updated"
        )
        if not problem.get("code") and during is not None and len(peer.of("response.done")) > during:
            return False
        trial.check(key, problem.get("code"), problem["frame"], "it was accepted")
        return True

    for tokens in (0, 5000):
        await refuse("limit", max_output_tokens=tokens)
    await refuse("ratio", truncation={"type": "retention_ratio", "retention_ratio": 1.5})
    await refuse("tracing", tracing={"workflow_name": "another"})
    await trial.update(peer, max_output_tokens="inf", tool_choice="none")
    for _ in range(TRIES):
        over = len(peer.of("response.done"))
        response_id = await begin_long(trial, peer)
        judged = await refuse("speed", during=over, audio={"output": {"speed": 1.2}})
        peer.expect_error(await peer.send("response.cancel", response_id=response_id))
        if judged:
            return
    trial.not_tested("speed", "the response had ended already")


@scenario(
    "voice lock",
    full("before", "session.update", "audio.output.voice", "may change before anything was said"),
    full("locked", "session.update", "audio.output.voice", "cannot_update_voice after assistant audio"),
    full("kept", "session.update", "session", "and the rest of that update is discarded"),
)
async def voice_lock(trial: Trial) -> None:
    peer = await trial.open()
    changed = await trial.update(peer, audio={"output": {"voice": "echo"}})
    trial.check("before", changed["audio"]["output"]["voice"] == "echo", changed)
    await trial.spoken_answer(peer)
    session = {"type": "realtime", "instructions": "Discarded.", "audio": {"output": {"voice": "sage"}}}
    sent = await peer.send("session.update", session=session)
    peer.expect_error(sent)
    answer = await peer.until("error", "session.updated")
    code = (answer.get("error") or {}).get("code")
    right = answer["type"] == "error" and code == "cannot_update_voice"
    trial.check("locked", right, answer, f"answered {answer['type']} {code}")
    now = await trial.update(peer)
    trial.check("kept", now["instructions"] != "Discarded." and now["audio"]["output"]["voice"] == "echo", now)


SCENARIOS = (merge, refused, more_settings, voice_lock)
