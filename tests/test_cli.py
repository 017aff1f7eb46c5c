from __future__ import annotations

import asyncio
import signal

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
