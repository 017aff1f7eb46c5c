"""The recording against its own events: where speech ends and the answer begins in the sound itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import numpy.typing as npt

from realtime_nb.audio.speech_bounds import FRAME_MS as SPEECH_FRAME_MS
from realtime_nb.audio.speech_bounds import speech_bounds_ms
from realtime_nb.recording.format import SAMPLE_RATE_HZ
from realtime_nb.session.turn import Turn
from realtime_nb.timing.ideal_player import FRAME_MS, IdealPlayer

if TYPE_CHECKING:
    from .reader import Recording
    from .recorded_turn import RecordedTurn

Pcm16 = npt.NDArray[np.int16]

BEFORE_SPEECH_MS = 1_000.0
"""Searched before the detector's onset: it may be late."""
AFTER_STOP_MS = 100.0
LONGEST_WAIT_MS = 60_000.0
CHUNK_MS = 1_000.0
STILL_MS = 25.0
NO_SPEECH = "the end of speech was not found in the user's channel"
NO_ANSWER = "no answer was found in the assistant's channel"
STILL_SOUNDING = "an earlier answer was still sounding when the speech ended"
METHOD = (
    "User channel: the end of speech by energy, from 1 s before the detector's onset to 0.1 s after its word that "
    "speech stopped. Assistant channel: the first sample at −50 dBFS in the first 5 ms frame of that RMS after it."
)


class CrossCheck(msgspec.Struct, frozen=True, kw_only=True):
    """One turn, measured twice. Times are ms on the session's clock.

    Attributes:
        response_id: of the turn.
        speech_end_ms: in the user's channel.
        onset_ms: of the answer in the assistant's channel.
        gap_ms: between them: voice-to-voice by the sound alone.
        voice_to_voice_ms: by the events.
        speech_end_difference_ms: channel minus events.
        onset_difference_ms: channel minus events.
        difference_ms: `gap_ms` minus `voice_to_voice_ms`.
        error_ms: by how much the sound's own frames allow these to be wrong.
        why: what could not be found; "" when everything was.
    """

    response_id: str
    speech_end_ms: float | None = None
    onset_ms: float | None = None
    gap_ms: float | None = None
    voice_to_voice_ms: float | None = None
    speech_end_difference_ms: float | None = None
    onset_difference_ms: float | None = None
    difference_ms: float | None = None
    error_ms: float = SPEECH_FRAME_MS + FRAME_MS
    why: str = ""


def crosscheck(recording: Recording) -> list[CrossCheck]:
    """Measure every spoken turn in the two channels, and compare with what its events say.

    The events tell only where to look. Reads the sound around each turn; off the loop.
    """
    stereo = recording.stereo()
    turns = [turn for turn in recording.turns() if not turn.out_of_band and not turn.tool_calls]
    return [_check(stereo, turn) for turn in turns]


def _check(stereo: npt.NDArray[np.int16], turn: RecordedTurn) -> CrossCheck:
    said = turn.timeline
    asked: Turn = turn
    while asked.cause is not None:
        asked = asked.cause
    stopped_ms = asked.marks.speech_stopped_ms
    if stopped_ms is None:
        return CrossCheck(
            response_id=turn.response_id, voice_to_voice_ms=said.voice_to_voice_ms, why="nothing was asked aloud"
        )
    begins_ms = (asked.marks.speech_started_ms or stopped_ms) - BEFORE_SPEECH_MS
    end_ms = _speech_end(stereo[:, 0], begins_ms, stopped_ms + AFTER_STOP_MS)
    still = end_ms is not None and _onset(stereo[:, 1], end_ms - STILL_MS, end_ms + STILL_MS) is not None
    onset_ms = None if end_ms is None or still else _onset(stereo[:, 1], end_ms, end_ms + LONGEST_WAIT_MS)
    why = "" if onset_ms is not None else NO_ANSWER
    if end_ms is None or still:
        why = STILL_SOUNDING if still else NO_SPEECH
    gap_ms = _minus(onset_ms, end_ms)
    end = said.moments.get("speech_end")
    ends_at = said.moments.get(said.ends_at) if said.ends_at is not None else None
    return CrossCheck(
        response_id=turn.response_id,
        speech_end_ms=end_ms,
        onset_ms=onset_ms,
        gap_ms=gap_ms,
        voice_to_voice_ms=said.voice_to_voice_ms,
        speech_end_difference_ms=_minus(end_ms, None if end is None else end.time_ms),
        onset_difference_ms=_minus(onset_ms, None if ends_at is None else ends_at.time_ms),
        difference_ms=_minus(gap_ms, said.voice_to_voice_ms),
        why=why,
    )


def _speech_end(channel: Pcm16, begins_ms: float, ends_ms: float) -> float | None:
    first = max(0, _sample(begins_ms))
    bounds = speech_bounds_ms(np.ascontiguousarray(channel[first : _sample(ends_ms)]), SAMPLE_RATE_HZ)
    return None if bounds is None else first * 1000 / SAMPLE_RATE_HZ + bounds[1]


def _onset(channel: Pcm16, from_ms: float, to_ms: float) -> float | None:
    """Return the first audible sample, as the ideal player finds it in what it is given."""
    player, at = IdealPlayer(), max(0, _sample(from_ms))
    last = min(len(channel), _sample(to_ms))
    while at < last:
        piece = channel[at : min(last, at + _sample(CHUNK_MS))]
        if player.take(piece.astype("<i2").tobytes(), at * 1000 / SAMPLE_RATE_HZ):
            return player.audible_ms
        at += len(piece)
    return None


def _sample(time_ms: float) -> int:
    return int(time_ms * SAMPLE_RATE_HZ / 1000)


def _minus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b
