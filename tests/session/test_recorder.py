"""A session that records itself: both voices on one clock, every event, no secret, readable after a break."""

from __future__ import annotations

import asyncio
import errno
import gc
import json
import time
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from realtime_nb.audio import AudioClip
from realtime_nb.errors import ConnectionLost
from realtime_nb.recording.writer import RecordingWriter
from realtime_nb.replay.export_html import page_html
from realtime_nb.replay.reader import Recording
from realtime_nb.session.endpoint import Endpoint
from realtime_nb.session.event_log import LoggedEvent
from realtime_nb.session.opening import open_session
from realtime_nb.session.playback_report import RenderedAt
from realtime_nb.session.session import Session
from realtime_nb.session.settings import session_settings
from realtime_nb.testing.scripted_server import Reply, ScriptedServer
from tests.session.test_session import HERE, HandPlayer, talking, tone, until

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
    assert answered[0] >= spoken[-1]
    assert len(answered) / 24 == pytest.approx(600, abs=5)
    assert recording.manifest.ended is not None
    events = await asyncio.to_thread(lambda: list(recording.events()))
    assert [line.sequence for line in events] == list(range(len(events)))
    assert {line.direction for line in events} == {"sent", "received"}


async def test_a_clip_stands_where_it_was_due_on_a_machine_that_stood_still(tmp_path: Path) -> None:
    class Stall:
        appended = 0

        def on_event(self, logged: LoggedEvent) -> None:
            self.appended += logged.event_type == "input_audio_buffer.append"
            if self.appended == 10:
                self.appended += 1
                until_s = time.monotonic() + 0.25
                while time.monotonic() < until_s:  # the loop stands still, as on a machine that is too busy
                    pass

    async with talking(ScriptedServer(), turn_detection="push_to_talk") as session:
        writer = await asyncio.to_thread(session.record, tmp_path / "r")
        session.observe(Stall())
        asked_ms = session.now_ms()
        turn = await session.ask(tone(500))
        await session.aclose()
        await asyncio.to_thread(writer.close)
    stereo = await asyncio.to_thread(lambda: np.array(Recording.open(tmp_path / "r").stereo()))
    (spoken,) = np.nonzero(np.abs(stereo[:, 0]) > 100)
    assert (spoken[-1] - spoken[0]) / 24 == pytest.approx(500, abs=2)
    assert asked_ms <= spoken[0] / 24
    assert turn.marks.response_created_ms is not None
    assert spoken[-1] / 24 <= turn.marks.response_created_ms
    assert np.flatnonzero(stereo[:, 1])[0] >= spoken[-1]


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


async def test_observers_are_told_that_a_recording_began_and_ended(tmp_path: Path) -> None:
    async with talking(ScriptedServer()) as session:
        seen: list[list[bool]] = []
        session.observe(SimpleNamespace(on_recording=lambda: seen.append([one.writing for one in session.recordings])))
        writer = await asyncio.to_thread(session.record, tmp_path / "r")
        await until(lambda: seen == [[True]])
        await asyncio.to_thread(writer.close)
        await until(lambda: seen == [[True], [False]])


async def test_a_closed_session_has_a_whole_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = RecordingWriter._write_manifest

    def slowly(writer: RecordingWriter) -> None:
        if writer.thread.is_alive():  # at the end
            time.sleep(0.3)
        write(writer)

    async with talking(ScriptedServer(Reply(text="one"))) as session:
        await asyncio.to_thread(session.record, tmp_path / "r")
        monkeypatch.setattr(RecordingWriter, "_write_manifest", slowly)
        await session.ask("hello")
        await session.aclose()
        assert not session.recordings[0].thread.is_alive()


async def test_redaction_drops_sound_and_words(tmp_path: Path) -> None:
    await recorded(ScriptedServer(Reply(text="secret words")), tmp_path / "r", redact=("audio", "transcripts"))
    text = await asyncio.to_thread((tmp_path / "r" / "events.jsonl").read_text)
    assert "secret" not in text
    assert "(recognised)" not in text
    assert max(map(len, text.splitlines())) < 4000
    recording = await asyncio.to_thread(Recording.open, tmp_path / "r")
    assert recording.manifest.redacted == ["audio", "transcripts"]
    page = await asyncio.to_thread(page_html, recording)
    assert "secret words" not in page
    assert "Left out on purpose: transcripts" in page
    (turn,) = await asyncio.to_thread(recording.turns)
    assert await asyncio.to_thread(lambda: (len(turn.audio.samples), turn.timeline.voice_to_voice_ms)) == (0, None)
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
    assert [mark.name for mark in marks] == ["recording_began", "ended"]
    samples = await asyncio.to_thread(lambda: recording.assistant_audio.samples)
    assert np.count_nonzero(samples) == 2 * 4800


