from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from realtime_nb.audio.bundled import clip
from realtime_nb.cli import main
from realtime_nb.errors import MissingExtra
from realtime_nb.studies import extras
from realtime_nb.studies.comparison import Comparison
from realtime_nb.studies.html_page import comparison_html
from tests.studies.made_rows import comparison, row

ASKED = ["compare", "--engine", "scripted", "--url", "embedded", "--warmups", "0", "--silence-ms", "200"]


class Page(HTMLParser):
    """What a page holds and what it would load from elsewhere."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.elsewhere: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "data", "poster", "xlink:href") and value and not value.startswith("#"):
                self.elsewhere.append(value)


def test_pipelines_are_compared_and_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    mine = clip("stop").save(tmp_path / "mine.wav")
    files = ["--json", "out.json", "--html", "out.html", "--network", "lan"]
    assert main([*ASKED, str(mine), "--pipelines", "chain,realtime", "--repeats", "1", *files]) == 0
    said = capsys.readouterr().out
    assert "chain ÷ realtime" in said
    assert "not given for n = 1" in said
    made = Comparison.load("out.json")
    assert [row.status for row in made.rows] == ["completed"] * 2
    assert {row.clip for row in made.rows} == {"mine"}
    page = (tmp_path / "out.html").read_text()
    assert "scripted texts" in page
    assert "network: LAN (simulated)" in page
    assert {row.network for row in made.rows} == {"LAN"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.wav", "out.html", "out.json"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["hello", "--pipelines", "quick"], "chain, chain-streaming, chat-audio, realtime"),
        (["hello", "--pipelines", ","], "no pipeline"),
        (["hello", "hello"], "the same clip twice"),
        (["hello", "--repeats", "0"], "repeats=0"),
        (["hello", "--network", "pigeon"], "home Wi-Fi"),
        (["hello", "--json", "nowhere/out.json"], "no folder"),
        (["hello", "--html", "."], "is a folder"),
    ],
)
def test_what_is_asked_wrongly_is_said_before_anything_runs(
    wrong: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*ASKED, *wrong]) == 2
    assert said in capsys.readouterr().err


def test_a_clip_that_is_nowhere_lists_the_bundled_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ASKED, "nowhere.wav"]) == 1
    assert "order_status" in capsys.readouterr().err


def test_without_the_extra_it_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(module: str) -> None:
        raise MissingExtra("scipy", extra="studies")

    monkeypatch.setattr(extras, "load", missing)
    assert main([*ASKED, "hello"]) == 2
    assert "realtime-nb[studies]" in capsys.readouterr().err


def test_nothing_measured_is_a_failure_that_keeps_the_journal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.json"
    nobody = ["compare", "hello", "--pipelines", "realtime", "--repeats", "1", "--url", "http://127.0.0.1:9/v1"]
    assert main([*nobody, "--key", "sk-secret", "--json", str(out)]) == 1
    said = capsys.readouterr()
    assert "could not start" in said.out
    assert "goes on" in said.err
    assert Comparison.load(out).rows[0].status == "missing"
    assert "sk-secret" not in "".join(path.read_text() for path in tmp_path.iterdir())
    assert json.loads((tmp_path / "out.json.journal").read_text())["kind"] == "realtime_nb comparison journal"


# --- the page ---------------------------------------------------------------------------------------------------


def test_the_page_needs_nothing_else_and_has_everything() -> None:
    rows = [
        *comparison().rows,
        row("chain", run=99, status="failed", error="<the voice> broke", voice_to_voice_ms=None),
    ]
    html = comparison_html(Comparison(rows))
    page = Page(html)
    assert page.elsewhere == []
    assert "script" not in page.tags
    assert page.tags.count("svg") >= 3
    assert "&lt;the voice&gt; broke" in html
    assert "<the voice>" not in html
    assert "chain ÷ realtime, median of paired ratios: 1.5" in html
    assert "n = 12" in html
    assert "seed" in html


def test_a_page_of_nothing_measured_is_still_a_page(tmp_path: Path) -> None:
    made = Comparison([row(status="missing", error="not run: stopped", voice_to_voice_ms=None)])
    html = made.to_html(tmp_path / "out.html").read_text("utf-8")
    assert "not run: stopped" in html
    assert "svg" not in Page(html).tags


def test_a_figure_that_cannot_be_drawn_costs_only_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    from realtime_nb.errors import ConfigurationError
    from realtime_nb.studies import figures

    def broken(source: Any) -> None:
        raise ConfigurationError("no colours")

    monkeypatch.setattr(figures, "ecdf", broken)
    html = comparison_html(comparison())
    assert "Not drawn: no colours" in html
    assert Page(html).tags.count("svg") >= 2
