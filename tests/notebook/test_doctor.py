"""The doctor names what does not work and what to do, and never shows a key."""

from __future__ import annotations

import asyncio

import pytest

from realtime_nb.notebook import doctor as doctor_module
from realtime_nb.notebook.doctor import Finding, Report, doctor
from realtime_nb.widgets.messages import LinkMeasured

KEY = "not-to-be-shown"


def finding(report: Report, name: str) -> Finding:
    return next(each for each in report.findings if each.name == name)


def test_no_key_and_no_secret_of_an_address_is_shown(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("REALTIME_NB_URL", f"https://ann:{KEY}@voice.example:8443/v1?key={KEY}")
    report = doctor()
    assert KEY not in repr(report)
    assert KEY not in report._repr_mimebundle_()["text/html"]
    assert finding(report, "key").text == "OPENAI_API_KEY is set (not shown)"
    assert finding(report, "REALTIME_NB_URL").text == "https://voice.example:8443/v1"


def test_without_a_key_the_embedded_server_is_named(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert "embedded server" in finding(doctor(), "key").text


@pytest.mark.parametrize(
    ("version", "level", "words"),
    [
        ((7, 0, 1), "problem", "cannot run"),
        ((6, 31, 0), "note", "wait until"),
        ((7, 4, 0), "ok", "7.4.0"),
        ((), "note", ""),
    ],
)
def test_kernel_traps(monkeypatch, version, level, words):
    monkeypatch.setattr(doctor_module, "ipykernel_version", lambda: version)
    found = finding(doctor(), "ipykernel")
    assert found.level == level
    assert words in found.text
    assert bool(found.what_now) == (level == "problem")


def test_old_nest_asyncio_is_a_problem(monkeypatch):
    monkeypatch.setattr(asyncio, "_nest_patched", True, raising=False)
    report = doctor()
    assert finding(report, "nested loops") in report.problems


def test_missing_front_end_says_how_to_build(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor_module, "STATIC", tmp_path)
    found = finding(doctor(), "front end")
    assert found.level == "problem"
    assert "studio" in found.text
    assert "make frontend" in found.what_now


def test_every_built_widget_is_looked_for():
    assert {path.stem for path in doctor_module.STATIC.glob("*.js")} == set(doctor_module.BUNDLES)


def test_open_links_are_listed_with_their_round_trip(monkeypatch):
    async def links(room: object) -> list[LinkMeasured]:
        return [
            LinkMeasured(
                transport=transport, round_trip_p50_ms=1.5, round_trip_p95_ms=7, n=50, offset_ms=0, offset_error_ms=1
            )
            for transport in ("direct", "comm")
        ]

    doctor_module.runtime().loop  # noqa: B018
    monkeypatch.setattr(doctor_module, "measured_links", links)
    direct, comm = [each for each in doctor().findings if each.name == "media link"]
    assert (direct.level, direct.text) == ("ok", "direct, round trip 1.5 ms p50, 7.0 ms p95 (n = 50)")
    assert (comm.level, bool(comm.what_now)) == ("note", True)


def test_engines_and_their_voices_are_listed():
    assert "voices: alloy" in finding(doctor(), "engine scripted").text


def test_html_is_escaped_and_problems_are_marked():
    html = Report([Finding("<x>", "problem", "a & b", "do <this>")])._repr_mimebundle_()["text/html"]
    assert "&lt;x&gt;" in html
    assert "a &amp; b" in html
    assert "✗" in html