KEY = "sk-a-key-that-nobody-may-see"


async def test_secrets_never_enter_a_recording(tmp_path: Path) -> None:
    """They are hunted for in every byte of every file: the key, an MCP server's token and headers, client secrets."""
    hidden = {"mcp": "mcp-token-4711", "header": "header-value-0815", "ek": "ek_0123456789ab", "user": "ann:hunter22"}
    tool = {
        "type": "mcp",
        "server_label": "x",
        "server_url": f"https://{hidden['user']}@x/mcp?token=query-token-99",
        "authorization": f"Bearer {hidden['mcp']}",
        "headers": {"X-Secret": hidden["header"]},
    }
    call = ("look_up", f'{{"api_key": "{KEY}", "order": 7}}')
    server = ScriptedServer(lambda response: Reply(tool_call=call) if len(server.received) < 6 else Reply(text="done"))
    endpoint = Endpoint(
        choice="url", base_url=f"https://{hidden['user']}@example.org/v1?api-key={KEY}", model="m", api_key=KEY
    )
    async with server.running():
        settings = session_settings(tools=[tool])
        session = await open_session(endpoint, settings=settings, open_transport=server.open)
        writer = await asyncio.to_thread(session.record, tmp_path / "r")

        def look_up(api_key: str, order: int) -> str:
            """Look an order up.

            Args:
                api_key: of the shop.
                order: its number.
            """
            raise ValueError(f"{api_key} and {hidden['mcp']} are refused by https://{hidden['user']}@shop")

        await asyncio.to_thread(session.tool, look_up)

        await session.ask(f"my key is {KEY}, is it not?")
        error = {"type": "error", "event_id": "e", "error": {"type": "x", "message": f"{hidden['mcp']} {hidden['ek']}"}}
        await server.send_raw(json.dumps(error))
        await server.send_raw(f"not json {KEY} {hidden['header']}")
        await server.send_raw(json.dumps({"type": "odd", "client_secret": {"value": hidden["ek"]}, "nested": [KEY]}))
        await until(lambda: session.events[len(session.events) - 1].event_type == "odd")
        await session.aclose()
        await asyncio.to_thread(writer.close)
    for file in await asyncio.to_thread(lambda: sorted((tmp_path / "r").iterdir())):
        content = await asyncio.to_thread(file.read_bytes)
        for secret in (KEY, *hidden.values(), "hunter22", "query-token-99"):
            assert secret.encode() not in content, (file.name, secret)
    events = await asyncio.to_thread(lambda: list(Recording.open(tmp_path / "r").events()))
    assert any("look_up" in str(line.event) and "order" in str(line.event) for line in events)


async def test_a_failing_disk_is_told_and_the_session_goes_on(tmp_path: Path) -> None:
    notices: list[tuple[str, str]] = []

    class Listener:
        def on_notice(self, level: str, message: str, what_now: str) -> None:
            notices.append((level, message))

    async with talking(ScriptedServer()) as session:
        session.observe(Listener())
        writer = await asyncio.to_thread(session.record, tmp_path / "r")

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        writer._write_event = full  # type: ignore[method-assign]
        assert (await session.ask("hello")).status == "completed"
        await until(lambda: notices)
        assert (await session.ask("and again")).status == "completed"
        await session.aclose()
        await asyncio.to_thread(writer.close)
    assert [level for level, _ in notices] == ["warning"]
    assert "No space left on device" in notices[0][1]
    recording = await asyncio.to_thread(Recording.open, tmp_path / "r")
    assert any("No space left" in note for note in recording.notes)


async def test_marks_say_what_events_do_not(tmp_path: Path) -> None:
    server = ScriptedServer(Reply(text="one two three four five", stop_after_words=4))
    async with talking(server) as session:
        player = HandPlayer()
        session.attach_player(player)
        writer = await asyncio.to_thread(session.record, tmp_path / "r")
        asking = asyncio.create_task(session.ask("count"))
        await until(lambda: player.written and next(iter(player.written.values())) == 4 * 4800)
        (key,) = player.written
        at = RenderedAt(time_ms=500.0, error_ms=1.5, output_latency_ms=30.0, clock_offset_ms=-7.0)
        session.playback.rendered(key, 4800, at)
        player.rendered = {key: 6000}
        await session.interrupt()
        await asking
        await session.aclose()
        await asyncio.to_thread(writer.close)
    recording = await asyncio.to_thread(Recording.open, tmp_path / "r")
    marks = {mark.name: mark for mark in await asyncio.to_thread(lambda: list(recording.marks()))}
    assert marks["rendered"].details["samples"] == 4800
    assert marks["rendered"].details["at"] == msgspec.to_builtins(at)
    assert (marks["interrupted"].details["heard_ms"], marks["interrupted"].details["reason"]) == (250, "button")
    heard = await asyncio.to_thread(lambda: recording.assistant_audio.samples)
    assert np.count_nonzero(heard) == 6000
    assert np.flatnonzero(heard)[0] == (530 - 200) * 24
    (turn,) = await asyncio.to_thread(recording.turns)
    assert (turn.interrupted, turn.heard_ms, turn.status) == ("button", 250, "cancelled")


