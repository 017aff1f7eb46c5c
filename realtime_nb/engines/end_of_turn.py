"""Whether somebody who fell silent is done: from the words so far and from how the voice ended.

The evidence is old and agreed on: speakers who go on leave a grammatical unit open ("I would like to", "and") or fill
the pause, and hold or raise their pitch; speakers who are done complete the unit and let pitch and loudness fall
(Duncan 1972; Gravano & Hirschberg 2011, "Turn-taking cues in task-oriented dialogue"). The weights are ours, set by
hand and checked on the bundled clips; this is no trained model.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from realtime_nb.audio.pitch import pitch_track

Eagerness = Literal["low", "medium", "high", "auto"]

LONGEST_HOLD_MS = {"low": 8000, "medium": 4000, "auto": 4000, "high": 2000}
"""The documented longest waits."""
SHORTEST_HOLD_MS = {"low": 700, "medium": 400, "auto": 400, "high": 220}
LOOK_BACK_MS = 700


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


OPEN_ENDINGS = _words(
    """a an the my your his its our their every
    and or but because so if when while although unless until than then
    to of in on at for from with by about into over under between without
    i he she we they is are was were be am been do does did have has had can could will would shall should may
    might must want need let's very really just also not which who whose where what how
    number called named"""
)
QUESTION_OPENINGS = _words(
    "what where when who whom whose which why how is are do does did can could will would have has"
)
QUESTION_ENDINGS = _words("do does did is are was were am be have has can could i he she we they at from")
OBJECTS = _words("it you this that these those some any her them me him us one")
FILLERS = _words("um uh er erm hmm mm well like")
CLOSED = _words("please thanks thank bye goodbye yes no yeah okay ok stop hello hi help right sure")


class EndOfTurn(NamedTuple):
    """How done a speaker sounds, 0 (surely goes on) to 1 (surely done), and why."""

    probability: float
    words: float
    voice: float


def judge(text: str, pcm16: npt.NDArray[np.int16], sample_rate_hz: int) -> EndOfTurn:
    """Judge an utterance at a silence.

    Args:
        text: the words so far, "" when none were recognised.
        pcm16: the speech up to the silence, int16 mono; its last 0.7 s are looked at.
        sample_rate_hz: of the audio.
    """
    words = words_done(text)
    voice = voice_done(pcm16, sample_rate_hz)
    return EndOfTurn(float(np.clip(0.75 * words + 0.25 * voice, 0, 1)), words, voice)


def hold_ms(end_of_turn: EndOfTurn, eagerness: Eagerness) -> int:
    """Return how long a silence must last before the turn ends, for this much certainty."""
    shortest, longest = SHORTEST_HOLD_MS[eagerness], LONGEST_HOLD_MS[eagerness]
    doubt = (1 - end_of_turn.probability) ** 2
    return round(shortest + (longest - shortest) * doubt)


def words_done(text: str) -> float:
    """Return how complete the words are, 0 to 1; 0.5 when there are none."""
    words = text.lower().replace(",", " ").strip(" .").split()
    if not words:
        return 0.5
    last = words[-1].strip("?!.")
    if text.rstrip().endswith(("?", "!", ".")):
        return 1.0
    if last in FILLERS and len(words) > 1:
        return 0.05
    if last in CLOSED:
        return 0.95
    if words[0] in QUESTION_OPENINGS and len(words) >= 3 and last in QUESTION_ENDINGS:
        return 0.85
    if last in OPEN_ENDINGS:
        return 0.1
    if last in OBJECTS:
        return 0.7
    if len(words) == 1:
        return 0.7
    return 0.9


def voice_done(pcm16: npt.NDArray[np.int16], sample_rate_hz: int) -> float:
    """Return how final the voice's ending sounds, 0 to 1; 0.5 when too little of it is voiced."""
    tail = pcm16[-sample_rate_hz * LOOK_BACK_MS // 1000 :]
    track = pitch_track(tail, sample_rate_hz)
    voiced = np.flatnonzero(~np.isnan(track.f0_hz))
    if len(voiced) < 12:
        return 0.5
    last = voiced[-20:]
    semitones = 12 * np.log2(track.f0_hz[last] / np.median(track.f0_hz[voiced]))
    fall = -np.polyfit(np.linspace(0, 1, len(last)), semitones, 1)[0]
    fade = track.energy_db[last[: len(last) // 2]].mean() - track.energy_db[last[len(last) // 2 :]].mean()
    return float(1 / (1 + np.exp(-(0.5 * (fall - 1) + 0.15 * (fade - 2)))))
