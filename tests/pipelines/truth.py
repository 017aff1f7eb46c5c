"""What must have been measured, from taps on the engines and the delays that were planted; marks are no part of it."""

from __future__ import annotations

import itertools
import math

from realtime_nb.engines.scripted import ScriptedDelays
from realtime_nb.timing.marks import Marks, MomentName, Route, timeline
from tests.pipelines.tapped import Taps

HOLD_MS = 200
DELAYS = ScriptedDelays(hypothesis_ms=120, first_token_ms=80, per_word_ms=10, first_audio_ms=60)
ANSWER = "I can hear you. Every word of it."
FIRST_SENTENCE_AFTER = 4
"""The delta that shows that the first sentence is over: the word after it."""
TOLERANCE_MS = 10.0
CLOCK_MS = 1.0
"""A mark may not be earlier than what it marks; so much is for two readings of one clock around a task switch."""
FRAME_MS = 20
DETECTOR_MS = 2
"""Of filter in the detector: a hop of its is complete with the next frame."""


def truth(route: Route, taps: Taps, speech_end_ms: float, one_way_ms: float) -> dict[MomentName, float]:
    """Return when each moment of the route must have been, on the machine's clock."""
    began_ms = taps.began_ms - (one_way_ms if route == "realtime" else 0)
    stopped_ms = began_ms + math.ceil((speech_end_ms + HOLD_MS + DETECTOR_MS) / FRAME_MS) * FRAME_MS
    moments: dict[MomentName, float] = {"speech_end": began_ms + speech_end_ms}
    back = one_way_ms
    if route == "realtime":
        stopped_ms += 2 * one_way_ms
        moments |= {"speech_stopped": stopped_ms, "committed": stopped_ms}
        moments["transcript"] = max(taps.first("transcript") + back, stopped_ms)
    else:
        moments |= {"speech_stopped": stopped_ms, "uploaded": taps.first("opened")}
    if route in ("chain", "chain-streaming"):
        deltas = taps.times_ms["delta"]
        moments["transcript"] = taps.first("transcript") + back
        moments["first_text"] = (taps.first("replied") if route == "chain" else deltas[0]) + back
        moments["text_ready"] = moments["first_text"] if route == "chain" else deltas[FIRST_SENTENCE_AFTER] + back
    moments["first_audio"] = moments["first_audible"] = max(taps.first("chunk") + back, stopped_ms)
    return moments


def too_early(marks: Marks, moments: dict[MomentName, float]) -> list[str]:
    """Return the marks that claim to be earlier than what they mark: no machine is so fast, however idle.

    Only of what an engine handed over. Where a turn begins and ends is known here from audio that has come to the
    detector, which is later than it was spoken.
    """
    handed_over = {"transcript", "first_text", "text_ready", "first_audio", "first_audible"}
    return [
        f"{name} is {true_ms - at:.1f} ms too early"
        for name, true_ms in moments.items()
        if name in handed_over and (at := marks.time_ms(name)) is not None and at < true_ms - CLOCK_MS
    ]


def errors(marks: Marks, route: Route, moments: dict[MomentName, float]) -> dict[str, float]:
    """Return by how much each stage, and voice-to-voice, is wrong; infinite for what is not there."""
    found = timeline(marks, route)
    wrong: dict[str, float] = {}
    for before, after in itertools.pairwise(moments):
        stage = next((stage for stage in found.stages if stage.end_ms == marks.time_ms(after)), None)
        true_ms = moments[after] - moments[before]
        wrong[after] = math.inf if stage is None else stage.duration_ms - true_ms
    true_ms = moments["first_audible"] - moments["speech_end"]
    wrong["voice to voice"] = math.inf if found.voice_to_voice_ms is None else found.voice_to_voice_ms - true_ms
    return wrong


def caught(marks: Marks, route: Route, moments: dict[MomentName, float]) -> list[str]:
    """Return what is wrong about marks, in words."""
    found = timeline(marks, route)
    return [
        *found.flags,
        *(f"{end - start:.0f} ms unattributed" for start, end in found.unattributed),
        *too_early(marks, moments),
        *(f"{name}: {by:+.1f} ms" for name, by in errors(marks, route, moments).items() if abs(by) > TOLERANCE_MS),
    ]
