"""`realtime-nb report` and `realtime-nb replay`."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from realtime_nb.cli import main
from realtime_nb.session.endpoint import Endpoint
from realtime_nb.session.opening import open_session
from realtime_nb.testing.recordings import make_recording


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return make_recording(tmp_path / "made", turns=1, answer="it is on its way")


def test_report_writes_a_page(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.html"
    assert main(["report", str(made), "-o", str(page), "--title", "Mine"]) == 0
    assert "<title>Mine</title>" in page.read_text()
    said = capsys.readouterr()
    assert str(page) in said.out
    assert "Simulated" in said.err


def test_report_compares_two(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(made), "--compare-with", str(made)]) == 0
    assert "Nothing but times differs" in capsys.readouterr().out


def test_what_is_no_recording_is_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path / "nowhere")]) == 2
    assert main(["replay", str(tmp_path)]) == 2
    assert "does not exist" in capsys.readouterr().err


def test_replay_serves_until_told_to_stop(made: Path) -> None:
    command = [sys.executable, "-m", "realtime_nb.cli", "replay", str(made), "--port", "0", "--speed", "fast"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        assert asyncio.run(_first_event(url)) == "session.created"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_stepped_every_line_lets_one_event_go(made: Path) -> None:
    command = [sys.executable, "-m", "realtime_nb.cli", "replay", str(made), "--port", "0", "--speed", "step"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        url = process.stdout.readline().split()[-1]
        process.stdin.write("\n")
        process.stdin.flush()
        assert asyncio.run(_first_event(url)) == "session.created"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_a_reader_that_went_away_is_no_error(made: Path) -> None:
    command = [sys.executable, "-m", "realtime_nb.cli", "report", str(made), "--compare-with", str(made)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert (process.stderr.read(), process.wait(60)) == ("", 141)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_said(made: Path) -> None:
    command = [sys.executable, "-m", "realtime_nb.cli", "report", str(made), "--compare-with", str(made)]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith("realtime-nb: [Errno 28]")
    assert "Traceback" not in done.stderr


async def _first_event(url: str) -> str:
    session = await open_session(Endpoint(choice="url", base_url=url, model="any"), settings={})
    try:
        return session.events[0].event_type
    finally:
        await session.aclose()
