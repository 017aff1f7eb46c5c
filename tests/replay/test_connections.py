"""A recording of a session that broke and came back: its connections stay apart, watched, served and shown."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from realtime_nb.errors import ConfigurationError, ConnectionLost
from realtime_nb.recording.writer import RecordingWriter, manifest_for
from realtime_nb.replay.card import card_html
from realtime_nb.replay.pace import Pace
from realtime_nb.replay.page_data import page_data
from realtime_nb.replay.reader import Recording
from realtime_nb.replay.replaying import talk_again, watch_again
from realtime_nb.replay.server import ReplayServer
from realtime_nb.session.endpoint import Endpoint
from realtime_nb.session.opening import open_session
from realtime_nb.session.reconnect import Reconnect
from realtime_nb.session.settings import session_settings
from realtime_nb.testing.scripted_server import Reply, ScriptedServer
from tests.session.test_reconnect import Waits, surviving
from tests.session.test_session import until

pytestmark = pytest.mark.anyio


async def broken(path: Path) -> Recording:
    """A whole answer, one that was cut in its middle, and after the cut a third and a fourth."""
    answers = iter([Reply(text="one"), Reply(text="two three four", stop_after_words=2)])
    more = iter([Reply(text="five"), Reply(text="six")])
    first, second = ScriptedServer(lambda _: next(answers)), ScriptedServer(lambda _: next(more), seed=2)
    async with surviving([first, second], Waits()) as session:
        writer = await asyncio.to_thread(session.record, path)
        await session.ask("a")
        asking = asyncio.create_task(session.ask("b"))
        await until(lambda: session._owner.turns.current and session._owner.turns.current.audio.duration_ms == 400)
        first.cut(1012, "restart")
        with pytest.raises(ConnectionLost):
            await asking
        await until(lambda: session.state_restored is not None)
        await session.ask("c")
        await session.ask("d")
        await session.aclose()
        await asyncio.to_thread(writer.close)
    return await asyncio.to_thread(Recording.open, path)


TOLD = [("completed", "a", "one"), ("lost", "b", "two three"), ("completed", "c", "five"), ("completed", "d", "six")]


class Witness:
    """Notes in what order things were told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def on_state(self, state: str) -> None:
        self.told.append(state)

    def on_turn(self, turn: object) -> None:
        self.told.append(turn.status)  # type: ignore[attr-defined]

    def on_restored(self, restored: object) -> None:
        self.told.append("restored")


async def test_the_connections_are_told_apart(tmp_path: Path) -> None:
    recording = await broken(tmp_path / "r")
    first, second = await asyncio.to_thread(lambda: recording.connections)
    assert (first.first, first.restored, second.lost_ms) == (0, None, None)
    assert first.lost_ms is not None
    assert first.lost_ms <= second.began_ms
    assert (first.code, first.reason) == (1012, "restart")
    assert second.restored is not None
    assert (second.restored.items, second.restored.spoken_as_text) == (4, 2)
    turns = await asyncio.to_thread(recording.turns)
    assert [(turn.status, turn.user_transcript, turn.transcript) for turn in turns] == TOLD


async def test_watched_again_it_breaks_and_comes_back(tmp_path: Path) -> None:
    recording = await broken(tmp_path / "r")
    pace = Pace("step")
    session = await watch_again(recording, pace)
    witness = Witness()
    session.observe(witness)
    pace.step(10_000)
    await until(lambda: session.state == "closed")
    assert [(turn.status, turn.user_transcript, turn.transcript) for turn in session.history] == TOLD
    assert witness.told == [
        *("completed", "lost", "reconnecting", "restored", "connected", "completed", "completed", "closed")
    ]
    connections = await asyncio.to_thread(lambda: recording.connections)
    assert session.state_restored == connections[1].restored
    assert "restart" in str(session.history[1].error)
    sequence = [(event.direction, event.event_type) for event in session.events]
    lines = await asyncio.to_thread(lambda: list(recording.events()))
    assert sequence == [(line.direction, (line.event or {})["type"]) for line in lines]


async def test_the_gap_lasts_as_long_as_it_did(tmp_path: Path) -> None:
    recording = await broken(tmp_path / "r")
    _, second = await asyncio.to_thread(lambda: recording.connections)
    path = recording.path
    lines = await asyncio.to_thread((path / "events.jsonl").read_text)
    cut_ns = int(second.began_ms * 1e6)

    def later(text: str) -> str:
        """Let everything after the cut be half a second later."""
        made = []
        for line in text.splitlines():
            entry = json.loads(line)
            entry["time_ns"] += 500_000_000 * (entry["time_ns"] >= cut_ns)
            made.append(json.dumps(entry, separators=(",", ":")))
        return "\n".join(made) + "\n"

    marks = await asyncio.to_thread((path / "marks.jsonl").read_text)
    await asyncio.to_thread((path / "events.jsonl").write_text, later(lines))
    await asyncio.to_thread((path / "marks.jsonl").write_text, later(marks))
    await asyncio.to_thread((path / "index.bin").unlink)
    session = await watch_again(await asyncio.to_thread(Recording.open, path), Pace(1.0))
    times: dict[str, float] = {}

    class Clock:
        def on_state(self, state: str) -> None:
            times[state] = session.now_ms()

    session.observe(Clock())
    await until(lambda: session.state == "closed")
    assert times["connected"] - times["reconnecting"] >= 490


