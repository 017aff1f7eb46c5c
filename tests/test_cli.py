from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from realtime_nb.cli import main
from tests.server.commands import run, served

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_serve_says_where_it_listens_and_stops_cleanly(number: signal.Signals) -> None:
    async with served("--engine", "scripted") as server:
        host, port = server.url.removeprefix("http://").removesuffix("/v1").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.close()
        assert await server.stop(number) == (0, "")


async def test_an_impatient_second_signal_changes_nothing() -> None:
    async with served("--engine", "scripted") as server:
        server.process.send_signal(signal.SIGTERM)
        assert await server.stop() == (0, "")


async def test_other_hosts_need_a_key() -> None:
    status, stderr = await run("serve", "--engine", "scripted", "--host", "0.0.0.0")
    assert status == 2
    assert "--api-key" in stderr
    assert "Traceback" not in stderr


async def test_an_unknown_engine_is_named_with_those_there_are() -> None:
    status, stderr = await run("serve", "--engine", "nonesuch")
    assert status == 2
    assert "nonesuch" in stderr
    assert "scripted" in stderr
    assert "Traceback" not in stderr


async def test_a_taken_port_is_a_clear_error() -> None:
    async with served("--engine", "scripted") as server:
        port = server.url.rsplit(":", 1)[1].removesuffix("/v1")
        status, stderr = await run("serve", "--engine", "scripted", "--port", port)
        assert status == 2
        assert port in stderr
        assert "Traceback" not in stderr


def test_no_command_shows_how_to_use_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        main([])
    assert exited.value.code == 2
    assert "usage: realtime-nb" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["serve", "--port", "99999"], "0 to 65535"),
        (["replay", "x", "--port", "-1"], "0 to 65535"),
        (["serve", "--max-sessions", "many"], "'many' is not a whole number"),
        (["serve", "--drain-seconds", "-1"], "give seconds"),
        (["conformance", "http://127.0.0.1:9/v1", "--patience", "nan"], "give seconds"),
        (["load", "http://127.0.0.1:9/v1", "--seconds", "inf"], "give seconds"),
        (["replay", "x", "--speed", "quick"], "a factor, fast or step"),
    ],
)
def test_a_value_that_cannot_be_is_explained(wrong: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        main(wrong)
    assert exited.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("command", ["conformance", "load"])
def test_a_file_that_cannot_be_written_is_said_before_the_work(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "http://127.0.0.1:9/v1", "--json", str(tmp_path / "nowhere" / "x.json")]) == 2
    assert "There is no folder" in capsys.readouterr().err


def test_a_server_that_is_not_there_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conformance", "http://127.0.0.1:9/v1", "--only", "opening", "--only", "models"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("cannot be reached") == 1
    assert "Check that the server runs" in said.err


def test_a_load_on_nobody_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["load", "http://127.0.0.1:9/v1", "--sessions", "1", "--seconds", "0.1"]) == 1
    assert "Nobody could connect" in capsys.readouterr().err


def spawned(*arguments: str, **environ: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "realtime_nb.cli", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, env={**os.environ, **environ}, **pipes)  # type: ignore[call-overload]


def test_ctrl_c_ends_a_command_quietly() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        mute.settimeout(60)
        with spawned("conformance", f"http://127.0.0.1:{mute.getsockname()[1]}/v1", "--patience", "30") as process:
            connection, _ = mute.accept()
            process.send_signal(signal.SIGINT)
            _, stderr = process.communicate(timeout=60)
            connection.close()
    assert process.returncode == 130
    assert stderr == "realtime-nb: stopped\n"


def test_a_terminal_without_unicode_gets_what_it_can_show() -> None:
    with spawned("compare", "--help", PYTHONIOENCODING="ascii") as process:
        stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (0, "")
    assert "try again in" in stdout
