from __future__ import annotations

import json
from pathlib import Path

import pytest

from realtime_nb.errors import ConfigurationError, MissingExtra
from realtime_nb.studies import comparison as comparison_module
from realtime_nb.studies.comparison import Comparison
from realtime_nb.studies.figures.source import provenance_line
from realtime_nb.studies.html_page import comparison_html
from realtime_nb.studies.provenance import StudyProvenance
from realtime_nb.studies.rows import COLUMNS, Row
from tests.studies.made_rows import comparison, row


def test_columns_have_one_value_a_row() -> None:
    made = comparison()
    columns = made.columns()
    assert tuple(columns) == COLUMNS
    assert {len(values) for values in columns.values()} == {24}
    frame = made.to_pandas()
    assert list(frame.columns) == list(COLUMNS)
    assert len(frame) == 24


def test_the_summary_counts_what_it_leaves_out() -> None:
    rows = [
        *(row(voice_to_voice_ms=ms, repeat=i, run=i) for i, ms in enumerate((1000, 900, 1100, 950, 1050, 1000, 980.0))),
        row(status="failed", error="the key was refused", voice_to_voice_ms=None, run=7),
        row(flags="transcript came 3.0 ms before committed", run=8),
        row(status="missing", error="stopped by the user", voice_to_voice_ms=None, run=9),
        row(voice_to_voice_ms=None, run=10),
        row(status="failed", flags="it failed in an odd order", voice_to_voice_ms=None, run=13),
        row(status="no_speech", error="no speech was heard", voice_to_voice_ms=None, run=11),
        row(status="timed_out", error="too late", voice_to_voice_ms=None, run=12),
    ]
    (line,) = Comparison(rows).summary()
    counts = [line[name] for name in ("n", "missing", "failed", "no_speech", "flagged", "unmeasured")]
    assert counts == [7, 1, 3, 1, 1, 1]
    assert sum(counts) == len(rows)
    assert line["p50_ms"] == 1000
    assert 900 <= line["low_ms"] <= 1000 <= line["high_ms"] <= 1100
    missing = Comparison(rows).missing()
    assert [each["run"] for each in missing] == [7, 8, 9, 10, 13, 11, 12]
    assert [each["why"] for each in missing] == [
        "the key was refused",
        "transcript came 3.0 ms before committed",
        "stopped by the user",
        "voice-to-voice could not be measured",
        "it failed in an odd order",
        "no speech was heard",
        "too late",
    ]


def test_reasons_are_counted() -> None:
    gone = {"status": "missing", "error": "not run: stopped", "voice_to_voice_ms": None}
    made = Comparison([row(), row(run=1, **gone), row(run=2, **gone), row("chain", run=3, **gone)])
    assert [(line["pipeline"], line["runs"], line["why"]) for line in made.reasons()] == [
        ("realtime", 2, "not run: stopped"),
        ("chain", 1, "not run: stopped"),
    ]
    assert made.reasons().title == "3 of 4 runs are in no average"


def test_a_ratio_is_of_pairs_and_has_an_interval() -> None:
    ratio = comparison(40).ratio("chain", "realtime")
    assert ratio.n == 40
    assert ratio.value == pytest.approx(1.5, abs=0.02)
    assert ratio.low is not None
    assert ratio.high is not None
    assert ratio.low < ratio.value < ratio.high
    assert "n = 40" in str(ratio)
    inverse = comparison(40).ratio("realtime", "chain")
    assert inverse.low == pytest.approx(1 / ratio.high, rel=1e-6)


def test_a_ratio_of_too_few_pairs_is_not_given() -> None:
    ratio = comparison(4).ratio("chain", "realtime")
    assert ratio.value is None
    assert "1.5" not in str(ratio)
    assert "n = 4" in str(ratio)
    difference = comparison(4).difference("chain", "realtime")
    assert difference.value == pytest.approx(450, abs=70)
    assert difference.low is None
    assert "at least 6" in str(difference)


def test_pairs_need_the_same_clip_repeat_and_network() -> None:
    rows = [row("chain"), row("chain", repeat=1), row("realtime"), row("realtime", network="4G", repeat=1)]
    assert [(a.pipeline, b.pipeline) for a, b in Comparison(rows).pairs("chain", "realtime")] == [("chain", "realtime")]


def test_pipelines_on_different_networks_can_be_compared() -> None:
    made = Comparison([row("near"), row("far", network="4G", voice_to_voice_ms=1100.0), row("alone", clip="joke")])
    assert made.difference("far", "near").value == 200
    assert str(made.difference("far", "alone")).endswith("there are no pairs")


