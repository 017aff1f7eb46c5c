"""What pipelines report against what truly happened.

A busy machine makes everything late, never early. So a mark that is earlier than what it marks fails at once, and each
stage must be within 10 ms of the truth in at least one of a few tries: lateness comes and goes, an error of the code is
in all of them.
"""

from __future__ import annotations

import asyncio
import itertools
import math
from pathlib import Path
from typing import Any

import msgspec
import pytest

from realtime_nb.pipelines.base import PipelineTurn, collect
from realtime_nb.pipelines.factory import pipeline
from realtime_nb.pipelines.realtime import RealtimePipeline
from realtime_nb.pipelines.stage_server import StageEndpoint
from realtime_nb.pipelines.turn_run import TurnRun
from realtime_nb.replay.crosscheck import crosscheck
from realtime_nb.replay.reader import Recording
from realtime_nb.timing.marks import ROUTES, Marks, Moment, MomentName, Route
from realtime_nb.transport.network import NetworkProfile
from tests.pipelines.tapped import Taps, question, tapped_engine
from tests.pipelines.truth import ANSWER, DELAYS, HOLD_MS, TOLERANCE_MS, caught, errors, too_early, truth

pytestmark = [pytest.mark.anyio, pytest.mark.alone]

TRIES = 20
CLIP = question(speech_ms=400, before_ms=60)


async def once(route: Route, one_way_ms: float) -> tuple[PipelineTurn, dict[MomentName, float]]:
    taps = Taps()
    network = NetworkProfile(name="a wire", delay_ms=one_way_ms) if one_way_ms else None
    with tapped_engine(taps, delays=DELAYS, replies=[("", ANSWER)], texts=["hello there"]) as engine:
        asked = pipeline(route, url="embedded", engine=engine, network=network, silence_duration_ms=HOLD_MS)
        await asked.start()
        taps.clear()
        turn = await collect(asked, CLIP)
        await asked.aclose()
    assert turn.status == "completed", turn.error
    assert turn.said == ANSWER
    assert CLIP.speech_end_ms is not None
    return turn, truth(route, taps, CLIP.speech_end_ms, one_way_ms)


async def least_errors(route: Route, one_way_ms: float, tries: int) -> dict[str, float]:
    """Return the smallest error of each stage, of as many tries as it takes."""
    least: dict[str, float] = {}
    for _ in range(tries):
        turn, moments = await once(route, one_way_ms)
        assert turn.timeline.flags == ()
        assert turn.timeline.unattributed == ()
        assert too_early(turn.marks, moments) == []
        for name, by in errors(turn.marks, route, moments).items():
            least[name] = min(by, least.get(name, by), key=abs)
        if all(abs(by) <= TOLERANCE_MS for by in least.values()):
            break
    return least


@pytest.mark.parametrize("one_way_ms", [0.0, 40.0], ids=["here", "behind a network"])
@pytest.mark.parametrize("route", ROUTES)
async def test_every_stage_is_within_10_ms_of_the_truth(route: Route, one_way_ms: float) -> None:
    least = await least_errors(route, one_way_ms, TRIES)
    assert {name: by for name, by in least.items() if abs(by) > TOLERANCE_MS} == {}


@pytest.mark.parametrize("one_way_ms", [0.0, 40.0], ids=["here", "behind a network"])
async def test_the_recording_says_the_same(one_way_ms: float, tmp_path: Path) -> None:
    network = NetworkProfile(name="a wire", delay_ms=one_way_ms) if one_way_ms else None
    least: dict[str, float] = {}
    for number in range(TRIES):
        taps, folder = Taps(), tmp_path / str(number)
        with tapped_engine(taps, delays=DELAYS, replies=[("", ANSWER)]) as engine:
            asked = RealtimePipeline(
                session=StageEndpoint(url="embedded"), engine=engine, network=network, silence_duration_ms=HOLD_MS
            )
            await asked.start()
            assert asked.session is not None
            taps.clear()
            writer = await asyncio.to_thread(asked.session.record, folder)
            turn = await collect(asked, CLIP)
            await asked.aclose()
            await asyncio.to_thread(writer.close)
        recording = await asyncio.to_thread(Recording.open, folder)
        (recorded,) = await asyncio.to_thread(recording.turns)
        (checked,) = await asyncio.to_thread(crosscheck, recording)
        assert checked.why == ""
        assert recorded.timeline.voice_to_voice_ms is not None
        assert checked.gap_ms is not None
        assert turn.timeline.voice_to_voice_ms is not None
        moments = truth("realtime", taps, CLIP.speech_end_ms or 0, one_way_ms)
        true_ms = moments["first_audible"] - moments["speech_end"]
        found = {
            "events": recorded.timeline.voice_to_voice_ms,
            "sound": checked.gap_ms,
            "live": turn.timeline.voice_to_voice_ms,
        }
        for name, measured_ms in found.items():
            least[name] = min(measured_ms - true_ms, least.get(name, math.inf), key=abs)
        if all(abs(by) <= TOLERANCE_MS for by in least.values()):
            return
    raise AssertionError(least)


async def test_an_error_of_15_ms_in_the_code_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    reach = TurnRun.reach

    def late(self: TurnRun, moment: MomentName, time_ms: float | None = None) -> None:
        reach(self, moment, time_ms)
        found = self.marks.moments[moment]
        if moment == "transcript":
            self.marks.moments[moment] = msgspec.structs.replace(found, time_ms=found.time_ms + 15)

    monkeypatch.setattr(TurnRun, "reach", late)
    least = await least_errors("chain", 0.0, tries=2)
    assert least["transcript"] > TOLERANCE_MS


EXAMPLES: dict[Route, dict[MomentName, float]] = {
    "realtime": {"speech_end": 0, "speech_stopped": 220, "committed": 260, "transcript": 300, "first_audio": 500},
    "chat-audio": {"speech_end": 0, "speech_stopped": 220, "uploaded": 260, "first_audio": 500},
    "chain": {
        **{"speech_end": 0, "speech_stopped": 220, "uploaded": 260, "transcript": 380},
        **{"first_text": 460, "text_ready": 520, "first_audio": 600},
    },
}
EXAMPLES["chain-streaming"] = EXAMPLES["chain"]


@pytest.mark.parametrize("route", ROUTES)
def test_wrong_marks_are_caught(route: Route) -> None:
    moments: dict[MomentName, float] = {**EXAMPLES[route], "first_audible": EXAMPLES[route]["first_audio"] + 30}
    marks = marked(moments)
    assert caught(marks, route, moments) == []
    mutants = {
        **{f"{name} {by:+} ms": marked({**moments, name: at + by}) for name, at in moments.items() for by in (-30, 30)},
        **{f"{name} {by:+} ms": marked({**moments, name: at + by}) for name, at in moments.items() for by in (-15, 15)},
        **{
            f"{a} and {b} swapped": marked({**moments, a: moments[b], b: moments[a]})
            for a, b in itertools.combinations(moments, 2)
        },
        **{f"no {name}": marked({n: at for n, at in moments.items() if n != name}) for name in moments},
    }
    assert [what for what, mutant in mutants.items() if not caught(mutant, route, moments)] == []


def marked(moments: dict[Any, float]) -> Marks:
    return Marks({name: Moment(at) for name, at in moments.items()})
