"""The Timeline widget: rows that say everything a timeline knows, and a picture that needs no kernel."""

from __future__ import annotations

import asyncio
import re
from types import SimpleNamespace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime_nb.errors import ConfigurationError
from realtime_nb.pipelines.base import PipelineTurn, Provenance
from realtime_nb.timing.marks import MOMENT_NAMES, ROUTES, STAGES, Marks, timeline
from realtime_nb.timing.stage_colours import STAGE_COLOURS
from realtime_nb.widgets.timeline import MAX_STATIC_TURNS, Timeline
from realtime_nb.widgets.timeline_picture import bars_svg, length_ms, waterfall_html
from realtime_nb.widgets.timeline_rows import UNATTRIBUTED, in_ms, timeline_row
from realtime_nb.widgets.timeline_sources import rows_of, turn_row
from tests.tree import PACKAGE
from tests.widgets.conftest import wait_until
from tests.widgets.timelines import chain_turn, realtime_turn, wrong_turn

FRONTEND = PACKAGE / "frontend" / "src"


def test_a_row_tells_stages_from_the_end_of_speech_with_unit_and_error() -> None:
    row = timeline_row(realtime_turn(), made_by="scripted")
    assert row.headline == (
        "Voice to voice 612 ± 5.0 ms, to the first audible sample at the player; the loudspeaker was not measured"
    )
    assert [(span.name, round(span.start_ms, 1), round(span.end_ms, 1)) for span in row.spans] == [
        ("vad_hold", 0.0, 520.0),
        ("commit", 520.0, 523.5),
        ("first_audio", 523.5, 590.0),
        ("leading_silence", 590.0, 612.0),
    ]
    assert row.spans[-1].error_ms == 5.0
    assert row.spans[-1].source == "derived"
    assert all(span.what == STAGES[span.name] for span in row.spans)
    beside = {moment.name: moment.time_ms for moment in row.moments if moment.beside}
    assert beside["transcript"] == 640.0
    (unknown,) = [moment for moment in row.moments if moment.time_ms is None]
    assert unknown.name == "rendered"
    assert "no loudspeaker" in unknown.why


def test_what_no_stage_explains_is_a_span_of_its_own() -> None:
    row = timeline_row(chain_turn())
    (gap,) = [span for span in row.spans if span.name == "unattributed"]
    assert (gap.start_ms, gap.end_ms, gap.what) == (1_290.0, 1_900.0, UNATTRIBUTED)
    assert row.headline == "Voice to voice 2004 ms, to the loudspeaker"


def test_an_unknown_total_says_why() -> None:
    found = Marks()
    found.set("speech_end", 0.0)
    found.cannot("first_audible", "nothing in the answer's audio is loud enough to be heard")
    headline = timeline_row(timeline(found, "chain")).headline
    assert headline == "Voice to voice is not known: nothing in the answer's audio is loud enough to be heard"
    assert "speech end" in timeline_row(timeline(Marks(), "chain")).headline


@pytest.mark.parametrize(
    ("value", "error", "said"), [(612.34, 0, "612 ms"), (3.46, 0.02, "3.5 ms"), (40, 12, "40.0 ± 12 ms")]
)
def test_durations_have_their_unit_and_error(value: float, error: float, said: str) -> None:
    assert in_ms(value, error) == said


@given(
    st.sampled_from(ROUTES),
    st.dictionaries(st.sampled_from(MOMENT_NAMES), st.floats(0, 90_000), max_size=len(MOMENT_NAMES)),
)
def test_any_moments_make_a_row_that_adds_up_and_a_picture(route, times) -> None:
    found = Marks()
    for name, time_ms in times.items():
        found.set(name, time_ms)
    laid = timeline(found, route)
    row = timeline_row(laid)
    if laid.voice_to_voice_ms is not None and not laid.flags:
        within = list(row.spans)
        assert sum(span.end_ms - span.start_ms for span in within) == pytest.approx(laid.voice_to_voice_ms, abs=0.01)
    assert waterfall_html(row).count("<div") == 1
    assert length_ms(row) >= 1.0
    msgspec.json.encode(row)