async def test_you_can_talk_to_it_through_the_break(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realtime_nb.replay.responder.PATIENCE_S", 0.05)  # it was sent settings, this one sends none
    session = await talk_again(await broken(tmp_path / "r"), Pace("fast"))
    assert (await session.ask("w")).transcript == "one"
    with pytest.raises(ConnectionLost):
        await session.ask("x")
    await until(lambda: session.state == "connected")
    assert session.state_restored is not None
    assert session.state_restored.items == 4
    assert (await session.ask("y")).transcript == "five"
    assert (await session.ask("z")).transcript == "six"
    assert [turn.status for turn in session.history] == ["completed", "lost", "completed", "completed"]
    words = [words for _, _, _, words in session._owner.protocol.conversation.digest()]
    assert words == ["a", "one", "b", "two three", "c", "five", "d", "six"]
    await session.aclose()


async def test_a_client_of_the_network_gets_what_came_after_the_break(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("realtime_nb.replay.responder.PATIENCE_S", 0.05)
    server = await ReplayServer.start(await broken(tmp_path / "r"), speed="fast")
    endpoint = Endpoint(choice="url", base_url=server.url, model="any", api_key="any")
    try:
        for _ in range(2):  # the next one gets it from the beginning
            session = await open_session(endpoint, settings=session_settings(), reconnect=Reconnect(first_delay_s=0.01))
            assert (await session.ask("w")).transcript == "one"
            with pytest.raises(ConnectionLost, match="restart"):
                await session.ask("x")
            await until(lambda: session.state == "connected")  # noqa: B023
            assert (await session.ask("y")).transcript == "five"
            assert (await session.ask("z")).transcript == "six"
            await session.aclose()
    finally:
        await server.aclose()


async def test_a_recording_that_begins_later_than_its_session_is_watched_too(tmp_path: Path) -> None:
    recording = await broken(tmp_path / "r")
    lines = (await asyncio.to_thread((recording.path / "events.jsonl").read_text)).splitlines(keepends=True)
    await asyncio.to_thread((recording.path / "events.jsonl").write_text, "".join(lines[3:]))
    await asyncio.to_thread((recording.path / "index.bin").unlink)
    recording = await asyncio.to_thread(Recording.open, recording.path)
    assert len(await asyncio.to_thread(lambda: recording.connections)) == 2
    session = await watch_again(recording, Pace("fast"))
    await until(lambda: session.state == "closed")
    assert [turn.status for turn in session.history] == ["completed", "lost", "completed", "completed"]


async def test_what_never_came_back_breaks_at_the_end(tmp_path: Path) -> None:
    server = ScriptedServer(Reply(text="one two three", stop_after_words=2))
    waits = Waits()
    async with surviving([server], waits) as session:
        waits.go.clear()
        writer = await asyncio.to_thread(session.record, tmp_path / "r")
        asking = asyncio.create_task(session.ask("count"))
        await until(lambda: session._owner.turns.current and session._owner.turns.current.audio.duration_ms == 400)
        server.cut()
        with pytest.raises(ConnectionLost):
            await asking
        await session.aclose()
        await asyncio.to_thread(writer.close)
    recording = await asyncio.to_thread(Recording.open, tmp_path / "r")
    (only,) = await asyncio.to_thread(lambda: recording.connections)
    assert only.lost_ms is not None
    session = await watch_again(recording, Pace("fast"))
    witness = Witness()
    session.observe(witness)
    await until(lambda: session.state == "closed")
    assert witness.told == ["lost", "reconnecting", "closed"]


async def test_a_recording_of_nothing_is_not_replayed(tmp_path: Path) -> None:
    about = await asyncio.to_thread(manifest_for, endpoint="http://here/v1", engine="e", model="m", version="-")
    writer = await asyncio.to_thread(RecordingWriter, tmp_path / "r", about)
    await asyncio.to_thread(writer.close)
    recording = await asyncio.to_thread(Recording.open, tmp_path / "r")
    for replaying in (watch_again(recording, Pace("fast")), talk_again(recording, Pace("fast"))):
        with pytest.raises(ConfigurationError, match="nothing that a server said"):
            await replaying
    with pytest.raises(ConfigurationError, match="nothing that a server said"):
        await ReplayServer.start(recording)


async def test_the_gap_is_shown(tmp_path: Path) -> None:
    recording = await broken(tmp_path / "r")
    data = await asyncio.to_thread(page_data, recording)
    first, second = await asyncio.to_thread(lambda: recording.connections)
    assert [region[2:] for region in data["regions"] if region[1] == "gap"] == [(first.lost_ms, second.began_ms)] * 2
    types = [row["type"] for row in data["events"]]
    broke = types.index("(connection broke)")
    assert "response.done" in types[:broke]
    assert types[broke + 1] == "session.created"
    assert "code 1012 (restart)" in data["events"][broke]["summary"]
    assert "2 connections" in data["facts"]
    assert "code 1012 (restart), nothing for 0.0 s." in data["notes"][-1]
    assert "2 connections" in await asyncio.to_thread(card_html, recording)
