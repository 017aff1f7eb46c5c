"""A recording that another tool wrote, or that something went through: what can be read is read, and nothing breaks."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

from realtime_nb.recording.format import EVENTS, INDEX, MARKS
from realtime_nb.replay.card import card_html
from realtime_nb.replay.crosscheck import crosscheck
from realtime_nb.replay.diff import diff
from realtime_nb.replay.pace import Pace
from realtime_nb.replay.page_data import page_data
from realtime_nb.replay.reader import Recording
from realtime_nb.replay.replaying import watch_again
from realtime_nb.replay.script import Script
from realtime_nb.replay.tables import rows
from realtime_nb.testing.scripted_server import Reply, ScriptedServer
from tests.session.test_session import talking, until

pytestmark = pytest.mark.anyio

ODD = (None, True, 0, -1, 10**30, 1.5, "", "x", "\0", [], {}, [1], {"a": 1}, {"id": 5}, [None], "é" * 10)


def weather(place: str) -> str:
    """Tell the weather."""
    return "sun"


async def talked(path: Path) -> Recording:
    """A tool, its answer, and an interruption."""
    cut = Reply(text="a b c d", stop_after_words=2)
    replies = iter([Reply(tool_call=("weather", '{"place":"x"}')), Reply(text="sunny day"), cut])
    async with talking(ScriptedServer(lambda _: next(replies))) as session:
        await asyncio.to_thread(session.tool, weather)
        writer = await asyncio.to_thread(session.record, path)
        await session.ask("hi")
        asking = asyncio.create_task(session.ask("go"))
        await until(lambda: session._owner.turns.current and session._owner.turns.current.audio.duration_ms >= 400)
        await session.interrupt()
        await asking
        await session.aclose()
        await asyncio.to_thread(writer.close)
    return await asyncio.to_thread(Recording.open, path)


def use(recording: Recording) -> None:
    """Do everything with a recording that can be done with it."""
    for turn in recording.turns():
        assert turn.timeline is not None
        assert turn._repr_mimebundle_()
    assert page_data(recording)["duration_ms"] >= 0
    assert card_html(recording)
    assert str(diff(recording, recording))
    crosscheck(recording)
    rows(recording)
    Script(recording)
    recording.to_spans(TracerProvider(), content=True)


def mutated(value: Any, chance: random.Random, rate: float) -> Any:
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if chance.random() > rate / 3}
        return {
            key: chance.choice(ODD) if chance.random() < rate else mutated(item, chance, rate)
            for key, item in kept.items()
        }
    return [mutated(item, chance, rate) for item in value] if isinstance(value, list) else value


def mutate(path: Path, chance: random.Random) -> None:
    for name in (EVENTS, MARKS):
        lines = (path / name).read_text().splitlines()
        for number in chance.sample(range(len(lines)), len(lines) // 4):
            line = json.dumps(mutated(json.loads(lines[number]), chance, 0.03), separators=(",", ":"))
            lines[number] = chance.choice([line, line, line, line[: chance.randrange(len(line))]])
        (path / name).write_text("\n".join(lines) + "\n")
    (path / INDEX).unlink(missing_ok=True)


async def test_odd_events_and_marks_break_nothing(tmp_path: Path) -> None:
    source = (await talked(tmp_path / "0")).path
    files = await asyncio.to_thread(lambda: {file.name: file.read_bytes() for file in source.iterdir()})

    def made(number: int) -> Recording:
        folder = tmp_path / str(number)
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
        mutate(folder, random.Random(number))
        recording = Recording.open(folder)
        use(recording)
        return recording

    for number in range(1, 13):
        recording = await asyncio.to_thread(made, number)
        session = await watch_again(recording, Pace("fast"))
        await until(lambda: session.state in ("closed", "failed"))  # noqa: B023


async def test_what_no_server_should_say_breaks_nothing(tmp_path: Path) -> None:
    path = (await talked(tmp_path / "r")).path

    def change() -> Recording:
        text = (path / EVENTS).read_text()
        text = text.replace('"type":"response.output_item.done"', '"item":[1],"type":"response.output_item.done"')
        lines = text.splitlines()
        lines[0] = lines[0].replace('"session":{', '"nothing":{')
        lines[5] = lines[5].replace('"time_ns":', '"time_ns":99999999999')
        (path / EVENTS).write_text("\n".join(lines) + "\n")
        (path / INDEX).unlink()
        manifest = json.loads((path / "manifest.json").read_text()) | {"created": "yesterday", "session_began": "then"}
        (path / "manifest.json").write_text(json.dumps(manifest))
        recording = Recording.open(path)
        use(recording)
        return recording

    session = await watch_again(await asyncio.to_thread(change), Pace("fast"))
    await until(lambda: session.state == "closed")


async def test_lines_of_another_tool_are_counted_and_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / EVENTS).write_text('{"level": "info", "msg": "hello"}\n[1, 2]\nplain text\n\n')
    recording = await asyncio.to_thread(Recording.open, folder)
    assert await asyncio.to_thread(lambda: list(recording.events())) == []
    assert any("4 lines of events.jsonl could not be read" in note for note in recording.notes)
    assert await asyncio.to_thread(recording.turns) == []


@pytest.mark.parametrize("events", ["", '{"sequence":0,"time_ns":1,"direction":"sent","event":{"type":"x"}}\n'])
def test_a_recording_without_turns_shows_itself(tmp_path: Path, events: str) -> None:
    (tmp_path / EVENTS).write_text(events)
    recording = Recording.open(tmp_path)
    assert "There was no turn" in recording.to_html(tmp_path / "page.html").read_text()
    assert recording.to_pandas().empty
    assert recording.to_parquet(tmp_path / "t.parquet").exists()
    assert recording.to_spans(TracerProvider()) == 1
    assert repr(recording)
    assert recording._repr_html_()
    assert diff(recording, recording).same
    assert crosscheck(recording) == []
