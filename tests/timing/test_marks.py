"""From moments to stages."""

from __future__ import annotations

import itertools
import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime_nb.timing.marks import (
    IMPOSSIBLE_SPAN_MS,
    MOMENT_NAMES,
    MOMENTS,
    PATHS,
    ROUTES,
    STAGE_NAMES,
    STAGES,
    Marks,
    Moment,
    MomentName,
    Route,
    timeline,
)

CHAIN: dict[MomentName, float] = {
    **{"speech_end": 100, "speech_stopped": 600, "uploaded": 620, "transcript": 900, "first_text": 1200},
    **{"text_ready": 1400, "first_audio": 1500, "first_audible": 1540, "rendered": 1600},
}


def marks(moments: dict[MomentName, float]) -> Marks:
    return Marks({name: Moment(float(at)) for name, at in moments.items()})


def test_a_whole_turn_is_its_stages_and_nothing_else() -> None:
    found = timeline(marks(CHAIN), "chain")
    assert {stage.name: stage.duration_ms for stage in found.stages} == {
        **{"vad_hold": 500, "upload": 20, "transcription": 280, "first_text": 300, "sentence": 200},
        **{"first_audio": 100, "leading_silence": 40, "output": 60},
    }
    assert (found.voice_to_voice_ms, found.ends_at) == (1500, "rendered")
    assert (found.unattributed, found.flags, found.beside) == ((), (), ())


def test_without_a_player_the_turn_ends_at_the_first_audible_sample() -> None:
    said = marks({name: at for name, at in CHAIN.items() if name != "rendered"})
    said.cannot("rendered", "no loudspeaker")
    found = timeline(said, "chain")
    assert (found.voice_to_voice_ms, found.ends_at) == (1440, "first_audible")
    assert found.unmeasured == {"rendered": "no loudspeaker"}


@pytest.mark.parametrize(
    "gone", ["speech_stopped", "uploaded", "transcript", "first_text", "text_ready", "first_audio"]
)
def test_a_missing_moment_leaves_its_span_unattributed(gone: MomentName) -> None:
    found = timeline(marks({name: at for name, at in CHAIN.items() if name != gone}), "chain")
    assert found.unattributed_ms > 0
    assert found.voice_to_voice_ms == 1500


@pytest.mark.parametrize("gone", ["speech_end", "first_audible"])
def test_without_an_end_there_is_no_voice_to_voice(gone: MomentName) -> None:
    moments = {name: at for name, at in CHAIN.items() if name not in (gone, "rendered")}
    assert timeline(marks(moments), "chain").voice_to_voice_ms is None


def test_moments_out_of_order_are_flagged_and_explain_nothing() -> None:
    found = timeline(marks({**CHAIN, "transcript": 1250}), "chain")
    assert found.flags == ("first_text came 50.0 ms before transcript",)
    assert found.unattributed == ((1250, 1400),)


def test_a_moment_may_be_early_by_as_much_as_it_may_be_wrong() -> None:
    said = marks(CHAIN)
    said.moments["rendered"] = Moment(1537.0, error_ms=4)
    assert timeline(said, "chain").flags == ()
    said.moments["rendered"] = Moment(1535.0, error_ms=4)
    found = timeline(said, "chain")
    assert found.flags == ("rendered came 5.0 ms before first_audible",)
    assert found.ends_at == "first_audible"


def test_a_stage_of_minutes_is_not_believed() -> None:
    late = {name: at + (IMPOSSIBLE_SPAN_MS if at > 900 else 0) for name, at in CHAIN.items()}
    assert timeline(marks(late), "chain").flags == ("first_text of 60 s is not believable",)


def test_an_optional_step_is_a_stage_only_where_it_explains_something() -> None:
    spoken: dict[MomentName, float] = {
        **{"speech_end": 0, "speech_stopped": 500, "committed": 510},
        **{"first_text": 800, "first_audio": 810, "first_audible": 820},
    }
    causal = timeline(marks({**spoken, "transcript": 600}), "realtime")
    late = timeline(marks({**spoken, "transcript": 900}), "realtime")
    known = marks({**spoken, "transcript": 600})
    known.parallel = ("transcript",)
    parallel = timeline(known, "realtime")
    assert (causal.stage_ms("transcription"), causal.stage_ms("first_audio")) == (90, 210)
    for found in (late, parallel):
        assert (found.stage_ms("transcription"), found.stage_ms("first_audio")) == (None, 300)
        assert set(found.beside) == {"transcript", "first_text"}
    assert all(found.unattributed == () and found.flags == () for found in (causal, late, parallel))


def test_tools_are_stages_where_there_were_any() -> None:
    found = timeline(marks({**CHAIN, "tool_call": 950, "tool_output": 1100}), "chain")
    assert [found.stage_ms(name) for name in ("tool_choice", "tool", "first_text")] == [50, 150, 100]


def test_errors_add_up_and_the_weaker_source_is_said() -> None:
    said = marks(CHAIN)
    said.moments["speech_end"] = Moment(100, error_ms=5, source="derived")
    said.moments["speech_stopped"] = Moment(600, error_ms=2)
    hold = timeline(said, "chain").stages[0]
    assert (hold.error_ms, hold.source) == (7, "derived")


def test_the_first_time_of_a_moment_counts_and_ends_the_excuse_for_it() -> None:
    said = Marks()
    said.cannot("first_audio", "not yet")
    said.set("first_audio", 5)
    said.set("first_audio", 9)
    said.cannot("first_audio", "too late")
    assert said.time_ms("first_audio") == 5
    assert said.unmeasured == {}
    assert said.time_ms("rendered") is None


@given(
    st.sampled_from(ROUTES),
    st.dictionaries(st.sampled_from(MOMENT_NAMES), st.floats(0, 20_000), max_size=len(MOMENT_NAMES)),
)
def test_stages_and_what_is_unattributed_always_add_up(route: Route, moments: dict[MomentName, float]) -> None:
    found = timeline(marks(moments), route)
    spans = sorted([(stage.start_ms, stage.end_ms) for stage in found.stages] + list(found.unattributed))
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))
    if found.voice_to_voice_ms is not None and not found.flags:
        total = sum(stage.duration_ms for stage in found.stages) + found.unattributed_ms
        assert math.isclose(total, found.voice_to_voice_ms, abs_tol=1e-6)


def test_every_name_is_explained_and_marks_survive_a_file() -> None:
    assert set(MOMENTS) == set(MOMENT_NAMES)
    assert set(STAGES) == set(STAGE_NAMES)
    assert {step.stage for path in PATHS.values() for step in path} <= set(STAGE_NAMES)
    said = marks(CHAIN)
    assert msgspec.json.decode(msgspec.json.encode(said), type=Marks) == said
