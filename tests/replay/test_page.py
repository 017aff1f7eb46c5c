"""The page of a recording: whole, closed to the network, and deaf to what hostile words want."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile

from realtime_nb.errors import ConfigurationError
from realtime_nb.replay.export_html import encoded, page_html
from realtime_nb.replay.reader import Recording
from realtime_nb.testing.recordings import make_recording
from realtime_nb.timing.stage_colours import STAGE_COLOURS

HOSTILE = "</script><script>alert(1)</script> <img src=x onerror=alert(2)> <!-- ' \" {data} &amp; \u2028"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = make_recording(tmp_path_factory.mktemp("r") / "r", turns=2, answer=HOSTILE, question=HOSTILE)
    return page_html(Recording.open(path), title=f"a {HOSTILE} title")


def data_of(page: str) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])  # type: ignore[no-any-return]


def test_hostile_words_stay_words(page: str) -> None:
    assert page.count("<script") == 3
    assert page.count("</script>") == 3
    assert "<img" not in page
    assert HOSTILE in [line["heard"] for line in data_of(page)["transcript"]]  # type: ignore[attr-defined]


def test_only_our_script_and_style_may_run_and_nothing_may_be_fetched(page: str) -> None:
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; ")
    for tag in ("script", "style"):
        content = re.search(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        assert content is not None
        digest = base64.b64encode(hashlib.sha256(content[1].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy[1]
    without_data = re.sub(r'<script type="[^"]*" id="[^"]*">.*?</script>', "", page, flags=re.DOTALL)
    assert "http" not in without_data.replace("http-equiv", "")
    assert re.findall(r"<[^>]*\b(?:src|href)=", without_data) == []


def test_the_script_never_parses_html() -> None:
    script = (Path(__file__).parents[2] / "realtime_nb/replay/page/page.js").read_text()
    for name in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
        assert name not in script


def test_sound_stands_in_its_place_after_encoding() -> None:
    stereo = np.zeros((240_000, 2), np.int16)
    times = np.arange(24_000) / 24_000
    burst = (9000 * np.sin(2 * np.pi * 500 * times)).astype(np.int16)
    stereo[48_000:72_000, 0] = burst
    stereo[120_000:144_000, 1] = burst
    decoded, rate_hz = soundfile.read(io.BytesIO(encoded(stereo)), dtype="int16")
    assert (decoded.shape, rate_hz) == (stereo.shape, 24_000)
    for channel, start in ((0, 48_000), (1, 120_000)):
        loud = np.flatnonzero(np.abs(decoded[:, channel]) > 3000)
        assert loud[0] == pytest.approx(start, abs=10 * 24)
        assert loud[-1] == pytest.approx(start + 24_000, abs=10 * 24)


def test_the_data_says_what_the_timelines_say(page: str) -> None:
    data = data_of(page)
    turn = data["turns"][0]  # type: ignore[index]
    assert [(span["label"], round(span["end_ms"] - span["start_ms"])) for span in turn["spans"]] == [
        ("vad hold", 500),
        ("commit", 0),
        ("first audio", 200),
        ("leading silence", 40),
        ("output", 30),
    ]
    assert "770 ms" in turn["total"]
    rows = data["events"]
    assert [row["type"] for row in rows[:2]] == ["session.created", "input_audio_buffer.append"]  # type: ignore[index]
    assert len(rows) < 200  # type: ignore[arg-type]  # of 1300 events: audio between two others is one row


def test_in_a_cell_it_shows_its_turns_and_no_html_of_theirs(tmp_path: Path) -> None:
    path = make_recording(tmp_path / "r", turns=21, answer="<b>on</b> its way", question="where")
    shown = Recording.open(path)._repr_html_()
    assert shown.count("770 ms") == 20
    assert "and 1 more turns" in shown
    assert "&lt;b&gt;on" in shown
    assert "Simulated" in shown


def test_a_silent_recording_and_a_bad_path_are_fine_and_said(tmp_path: Path) -> None:
    path = make_recording(tmp_path / "r", turns=1)
    (path / "audio.wav").unlink()
    recording = Recording.open(path)
    assert '<script type="text/plain" id="audio"></script>' in page_html(recording)
    with pytest.raises(ConfigurationError, match="cannot be written"):
        recording.to_html(tmp_path / "nowhere" / "page.html")


def test_a_stage_has_the_colour_that_it_has_elsewhere(page: str) -> None:
    here = dict(re.findall(r"\.stage-([a-z-]+) \{ background: (#\w+); \}", page))
    assert here == {name.replace("_", "-"): colour.lower() for name, colour in STAGE_COLOURS.items()}


def test_a_page_that_is_given_up_stops_encoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = Recording.open(make_recording(tmp_path / "r", turns=2))
    written: list[int] = []
    encoding, released = threading.Event(), threading.Event()

    class Beside(ThreadPoolExecutor):
        def shutdown(self, *args: bool, **options: bool) -> None:
            released.set()
            super().shutdown(*args, **options)

    def write(file: object, samples: np.ndarray[tuple[int, ...], np.dtype[np.int16]]) -> None:
        written.append(len(samples))
        encoding.set()
        released.wait(20)

    def interrupted(recording: Recording) -> None:
        encoding.wait(20)
        raise KeyboardInterrupt

    monkeypatch.setattr(soundfile.SoundFile, "write", write)
    monkeypatch.setattr("realtime_nb.replay.export_html.ThreadPoolExecutor", Beside)
    monkeypatch.setattr("realtime_nb.replay.export_html.page_data", interrupted)
    monkeypatch.setattr("realtime_nb.replay.export_html.BLOCK_FRAMES", 24_000)
    with pytest.raises(KeyboardInterrupt):
        page_html(recording)
    assert written == [24_000]
