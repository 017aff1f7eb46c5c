"""A session that records itself: both voices on one clock, every event, no secret, readable after a break."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from realtime_nb.errors import ConnectionLost
from realtime_nb.replay.reader import Recording
from realtime_nb.testing.scripted_server import Reply, ScriptedServer
from tests.session.test_session import HandPlayer, talking, tone, until

pytestmark = pytest.mark.anyio


async def recorded(server: ScriptedServer, path: Path, **options: object) -> Recording:
    async with talking(server, turn_detection="push_to_talk") as session:
        writer = await asyncio.to_thread(session.record, path, **options)  # type: ignore[arg-type]
        await session.ask(tone(500))
        await session.aclose()
        await asyncio.to_thread(writer.close)
        assert (writer.dropped, writer.failure) == (0, None)
    return await asyncio.to_thread(Recording.open, path)


async def test_a_recording_gives_back_turns_events_and_both_voices(tmp_path: Path) -> None:
    recording = await recorded(ScriptedServer(Reply(text="one two three")), tmp_path / "r")
    turns = await asyncio.to_thread(recording.turns)
    assert [(turn.status, turn.user_transcript, turn.transcript) for turn in turns] == [
        ("completed", "(recognised)", "one two three")
    ]
    assert turns[0].audio.duration_ms == 600
    stereo = await asyncio.to_thread(lambda: np.array(recording.stereo()))
    spoken = np.flatnonzero(np.abs(stereo[:, 0]) > 100)
    answered = np.flatnonzero(stereo[:, 1])
    assert len(spoken) / 24 == pytest.approx(500, abs=25)
    assert answered[0] >= spoken[-1] - 24 * 60
    assert len(answered) / 24 == pytest.approx(600, abs=5)
    assert recording.manifest.ended is not None
    events = await asyncio.to_thread(lambda: list(recording.events()))
    assert [line.sequence for line in events] == list(range(len(events)))
    assert {line.direction for line in events} == {"sent", "received"}


async def test_only_what_was_rendered_is_in_the_assistants_channel(tmp_path: Path) -> None:
    server = ScriptedServer(Reply(text="one two three"))
    async with talking(server) as session:
        player = HandPlayer()
        session.attach_player(player)
        writer = await asyncio.to_thread(session.record, tmp_path / "r")
        await session.ask("count")
        (key,) = player.written
        session.playback.rendered(key, 2400)
        session.playback.rendered(key, 4800)
        await session.aclose()
        await asyncio.to_thread(writer.close)
    recording = await asyncio.to_thread(Recording.open, tmp_path / "r")
    heard = await asyncio.to_thread(lambda: recording.assistant_audio.samples)
    assert np.count_nonzero(heard) == 4800


async def test_redaction_drops_sound_and_words(tmp_path: Path) -> None:
    await recorded(ScriptedServer(Reply(text="secret words")), tmp_path / "r", redact=("audio", "transcripts"))
    text = await asyncio.to_thread((tmp_path / "r" / "events.jsonl").read_text)
    assert "secret" not in text
    assert "(recognised)" not in text
    assert max(map(len, text.splitlines())) < 4000
    recording = await asyncio.to_thread(Recording.open, tmp_path / "r")
    assert recording.manifest.redacted == ["audio", "transcripts"]
    assert await asyncio.to_thread(lambda: len(recording.stereo())) == 0


async def test_a_broken_session_leaves_a_readable_recording(tmp_path: Path) -> None:
    server = ScriptedServer(Reply(text="one two three", stop_after_words=2))
    async with talking(server) as session:
        writer = await asyncio.to_thread(session.record, tmp_path / "r")
        asking = asyncio.create_task(session.ask("count"))
        await until(lambda: session._owner.turns.current and session._owner.turns.current.audio.duration_ms == 400)
        server.cut(1011, "gone")
        with pytest.raises(ConnectionLost):
            await asking
        await asyncio.to_thread(writer.close)
    recording = await asyncio.to_thread(Recording.open, tmp_path / "r")
    assert "gone" in str(recording.manifest.ended)
    marks = await asyncio.to_thread(lambda: list(recording.marks()))
    assert [mark.name for mark in marks] == ["ended"]
    samples = await asyncio.to_thread(lambda: recording.assistant_audio.samples)
    assert np.count_nonzero(samples) == 2 * 4800


async def test_keys_never_enter_a_recording(tmp_path: Path) -> None:
    tool = {"type": "mcp", "server_label": "x", "server_url": "https://x", "authorization": "Bearer sk-hidden"}
    async with talking(ScriptedServer(), tools=[tool]) as session:
        writer = await asyncio.to_thread(session.record, tmp_path / "r")
        await session.ask("hello")
        await session.aclose()
        await asyncio.to_thread(writer.close)
    for file in (tmp_path / "r").iterdir():
        assert b"sk-hidden" not in await asyncio.to_thread(file.read_bytes)
