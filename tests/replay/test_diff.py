from __future__ import annotations

from pathlib import Path

import pytest

from realtime_nb.replay.diff import diff
from realtime_nb.replay.reader import Recording
from realtime_nb.testing.recordings import make_recording


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return Recording.open(make_recording(tmp_path_factory.mktemp("r") / "usual", turns=2, answer="on its way"))


def test_the_same_conversation_twice_differs_in_nothing(usual: Recording, tmp_path: Path) -> None:
    again = Recording.open(make_recording(tmp_path / "again", turns=2, seed=5, answer="on its way"))
    found = diff(usual, again)
    assert found.same
    assert (found.settings, found.provenance, found.events) == ((), (), ())
    assert "Nothing but times differs" in str(found)
    (first, second) = found.turns
    assert {one.name: (one.a, one.b) for one in first.times_ms}["vad_hold"] == (500, 500)
    assert second.number == 1


def test_words_settings_turns_and_events_that_differ_are_told(usual: Recording, tmp_path: Path) -> None:
    script = "<script>alert(1)</script> is it"
    other = Recording.open(make_recording(tmp_path / "other", turns=3, answer=script, question="what <b>"))
    other.manifest.model = "another"
    found = diff(usual, other)
    assert not found.same
    assert [(one.name, one.b) for one in found.provenance] == [("model", "another")]
    assert [(one.name, one.a) for one in found.turns[0].words] == [("heard", "(recognised)"), ("said", " on its way")]
    assert found.turns[2].only_in == "b"
    assert any("response.created" in event for block in found.events for event in block.b)
    html = found._repr_html_()
    assert "&lt;script&gt;" in html
    assert "<script>" not in html
    assert "what &lt;b&gt;" in html
    assert "Turn 3: only in b" in str(found)


def test_settings_are_compared_by_name(usual: Recording) -> None:
    other = Recording.open(usual.path)
    other._rebuilt.settings = {**other._rebuilt.settings, "instructions": "Be brief.", "id": "another"}
    assert [(one.name, one.b) for one in diff(usual, other).settings] == [("instructions", "Be brief.")]