def test_rows_of_whatever_has_timelines() -> None:
    made_by = Provenance(
        route="realtime", endpoints={"session": "embedded"}, models={"session": "m"}, engine="scripted"
    )
    clip = SimpleNamespace(title="Where is my order?")
    turn = PipelineTurn(provenance=made_by, clip=clip, marks=Marks(moments=dict(realtime_turn().moments)))  # type: ignore[arg-type]
    spoken = SimpleNamespace(timeline=chain_turn(), user_transcript="hello")
    rows = rows_of([realtime_turn(), turn, spoken, SimpleNamespace(turns=lambda: [turn])])
    assert [row.title for row in rows] == ["Realtime", "Realtime: Where is my order?", "hello", rows[1].title]
    assert [row.made_by for row in rows] == ["", "scripted", "", "scripted"]
    with pytest.raises(ConfigurationError, match="has no timeline"):
        rows_of(3)
    with pytest.raises(ConfigurationError, match="has no timeline"):
        turn_row(SimpleNamespace(timeline=None))


def test_the_widget_shows_turns_and_survives_without_a_kernel() -> None:
    widget = Timeline([realtime_turn(), chain_turn(), wrong_turn()], title="Three turns", made_by="scripted <engine>")
    assert [turn["route"] for turn in widget.turns] == ["Realtime", "Chain, batch", "Realtime"]
    assert {turn["made_by"] for turn in widget.turns} == {"scripted <engine>"}
    html = widget._repr_mimebundle_()[0]["text/html"]
    assert "<script" not in html
    assert "url(#rnb-hatch)" in html
    assert "Transcript (beside)" in html
    assert "Not believable:</b> committed came 20.0 ms before speech_stopped" in html
    assert "not measured: the voice did not say when it was given its text" in html
    assert "scripted &lt;engine&gt;" in html
    assert "Voice to voice 2004 ms, to the loudspeaker" in html
    widget.close()


def test_a_recording_says_who_answered() -> None:
    turn = SimpleNamespace(timeline=realtime_turn(), user_transcript="hello")
    widget = Timeline(SimpleNamespace(turns=lambda: [turn], manifest=SimpleNamespace(engine="scripted")))
    assert [(row["title"], row["made_by"]) for row in widget.turns] == [("hello", "scripted")]
    widget.close()


def test_a_long_history_is_cut_and_says_so() -> None:
    widget = Timeline([realtime_turn()] * (MAX_STATIC_TURNS + 3))
    assert widget._static_html().startswith("<p>3 earlier turns are not shown.</p>")
    widget.close()


def test_bars_share_one_axis_and_are_read_out() -> None:
    first, second = timeline_row(realtime_turn()), timeline_row(chain_turn())
    svg = bars_svg(
        [("Realtime", first, "612 ms"), ("Chain", second, "2004 ms"), ("Broken", None, "failed")], name="Race"
    )
    assert 'aria-label="Race. Realtime: 612 ms; Chain: 2004 ms; Broken: failed"' in svg
    widths = [float(width) for width in re.findall(r'width="([\d.]+)" height="16"', svg)]
    assert sum(widths[: len(first.spans)]) / sum(widths[len(first.spans) :]) == pytest.approx(612 / 2004, abs=0.01)


def test_a_session_is_followed_until_the_widget_is_closed(room, session, play) -> None:
    session.history.append(SimpleNamespace(timeline=realtime_turn(), user_transcript="one"))
    session.history.append(SimpleNamespace(timeline=None, user_transcript="typed"))
    widget = Timeline(session)
    assert [turn["title"] for turn in widget.turns] == ["one"]

    async def scenario() -> None:
        widget.on_turn(SimpleNamespace(timeline=chain_turn(), user_transcript="two"))
        await wait_until(lambda: len(widget.turns) == 2)
        widget.on_turn(SimpleNamespace(timeline=None))
        await asyncio.sleep(0)

    play(scenario())
    assert [turn["title"] for turn in widget.turns] == ["one", "two"]
    assert widget.turns[1]["made_by"] == session.engine
    assert widget in session.observers
    widget.close()
    assert widget not in session.observers
    widget.close()


def test_a_stage_has_one_colour_in_figures_pictures_and_page() -> None:
    tokens = (FRONTEND / "styles" / "tokens.css").read_text()
    in_page = {name.replace("-", "_"): colour for name, colour in re.findall(r"--rnb-stage-([a-z-]+): (#\w+);", tokens)}
    assert in_page == {name: colour.lower() for name, colour in STAGE_COLOURS.items()}
