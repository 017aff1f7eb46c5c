"""`realtime_nb.connect` with the embedded server, as cells and scripts use it."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

import pytest

import realtime_nb
from realtime_nb.errors import AuthenticationFailed, ConfigurationError, ConnectionLost, ConnectionRefused
from realtime_nb.runtime import runtime
from realtime_nb.session.reconnect import Reconnect
from realtime_nb.testing.faults import Faults

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "REALTIME_NB_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REALTIME_NB_ENGINE", "scripted")


def session_tasks() -> list[str]:
    names = [task.get_name() for task in asyncio.all_tasks(runtime().loop)]
    return [name for name in names if name.startswith("realtime_nb session")]


async def test_it_says_which_server_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    async with realtime_nb.connect() as session:
        assert session.state == "connected"
        turn = await session.ask("hello")
    assert turn.status == "completed"
    assert "embedded server" in capsys.readouterr().out


async def test_awaited_it_lives_until_closed() -> None:
    session = await realtime_nb.connect(quiet=True, voice="coral", instructions="Be brief.")
    assert session.config.audio.output.voice == "coral"
    assert session.config.instructions == "Be brief."
    await session.aclose()
    assert session.state == "closed"
    assert session_tasks() == []


def test_without_await_from_a_plain_cell() -> None:
    session = realtime_nb.connect(quiet=True).wait()
    assert session.state == "connected"
    session.close()
    runtime().run(session._owner.finished.wait(), 5)


async def test_a_rerun_cell_leaves_one_connection() -> None:
    for _ in range(3):
        session = await realtime_nb.connect(quiet=True)
    gc.collect()
    async with asyncio.timeout(10):
        while len([name for name in session_tasks() if name.endswith("owner")]) > 1:
            await asyncio.sleep(0.01)
    assert session.state == "connected"
    await session.aclose()


async def test_never_awaited_and_dropped_it_closes() -> None:
    connecting = realtime_nb.connect(quiet=True)
    await asyncio.to_thread(connecting._future.result)
    del connecting
    async with asyncio.timeout(10):
        while session_tasks():
            gc.collect()
            await asyncio.sleep(0.01)


async def test_nobody_there_is_said_with_what_to_do() -> None:
    with pytest.raises(ConnectionRefused, match="Check that the server runs"):
        await realtime_nb.connect(url="http://127.0.0.1:1/v1")
    assert session_tasks() == []


async def test_a_wrong_key_is_said_with_what_to_do() -> None:
    async with realtime_nb.connect(quiet=True) as session:
        url = session._owner.where
        with pytest.raises(AuthenticationFailed, match="refused the key"):
            await realtime_nb.connect(url=url, api_key="wrong", model="m")


async def test_what_cannot_be_meant_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="turn_detection"):
        realtime_nb.connect(turn_detection="telepathy")
    with pytest.raises(ConfigurationError, match="no engine"):
        await realtime_nb.connect(engine="telepathy")


async def test_faults_and_recovery_are_one_argument_each() -> None:
    faults, again = Faults(cut_mid_delta=2), Reconnect(first_delay_s=0.01)
    async with realtime_nb.connect(quiet=True, faults=faults, reconnect=again) as session:
        with pytest.raises(ConnectionLost):
            await session.ask("tell me a joke")
        async with asyncio.timeout(10):
            while session.state != "connected":
                await asyncio.sleep(0.01)
        assert session.history[-1].status == "lost"
        assert (await session.ask("hello")).status == "completed"


async def test_a_session_can_be_recorded_from_its_beginning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with realtime_nb.connect(record=tmp_path / "r", redact=("audio",)) as session:
        await session.ask("hello")
    await asyncio.to_thread(session.recordings[0].close)
    recording = await asyncio.to_thread(realtime_nb.Recording.open, tmp_path / "r")
    (turn,) = await asyncio.to_thread(recording.turns)
    assert (turn.user_transcript, recording.manifest.redacted) == ("hello", ["audio"])
    first = await asyncio.to_thread(lambda: next(recording.events()))
    assert first.event is not None
    assert first.event["type"] == "session.created"
    assert f"recorded to {tmp_path / 'r'}" in capsys.readouterr().out


async def test_the_environment_can_ask_for_recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REALTIME_NB_RECORD", str(tmp_path / "all"))
    async with realtime_nb.connect(quiet=True) as session:
        pass
    assert session.recordings[0].path.parent == tmp_path / "all"
    await asyncio.to_thread(session.recordings[0].close)


async def test_a_place_that_cannot_be_written_to_is_said_and_nothing_is_left_open(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").write_text("x")
    with pytest.raises(ConfigurationError, match="not empty"):
        await realtime_nb.connect(quiet=True, record=tmp_path / "taken")
    async with asyncio.timeout(10):
        while session_tasks():
            await asyncio.sleep(0.02)
