from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve

from realtime_nb.audio import AudioClip, bundled
from realtime_nb.engines import scripted
from realtime_nb.engines.scripted import ScriptedCrash, ScriptedDelays
from realtime_nb.errors import AudioError, ConfigurationError
from realtime_nb.server.app import EmbeddedServer
from realtime_nb.session.endpoint import choose_endpoint
from realtime_nb.testing.load import Distribution, Load, LoadReport, check_target, run, run_load
from realtime_nb.testing.spoken_clip import with_bounds
from tests.server.commands import served
from tests.testing.broken import Event, Fault, Spoiled, spoiling

pytestmark = pytest.mark.anyio

CLIP = bundled.clip("hello")
HELD_BACK_MS = 300


async def put(url: str, *, sessions: int = 3, seconds: float = 3.0, key: str = "any") -> LoadReport:
    endpoint = choose_endpoint(url=url, api_key=key, environ={})
    return await run_load(Load(endpoint=endpoint, sessions=sessions, seconds=seconds, clip=CLIP))


async def test_users_talk_and_everything_is_measured() -> None:
    async with served("--engine", "scripted") as server:
        report = await put(server.url)
        assert report.clean, report.lines()
        assert report.memory is not None
        assert report.memory.pid == server.process.pid
    assert report.connected == 3
    assert report.turns >= 3
    assert report.connect.n == 3
    assert report.end_to_audio.n == report.stop_to_audio.n == report.turn.n == report.answered == report.turns
    assert report.end_to_audio.p50 is not None
    assert report.stop_to_audio.p50 is not None
    assert report.end_to_audio.p50 > report.hold_ms - 150 > report.stop_to_audio.p50
    assert report.mark_error.max is not None
    assert report.mark_error.max < 150
    assert report.frames_sent == report.pacing_slip.n > 3 * 20
    assert report.memory.peak_mb >= report.memory.before_mb > 10
    assert any("errors: none" in line for line in report.lines())
    assert json.dumps(report.as_json())


async def test_a_slow_engine_shows_in_the_latency_and_not_in_the_pacing() -> None:
    engines = scripted.create(delays=ScriptedDelays(first_audio_ms=1500))
    server = await EmbeddedServer.start(engines, allow_any_key=True)
    try:
        report = await put(server.url, sessions=1)
    finally:
        await server.aclose()
    assert report.answered == report.turns >= 1
    assert report.end_to_audio.p50 is not None
    assert report.end_to_audio.p50 > 1500
    assert report.pacing_slip.p50 is not None
    assert report.pacing_slip.p50 < 750


async def test_users_can_be_made_to_speak_in_the_same_instant() -> None:
    server = await EmbeddedServer.start(scripted.create(), allow_any_key=True)
    try:
        endpoint = choose_endpoint(url=server.url, api_key="any", environ={})
        turns = []
        for within_s in (0.0, 10_000.0):
            load = Load(endpoint=endpoint, sessions=3, seconds=0.5, clip=CLIP, start_within_s=within_s)
            turns.append((await run_load(load)).turns)
    finally:
        await server.aclose()
    assert turns == [3, 0], "who would begin after the run's end says nothing"


async def test_a_failing_engine_is_counted_by_status() -> None:
    engines = scripted.create(chat_crashes=[ScriptedCrash(call=1)])
    server = await EmbeddedServer.start(engines, allow_any_key=True)
    try:
        report = await put(server.url, sessions=1)
    finally:
        await server.aclose()
    assert report.errors.get("response failed", 0) == 1
    assert not report.clean


async def test_audio_that_never_comes_is_missed() -> None:
    """A server that loses every third piece of audio on the way, and holds it all in the item."""
    seen = 0

    def lose(event: Event) -> list[Event]:
        nonlocal seen
        seen += 1
        return [] if seen % 3 == 0 else [event]

    server = await EmbeddedServer.start(scripted.create(), allow_any_key=True)
    try:
        async with spoiling(server.url, "any", lambda: Spoiled("response.output_audio.delta", lose)) as url:
            lossy = await put(url, sessions=1)
        async with spoiling(server.url, "any", Fault) as url:
            whole = await put(url, sessions=1)
    finally:
        await server.aclose()
    assert lossy.missing_audio_ms > 50
    assert not lossy.clean
    assert whole.missing_audio_ms == 0


async def test_users_that_are_not_let_in_are_counted() -> None:
    async with served("--engine", "scripted", "--api-key", "right") as server:
        report = await put(server.url, sessions=2, seconds=1, key="wrong")
    assert report.errors == {"not opened: invalid_api_key": 2}
    assert report.connected == 0
    assert not report.clean
    nobody = await put("http://127.0.0.1:9/v1", sessions=2, seconds=1)
    assert nobody.connected == 0
    assert nobody.errors == {"not opened: ConnectionRefused": 2}
    assert nobody.memory is None


async def test_a_server_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "OPENING_PATIENCE_S", 0.05)
    left = asyncio.Event()

    async def silent(connection: ServerConnection) -> None:
        await connection.wait_closed()
        left.set()

    async with serve(silent, "127.0.0.1", 0) as server, asyncio.timeout(20):
        port = server.sockets[0].getsockname()[1]
        report = await put(f"http://127.0.0.1:{port}/v1", sessions=1, seconds=0.1)
        await left.wait()
    assert report.errors == {"not opened: TimeoutError": 1}


def test_percentiles_are_samples() -> None:
    samples = [float(value) for value in range(1, 201)]
    assert Distribution.of(samples[::-1]) == Distribution(n=200, p50=100, p95=190, p99=198, max=200)
    assert Distribution.of([7.0]) == Distribution(n=1, p50=7, p95=7, p99=7, max=7)
    assert Distribution.of([]).p99 is None
    assert "-" in Distribution.of([]).row("nothing")


def test_servers_elsewhere_are_spared() -> None:
    check_target("http://127.0.0.1:8000/v1", allow_remote=False)
    check_target("wss://api.example.org/v1", allow_remote=True)
    with pytest.raises(ConfigurationError, match="not on this machine"):
        check_target("wss://api.example.org/v1", allow_remote=False)


def test_a_clip_gets_its_bounds_and_silence_is_refused() -> None:
    bare = with_bounds(AudioClip(CLIP.samples))
    assert bare.speech_end_ms == pytest.approx(CLIP.speech_end_ms, abs=30)
    assert with_bounds(CLIP.resampled(16_000)).sample_rate_hz == 24_000
    with pytest.raises(AudioError, match="no speech"):
        with_bounds(AudioClip.silence(500))


async def test_the_command(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    async with served("--engine", "scripted") as server:
        command = ("load", server.url, "--sessions", "2", "--seconds", "3", "--json", str(path))
        status, shown = await _command(*command)
        assert status == 0, shown
        assert "2 of 2 sessions" in shown
    assert json.loads(await asyncio.to_thread(path.read_bytes))["clean"] is True
    assert (await _command("load", server.url, "--sessions", "0"))[0] == 2
    assert (await _command("load", "https://example.org/v1"))[0] == 2


async def _command(*arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "realtime_nb.cli", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "OPENAI_API_KEY": ""},
    )
    async with asyncio.timeout(60):
        shown, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, shown.decode()