def test_a_run_that_does_not_know_its_conditions_costs_no_pairs() -> None:
    """What failed or never ran has no endpoint: that is no second one."""
    near = [row("near", repeat=i, run=2 * i, endpoint="embedded") for i in range(8)]
    far = [row("far", repeat=i, run=2 * i + 1, endpoint="https://there/v1", network="4G") for i in range(8)]
    lost = [
        row(name, repeat=9, run=run, status=status, voice_to_voice_ms=None)
        for name, run, status in (("near", 16, "missing"), ("far", 17, "failed"))
    ]
    assert len(Comparison([*near, *far, *lost]).pairs("far", "near")) == 8


def test_swept_settings_are_paired_with_themselves() -> None:
    rows = [row(name, silence_duration_ms=ms) for name in ("chain", "realtime") for ms in (200.0, 500.0)]
    pairs = Comparison(rows).pairs("chain", "realtime")
    assert [(a.silence_duration_ms, b.silence_duration_ms) for a, b in pairs] == [(200, 200), (500, 500)]


def test_an_unknown_pipeline_is_named_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"no pipeline 'quick'.*chain, realtime"):
        comparison().ratio("quick", "realtime")


def test_saved_and_loaded_is_the_same(tmp_path: Path) -> None:
    made = comparison()
    again = Comparison.load(made.save(tmp_path / "out.json"))
    assert again.rows == made.rows
    assert again.provenance == made.provenance


def test_a_file_of_an_older_or_a_somewhat_newer_version_is_read(tmp_path: Path) -> None:
    path = comparison().save(tmp_path / "out.json")
    document = json.loads(path.read_text())
    for each in document["rows"]:
        del each["machine"], each["worker"]
        each["column_of_the_future"] = 1
    del document["provenance"]["cores"]
    path.write_text(json.dumps(document))
    assert Comparison.load(path).rows == comparison().rows


def test_files_that_are_no_comparison_are_refused(tmp_path: Path) -> None:
    path = comparison().save(tmp_path / "out.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 99}))
    with pytest.raises(ConfigurationError, match="schema 99"):
        Comparison.load(path)
    path.write_text("{")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Comparison.load(path)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Comparison.load(tmp_path / "nowhere.json")


def test_what_is_shown_carries_the_provenance_and_escapes() -> None:
    made = Comparison([row("<b>"), row("chain", status="failed", voice_to_voice_ms=None, error="no")])
    html = made._repr_html_()
    assert "<b>" not in html
    assert "seed 0" in html
    assert "1 of 2 runs are in no average" in html
    assert "n = 2 runs" in repr(made)


def test_without_scipy_there_are_no_intervals_and_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(module: str) -> None:
        raise MissingExtra("scipy", extra="studies")

    monkeypatch.setattr(comparison_module.statistics, "load", missing)
    assert "realtime-nb[studies]" in repr(comparison())
    with pytest.raises(MissingExtra):
        comparison().summary()


def test_simulated_is_said() -> None:
    made = Comparison([row(simulated="network: 4G (simulated)"), row()])
    assert made.provenance.word == "simulated"
    assert "4G (simulated)" in made.provenance.line
    assert "<h1>Voice-to-voice, compared (partly simulated)</h1>" in comparison_html(made)
    assert "simulated)" not in comparison_html(Comparison([row()]))
    assert Comparison([row()]).provenance.word == "measured"
    assert Comparison([Row(simulated="network: 4G (simulated)")]).provenance.simulated == ()


def test_a_busy_machine_is_said() -> None:
    calm = StudyProvenance(load=0.6, cores=2)
    assert "load at the start 0.6 · " in Comparison([row()], calm).provenance.line
    assert "BUSY" not in calm.line
    busy = Comparison([row()], StudyProvenance(load=1.4, cores=2))
    assert "load at the start 1.4: A BUSY MACHINE" in repr(busy)
    assert "A BUSY MACHINE" in provenance_line(busy)
    assert not StudyProvenance(load=9.0).busy


def test_runs_that_went_on_at_once_are_said() -> None:
    alone = Comparison([row(worker="0"), row("chain", worker="0")])
    assert alone.provenance.at_once == ""
    assert "one run at a time" in comparison_html(alone)
    several = Comparison([row(worker="0"), row("chain", worker="1")])
    assert "on 2 workers at once" in several.provenance.line
    assert "on 2 workers at once" in provenance_line(several)
    html = comparison_html(several)
    assert "one run at a time" not in html
    assert "randomised blocks, on 2 workers at once" in html


def test_nothing_at_all_is_still_a_table() -> None:
    empty = Comparison([])
    assert len(empty.summary()) == 0
    assert "n = 0" in repr(empty)
