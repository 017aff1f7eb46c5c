"""Every figure: its artists are the data, its provenance is inside, nothing lies on anything else."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import FillBetweenPolyCollection
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text

from realtime_nb.errors import ConfigurationError
from realtime_nb.pipelines.base import Provenance
from realtime_nb.studies import figures, statistics
from realtime_nb.studies.comparison import Comparison
from realtime_nb.studies.figures.costs import cost_per_minute, cost_per_turn
from realtime_nb.studies.figures.distributions import band_half_width, bin_edges
from realtime_nb.studies.figures.look import edge_of, lines, look, luminance
from realtime_nb.studies.figures.page import ProvenFigure, wrapped
from realtime_nb.studies.figures.source import by_condition, comparison_of, counted
from realtime_nb.studies.figures.stages import stage_values
from realtime_nb.timing.marks import PATHS, STAGE_NAMES, Marks, timeline
from realtime_nb.timing.stage_colours import STAGE_COLOURS
from tests.studies.figure_rows import LONG_NAMES, comparison, laid

DRAWN: dict[str, Callable[..., Figure]] = {
    "stage_medians": figures.stage_medians,
    "ecdf": figures.ecdf,
    "turn_gaps": figures.turn_gaps,
    "costs": figures.costs,
    "paired": lambda source, **looks: figures.paired_differences(source, *comparison_of(source).pipelines[:2], **looks),
}
TWELVE = [f"clip number {number} with a longish title" for number in range(12)]
CASES = {
    "four pipelines": lambda: comparison(),
    "long names": lambda: comparison(LONG_NAMES, repeats=8),
    "twelve clips": lambda: comparison(("chain", "realtime"), clips=TWELVE, repeats=3),
    "simulated, no cost": lambda: comparison(simulated="network: 4G (simulated)", cost_usd=None),
    "one run each": lambda: comparison(repeats=1, clips=("weather",), bad=False),
    "stages missing": lambda: comparison(without=("transcription", "upload", "leading_silence")),
}
NOTEBOOK, PROJECTOR = ("light", "notebook"), ("dark", "projector")
LOOKED_AT = [
    *itertools.product(("four pipelines", "long names"), (NOTEBOOK, PROJECTOR)),
    *((case, NOTEBOOK) for case in ("twelve clips", "one run each")),
    *((case, PROJECTOR) for case in ("simulated, no cost", "stages missing")),
]
every_figure = pytest.mark.parametrize("kind", DRAWN)


def texts(figure: Figure) -> list[Text]:
    """Return the texts that are drawn, ticks outside the view left out."""
    figure.draw_without_rendering()
    found = []
    for text in figure.findobj(Text):
        if not text.get_visible() or not text.get_text().strip() or (isinstance(text, Annotation) and not text.xy):
            continue
        found.append(text)
    hidden = {label for axes in figure.axes for label in outside(axes)}
    return [text for text in found if text not in hidden]


def outside(axes: Axes) -> list[Text]:
    """Return tick labels of ticks that are beyond the axis and so are not drawn."""
    gone = []
    for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, sorted(axes.get_ylim()))):
        for tick in axis.get_major_ticks() + axis.get_minor_ticks():
            if not low - 1e-6 <= tick.get_loc() <= high + 1e-6:
                gone += [tick.label1, tick.label2]
            else:
                gone += [label for label in (tick.label1, tick.label2) if not label.get_visible()]
    return gone


def assert_clean(figure: Figure) -> None:
    """No text over another, none beyond the page."""
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts(figure)]
    page = figure.bbox
    for words, box in boxes:
        assert box.x0 >= page.x0 - 1, words
        assert box.x1 <= page.x1 + 1, words
        assert box.y0 >= page.y0 - 1, words
        assert box.y1 <= page.y1 + 1, words
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        overlap_x, overlap_y = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert overlap_x <= 1 or overlap_y <= 1, f"{one!r} lies on {other!r}"


def by_gid(axes: Axes, gid: str) -> list[object]:
    return [artist for artist in axes.findobj() if artist.get_gid() == gid]


# --- every figure ---------------------------------------------------------------------------------------------------


@every_figure
@pytest.mark.parametrize(("case", "page"), LOOKED_AT)
def test_nothing_lies_on_anything_else(kind: str, case: str, page: tuple[str, str]) -> None:
    theme, size = page
    figure = DRAWN[kind](CASES[case](), theme=theme, size=size)
    assert_clean(figure)
    if size == "projector":
        assert min(text.get_fontsize() for text in texts(figure)) >= 18


@every_figure
def test_provenance_and_what_is_left_out_are_inside_the_figure(kind: str) -> None:
    figure = DRAWN[kind](comparison(simulated="network: 4G (simulated)"))
    (line,) = [text for text in figure.texts if text.get_gid() == "provenance"]
    words = " ".join(line.get_text().replace("\u00a0", " ").split())
    for part in ("pocketsphinx", "model: offline", "endpoint: embedded", "x86_64, 2 cores", "n = 39 runs (1 missing)"):
        assert part in words
    assert "SIMULATED: network: 4G (simulated)" in words
    assert "2026-01-02" in words
    assert "interval" in words or "band" in words
    (subtitle,) = [text.get_text() for text in figure.texts if text.get_gid() == "subtitle"]
    assert "left out" in subtitle or "runs with a cost" in subtitle
    assert "chain" in figures.describe(figure)


@every_figure
def test_the_headline_says_what_is_simulated(kind: str) -> None:
    def headline(source: Comparison) -> str:
        figure = DRAWN[kind](source)
        (title,) = [text.get_text() for text in figure.texts if text.get_gid() == "title"]
        return title

    assert "simulated" not in headline(comparison())
    assert headline(comparison(simulated="network: 4G (simulated)")).endswith(" (simulated)")
    part = comparison()
    part.rows[-1].simulated = "network: 4G (simulated)"
    assert headline(Comparison(part.rows, part.provenance)).endswith(" (partly simulated)")


def test_costs_at_the_price_of_another_model_are_simulated() -> None:
    borrowed = comparison()
    for row in borrowed.rows:
        row.cost_source = "published prices of 2026-01-01 (realtime-nb-offline as if gpt-realtime, simulated)"
    figure = figures.costs(borrowed)
    words = {text.get_gid(): text.get_text() for text in figure.texts}
    assert words["provenance"].startswith("SIMULATED: prices of other models")
    assert words["title"] == "What it costs (simulated)"


@every_figure
def test_no_rows_is_an_error_that_says_what_to_do(kind: str) -> None:
    with pytest.raises(ConfigurationError, match="no rows"):
        DRAWN[kind](Comparison([]))


@every_figure
def test_matplotlibs_global_state_is_not_touched(kind: str) -> None:
    before = dict(matplotlib.rcParams)
    DRAWN[kind](comparison(), theme="dark", size="projector")
    assert dict(matplotlib.rcParams) == before


def test_a_figure_shows_itself_with_words_for_those_who_do_not_see_it() -> None:
    figure = figures.ecdf(comparison())
    bundle = figure._repr_mimebundle_()
    assert "Share of answers over time. chain: median" in bundle["text/plain"]
    assert 'alt="Share of answers' in bundle["text/html"]
    assert bundle["image/png"]
    assert figures.describe(Figure()) == ""


def test_rows_mappings_and_data_frames_do_as_well() -> None:
    whole = comparison()
    columns = whole.columns()
    records = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    for record in records:
        record |= {name: float("nan") for name, value in record.items() if value is None}
    assert comparison_of(records).rows == whole.rows
    assert comparison_of(list(whole.rows)).rows == whole.rows
    assert comparison_of(whole) is whole
    with pytest.raises(ConfigurationError, match="cannot be drawn"):
        comparison_of(7)


def test_every_kind_of_row_that_is_left_out_is_counted() -> None:
    rows = comparison().of("chain")
    assert counted(rows) == (
        "n = 4 of 10 runs; left out: 1 failed, 1 timed out, 1 without speech, 1 never ran, 1 flagged, "
        "1 without a measurable end"
    )
    assert counted(comparison(bad=False).of("chain")) == "n = 10 runs, none left out"


def test_conditions_that_differ_are_never_averaged_into_one_bar() -> None:
    whole = comparison(("chain", "realtime"), bad=False)
    for row in whole.rows:
        row.network = ("none", "4G")[row.repeat % 2]
        row.silence_duration_ms = 200.0
    assert by_condition(whole).pipelines == (
        "chain, network none",
        "realtime, network none",
        "chain, network 4G",
        "realtime, network 4G",
    )
    labels = [label.get_text() for label in figures.stage_medians(whole).axes[0].get_yticklabels()]
    assert labels[2] == "chain, network 4G\nn = 4 of 4"
    pairs = figures.paired_differences(whole, "chain", "realtime")
    assert any("several conditions together: network none, network 4G" in text.get_text() for text in pairs.texts)
    for row in whole.rows:
        row.silence_duration_ms = (200.0, 500.0)[row.repeat % 2]
    assert by_condition(whole).pipelines[0] == "chain, network none, hold 200 ms"
    whole.rows[0].silence_duration_ms = None
    assert by_condition(whole).pipelines[0] == "chain, network none"
    plain = comparison()
    assert by_condition(plain) is plain


def test_a_run_that_does_not_know_its_conditions_is_no_condition_of_its_own() -> None:
    whole = comparison(("chain", "realtime"), simulated="network: 4G (simulated)")
    for row in whole.rows:
        if row.measured_ms is not None:
            row.network = "4G"
    assert by_condition(whole).pipelines == ("chain", "realtime")


def test_conditions_are_in_order_whatever_was_run_first() -> None:
    whole = comparison(("chain", "realtime"), bad=False)
    for row in whole.rows:
        row.silence_duration_ms = (1000.0, 200.0)[row.repeat % 2]
    whole.rows[-1].status, whole.rows[-1].voice_to_voice_ms = "failed", None
    whole.rows[-1].silence_duration_ms = None
    backwards = Comparison(whole.rows[::-1], whole.provenance)
    assert (
        by_condition(backwards).pipelines
        == by_condition(whole).pipelines
        == (
            "chain, hold 200 ms",
            "realtime, hold 200 ms",
            "chain, hold 1000 ms",
            "realtime, hold 1000 ms",
            "realtime, hold not known",
        )
    )


# --- looks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_bar_that_would_fade_into_the_paper_has_an_edge(theme: str) -> None:
    style = look(theme)  # type: ignore[arg-type]
    for colour in STAGE_COLOURS.values():
        pairs = [sorted((luminance(each), luminance(style.paper))) for each in (colour, edge_of(colour, style))]
        assert max((light + 0.05) / (dark + 0.05) for dark, light in pairs) >= 2.3, colour


def test_neighbouring_stages_differ_in_grey() -> None:
    assert set(STAGE_COLOURS) == set(STAGE_NAMES)
    for path in PATHS.values():
        for keep_tools in (True, False):
            stages = [step.stage for step in path if keep_tools or "tool" not in step.stage]
            for one, other in itertools.pairwise(stages):
                light, dark = sorted((luminance(STAGE_COLOURS[each]) for each in (one, other)), reverse=True)
                assert (light + 0.05) / (dark + 0.05) > 1.3, (one, other)


def test_pipelines_differ_in_colour_dashes_and_marker() -> None:
    drawn = lines(["realtime", "chain", "my own", "chat-audio", "chain-streaming", "another"])
    assert len({line.colour for line in drawn.values()}) == 6
    assert len({line.marker for line in drawn.values()}) == 6
    assert drawn["realtime"] == lines(["realtime"])["realtime"]


def test_two_dozen_series_are_still_told_apart() -> None:
    assert len(set(lines([f"series {number}" for number in range(24)]).values())) == 24


def test_letters_can_be_read_on_every_paper() -> None:
    for theme in ("light", "dark"):
        style = look(theme)  # type: ignore[arg-type]
        for colour in (style.ink, style.muted):
            light, dark = sorted((luminance(colour), luminance(style.paper)), reverse=True)
            assert (light + 0.05) / (dark + 0.05) > 4.5
    with pytest.raises(ConfigurationError, match="sepia"):
        look("sepia")  # type: ignore[arg-type]


def test_long_text_is_wrapped_to_its_width_and_numbers_keep_their_unit() -> None:
    text = wrapped("n = 79 runs " * 20 + "310 ms", 10, 300, 100)
    assert len(text.splitlines()) > 5
    assert not any(line.endswith(("=", "79", "310")) for line in text.splitlines())


# --- single figures -------------------------------------------------------------------------------------------------


def test_stacked_bars_are_as_wide_as_the_medians() -> None:
    whole = comparison(repeats=8)
    (axes,) = figures.stage_medians(whole).axes
    for place, name in enumerate(whole.pipelines):
        rows = [row for row in whole.of(name) if row.measured_ms is not None]
        expected = stage_values(rows)
        bars = [patch for patch in axes.patches if abs(patch.get_y() + patch.get_height() / 2 - place) < 0.01]
        assert {bar.get_gid(): pytest.approx(bar.get_width()) for bar in bars} == expected
        hold = np.median([row.vad_hold_ms for row in rows])
        assert expected["vad_hold"] == pytest.approx(hold)
        assert axes.get_yticklabels()[place].get_text().endswith(f"n = {len(rows)} of {len(whole.of(name))}")
    diamonds = [line.get_xdata()[0] for line in by_gid(axes, "whole")]
    assert diamonds == [whole.median(name).value for name in whole.pipelines]
    ends = [tuple(line.get_xdata()) for line in by_gid(axes, "interval")]
    assert ends == [(whole.median(name).low, whole.median(name).high) for name in whole.pipelines]


def test_without_scipy_there_is_no_interval_and_the_figure_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from realtime_nb.errors import MissingExtra

    def missing(*args: object, **kwargs: object) -> None:
        raise MissingExtra("scipy", extra="studies")

    monkeypatch.setattr(statistics, "load", missing)
    figure = figures.stage_medians(comparison(bad=False))
    assert by_gid(figure.axes[0], "interval") == []
    assert any("no interval: scipy is not installed" in text.get_text() for text in figure.texts)


def test_a_pipeline_that_never_answered_is_shown_as_such() -> None:
    whole = comparison(("chain", "realtime"), bad=False)
    for row in whole.of("realtime"):
        row.status, row.voice_to_voice_ms = "failed", None
    assert_clean(figures.stage_medians(whole))
    assert "realtime: nothing was measured" in figures.describe(figures.turn_gaps(whole))
    with pytest.raises(ConfigurationError, match="no clip that both chain and realtime answered"):
        figures.paired_differences(whole, "chain", "realtime")


def test_the_curve_is_the_share_of_answers_and_the_band_holds_it() -> None:
    whole = comparison(("chain", "realtime"), bad=False, repeats=10)
    (axes,) = figures.ecdf(whole).axes
    for name in whole.pipelines:
        values = sorted(row.measured_ms or 0.0 for row in whole.of(name))
        (curve,) = by_gid(axes, name)
        assert list(curve.get_xdata())[1:-1] == values
        assert list(curve.get_ydata())[1:-1] == pytest.approx(np.arange(1, 21) / 20)
        (band,) = by_gid(axes, f"band {name}")
        assert isinstance(band, FillBetweenPolyCollection)
    assert band_half_width(100) == pytest.approx(0.1358, abs=1e-4)  # sqrt(ln 40 / 200)


def test_the_histogram_counts_every_turn_and_shows_people() -> None:
    whole = comparison(("chain", "realtime"))
    figure = figures.turn_gaps(whole)
    for axes, name in zip(figure.axes, whole.pipelines, strict=True):
        counts = sum(patch.get_height() for patch in axes.patches if patch.get_gid() is None)
        assert counts == sum(row.measured_ms is not None for row in whole.of(name))
        (human,) = by_gid(axes, "human mode")
        assert (human.get_x(), human.get_width()) == (0, 200)
    assert any("Stivers et al. 2009" in text.get_text() for text in figure.texts)


@pytest.mark.parametrize("values", [[], [-40.0, 310.0], [100.0], [50_000.0, 10.0]])
def test_bins_hold_every_value(values: list[float]) -> None:
    edges = bin_edges(values)
    assert len(edges) <= 43
    assert all(edges[0] <= value < edges[-1] for value in values)
    assert 0 in edges


def test_dots_are_the_differences_of_the_pairs() -> None:
    whole = comparison(("chain", "realtime"), clips=TWELVE, repeats=3)
    figure = figures.paired_differences(whole, "chain", "realtime")
    drawn = sorted(line.get_xdata()[0] for line in by_gid(figure.axes[0], "pair"))
    pairs = whole.pairs("chain", "realtime")
    assert drawn == pytest.approx(sorted(one.measured_ms - other.measured_ms for one, other in pairs))  # type: ignore[operator]
    (middle,) = by_gid(figure.axes[0], "median")
    assert middle.get_xdata()[0] == whole.difference("chain", "realtime").value
    assert "12 runs without a partner" not in figures.describe(figure)
    assert f"{len(pairs)} pairs" in figures.describe(figure)


def test_costs_add_up() -> None:
    whole = comparison(("chain",), bad=False)
    rows = list(whole.rows)
    total = sum(row.cost_usd or 0.0 for row in rows)
    turn, minute = cost_per_turn(rows), cost_per_minute(rows)
    assert turn.usd == pytest.approx(total / len(rows))
    assert minute.usd == pytest.approx(total / (len(rows) * 2.5 / 60))
    assert turn.low is not None
    assert turn.high is not None
    assert turn.low < (turn.usd or 0) < turn.high
    (left, right) = figures.costs(whole).axes
    assert left.patches[0].get_width() == pytest.approx(100 * (turn.usd or 0))
    assert right.patches[0].get_width() == pytest.approx(100 * (minute.usd or 0))
    assert cost_per_turn(rows[:5]).low is None
    nothing = figures.costs(comparison(cost_usd=None, bad=False))
    assert list(nothing.axes[0].patches) == []
    assert any("40 runs without a cost" in text.get_text().replace("\u00a0", " ") for text in nothing.texts)


# --- waterfall ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("route", PATHS)
@pytest.mark.parametrize(
    ("skip", "page"), [((), NOTEBOOK), ((), PROJECTOR), (("transcript", "committed", "first_audio"), NOTEBOOK)]
)
def test_a_waterfall_is_clean(route: str, skip: tuple[str, ...], page: tuple[str, str]) -> None:
    theme, size = page
    assert_clean(figures.waterfall(laid(route, skip=skip, error_ms=2.0), theme=theme, size=size))  # type: ignore[arg-type]


def test_waterfall_bars_are_the_stages_one_after_the_other() -> None:
    turn = laid("chain")
    figure = figures.waterfall(turn)
    bars = {bar.get_gid(): (bar.get_x(), bar.get_width()) for bar in figure.axes[0].patches}
    assert bars["VAD hold"] == pytest.approx((0.0, 500.0))
    assert bars["upload"] == pytest.approx((500.0, 40.0))
    assert sum(width for _, width in bars.values()) == pytest.approx(turn.voice_to_voice_ms)


def test_what_is_unattributed_or_simulated_is_hatched_and_named() -> None:
    figure = figures.waterfall(laid("chain", source="simulated", skip=("transcript",)))
    hatches = {bar.get_gid(): bar.get_hatch() for bar in figure.axes[0].patches}
    style = look()
    assert hatches["unattributed"] == style.unattributed_hatch
    assert hatches["upload"] == style.simulated_hatch
    assert [text.get_text() for text in figure.legends[0].texts] == [
        "unattributed: no stage explains it",
        "simulated",
        "voice-to-voice",
    ]
    assert any("Not measured, transcript: the server does not say when" in text.get_text() for text in figure.texts)
    assert any("SIMULATED" in text.get_text() for text in figure.texts)


def test_what_ran_beside_the_path_does_not_squeeze_it() -> None:
    figure = figures.waterfall(laid("realtime"))
    assert figure.axes[0].get_xlim()[1] < 3_000
    assert any("at 5," in text.get_text() for text in texts(figure))


def test_a_turn_brings_its_provenance_and_flags() -> None:
    marks = Marks()
    for name, at_ms in {"speech_end": 0, "speech_stopped": 500, "committed": 490, "first_audible": 900}.items():
        marks.set(name, at_ms)  # type: ignore[arg-type]
    who = Provenance(
        route="realtime", endpoints={"session": "embedded"}, models={"session": "offline"}, engine="matcher · flite"
    )
    figure = figures.waterfall(timeline(marks, "realtime"), provenance=who, machine="x86_64", date="2026-01-02")
    assert isinstance(figure, ProvenFigure)
    assert figure.provenance.startswith("measured · engine: matcher · flite · model: offline · endpoint: embedded")
    assert any(
        "Not believable: committed came 10.0 ms before" in text.get_text().replace("\u00a0", " ")
        for text in figure.texts
    )
    assert_clean(figure)


def test_a_live_session_says_who_answered() -> None:
    class Live:
        engine, model, endpoint = "matcher · flite", "offline", "the embedded server"

    line = figures.waterfall(laid("realtime"), provenance=Live()).provenance  # type: ignore[arg-type]
    assert line.startswith("measured · engine: matcher · flite · model: offline · endpoint: the embedded server")
    assert "not recorded" not in line


def test_a_turn_without_moments_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no timeline"):
        figures.waterfall(timeline(Marks(), "chain"))
    with pytest.raises(ConfigurationError, match="str has no timeline"):
        figures.waterfall("turn")