async def test_tool_runs_and_true_ends_of_speech_come_back(tmp_path: Path) -> None:
    server = ScriptedServer(
        lambda response: Reply(tool_call=("add", "{}")) if response_count() == 1 else Reply(text="three")
    )

    def response_count() -> int:
        return server.received.count("response.create")

    clip = AudioClip(tone(400).samples, speech_start_ms=0, speech_end_ms=300)
    async with talking(server, turn_detection="push_to_talk") as session:
        writer = await asyncio.to_thread(session.record, tmp_path / "r")

        @session.tool
        def add() -> int:
            """Add."""
            return 3

        live = await session.ask(clip)
        await session.aclose()
        await asyncio.to_thread(writer.close)
    recording = await asyncio.to_thread(Recording.open, tmp_path / "r")
    asked, answered = await asyncio.to_thread(recording.turns)
    assert [(result.name, result.output, result.status) for result in asked.tool_results] == [("add", "3", "completed")]
    assert answered.marks.speech_end_ms == pytest.approx(live.marks.speech_end_ms, abs=0.01)
    timeline = await asyncio.to_thread(lambda: answered.timeline)
    assert timeline.ends_at == "first_audible"
    assert timeline.voice_to_voice_ms is not None
    assert timeline.stage_ms("tool") is not None
    assert sum(s.duration_ms for s in timeline.stages) + timeline.unattributed_ms == pytest.approx(
        timeline.voice_to_voice_ms
    )


async def test_a_tools_answer_knows_its_question_when_another_turn_came_between(tmp_path: Path) -> None:
    arrived = asyncio.Event()
    replies = iter([Reply(tool_call=("look_up", "{}")), Reply(text="hello"), Reply(text="it is on its way")])
    async with talking(ScriptedServer(lambda response: next(replies)), turn_detection="push_to_talk") as session:
        writer = await asyncio.to_thread(session.record, tmp_path / "r")

        async def look_up() -> str:
            """Look an order up."""
            await arrived.wait()
            return "on its way"

        await asyncio.to_thread(session.tool, look_up)
        await until(lambda: session.config.tools)
        asking = asyncio.create_task(session.ask(AudioClip(tone(400).samples, speech_start_ms=0, speech_end_ms=300)))
        await until(lambda: session.history and session.tool_calls)
        await session.ask("and hello")
        arrived.set()
        await asking
        await session.aclose()
        await asyncio.to_thread(writer.close)
        live = session.history
    read = await asyncio.to_thread(lambda: Recording.open(tmp_path / "r").turns())
    for asked, between, answered in (live, read):
        assert (asked.cause, between.cause, answered.cause) == (None, None, asked)
        timeline = await asyncio.to_thread(lambda turn=answered: turn.timeline)
        assert timeline.voice_to_voice_ms is not None
        assert timeline.stage_ms("tool") is not None


async def test_a_recorded_session_that_is_dropped_closes_and_its_recording_is_complete(tmp_path: Path) -> None:
    server = ScriptedServer()
    async with server.running():
        session = await open_session(HERE, settings=session_settings(), open_transport=server.open)
        writer = await asyncio.to_thread(session.record, tmp_path / "r")
        await session.ask("hello")
        del session
        gc.collect()
        await asyncio.to_thread(writer.thread.join, 20)
    recording = await asyncio.to_thread(Recording.open, tmp_path / "r")
    assert (recording.notes, recording.manifest.ended) == ([], "The session was closed.")


def test_a_session_whose_loop_is_gone_can_still_be_recorded(tmp_path: Path) -> None:
    async def talk() -> Session:
        async with talking(ScriptedServer()) as session:
            await session.ask("hello")
        return session

    session = asyncio.run(talk())
    session.record(tmp_path / "r").close()
    assert [turn.user_transcript for turn in Recording.open(tmp_path / "r").turns()] == ["hello"]
