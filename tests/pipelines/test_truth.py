"""What pipelines report against what truly happened.

A busy machine makes everything late, never early. So a mark that is earlier than the truth fails at once, and of five
tries at least one must be within 10 ms in every stage: an error of the code is in all five.
"""

from __future__ import annotations

import itertools

import msgspec
import pytest

from realtime_nb.audio import AudioClip
from realtime_nb.pipelines.base import PipelineTurn, collect
from realtime_nb.pipelines.factory import pipeline
from realtime_nb.timing.marks import ROUTES, Marks, Moment, MomentName, Route
from realtime_nb.transport.network import NetworkProfile
from tests.pipelines.tapped import Taps, question, tapped_engine
from tests.pipelines.truth import ANSWER, DELAYS, HOLD_MS, TOLERANCE_MS, too_early, truth, wrong

pytestmark = pytest.mark.anyio

TRIES = 5
CLIP = question(speech_ms=400, before_ms=60)


async def once(route: Route, clip: AudioClip, one_way_ms: float) -> tuple[PipelineTurn, dict[MomentName, float]]:
    taps = Taps()
    network = NetworkProfile(name="a wire", delay_ms=one_way_ms) if one_way_ms else None
    with tapped_engine(taps, delays=DELAYS, replies=[("", ANSWER)], texts=["hello there"]) as engine:
        asked = pipeline(route, url="embedded", engine=engine, network=network, silence_duration_ms=HOLD_MS)
        await asked.start()
        taps.clear()
        turn = await collect(asked, clip)
        await asked.aclose()
    assert turn.status == "completed", turn.error
    assert turn.said == ANSWER
    assert clip.speech_end_ms is not None
    return turn, truth(route, taps, clip.speech_end_ms, one_way_ms)


async def good_try(route: Route, one_way_ms: float) -> tuple[PipelineTurn, dict[MomentName, float]]:
    tried = []
    for _ in range(TRIES):
        turn, moments = await once(route, CLIP, one_way_ms)
        assert too_early(turn.marks, moments) == []
        problems = wrong(turn, moments)
        if not problems:
            return turn, moments
        tried.append("; ".join(problems))
    raise AssertionError("\n".join(tried))


@pytest.mark.parametrize("one_way_ms", [0.0, 40.0], ids=["here", "behind a network"])
@pytest.mark.parametrize("route", ROUTES)
async def test_every_stage_is_within_10_ms_of_the_truth(route: Route, one_way_ms: float) -> None:
    turn, _ = await good_try(route, one_way_ms)
    assert turn.provenance.simulated == (("network: a wire (simulated)",) if one_way_ms else ())


@pytest.mark.parametrize("route", ROUTES)
async def test_wrong_marks_are_caught(route: Route) -> None:
    turn, moments = await good_try(route, 0.0)
    names = [name for name in moments if name != "speech_end"]
    planted = {
        **{f"{name} {late:+} ms": moved(turn.marks, name, late) for name in names for late in (15, 30, -15, -30)},
        **{f"{a} and {b} swapped": swapped(turn.marks, a, b) for a, b in itertools.pairwise(names)},
        **{f"no {name}": without(turn.marks, name) for name in moments},
        "the speech's end 30 ms late": moved(turn.marks, "speech_end", 30),
    }
    missed = []
    for what, marks in planted.items():
        mutant = msgspec.structs.replace(turn, marks=marks)
        if not wrong(mutant, moments) and not too_early(marks, moments):
            missed.append(what)
    close = {f"{a} and {b} swapped" for a, b in itertools.pairwise(names) if near(turn.marks, a, b)}
    assert set(missed) <= close


def near(marks: Marks, a: MomentName, b: MomentName) -> bool:
    return abs(marks.moments[a].time_ms - marks.moments[b].time_ms) <= TOLERANCE_MS


def moved(marks: Marks, name: MomentName, by_ms: float) -> Marks:
    moment = marks.moments[name]
    return Marks({**marks.moments, name: msgspec.structs.replace(moment, time_ms=moment.time_ms + by_ms)})


def swapped(marks: Marks, a: MomentName, b: MomentName) -> Marks:
    return Marks({**marks.moments, a: marks.moments[b], b: marks.moments[a]})


def without(marks: Marks, name: MomentName) -> Marks:
    kept: dict[MomentName, Moment] = {key: moment for key, moment in marks.moments.items() if key != name}
    return Marks(kept)
