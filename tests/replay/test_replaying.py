"""A recording as a session and as a server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from realtime_nb.errors import ConfigurationError
from realtime_nb.replay.pace import Pace
from realtime_nb.replay.reader import Recording
from realtime_nb.replay.replaying import talk_again, watch_again
from realtime_nb.replay.server import ReplayServer
from realtime_nb.session.endpoint import Endpoint
from realtime_nb.session.opening import open_session
from realtime_nb.session.reconnect import NEVER
from realtime_nb.session.settings import session_settings
from realtime_nb.testing.recordings import make_recording
from realtime_nb.testing.scripted_server import Reply, ScriptedServer
from tests.session.test_session import talking, tone

pytestmark = pytest.mark.anyio


async def typed(path: Path) -> Recording:
    """Two typed turns."""
    replies = iter(["one two three", "four five"])
    async with talking(ScriptedServer(lambda response: Reply(text=next(replies)))) as session:
        writer = await asyncio.to_thread(session.record, path)
        await session.ask("count")
        await session.ask("go on")
        await session.aclose()
        await asyncio.to_thread(writer.close)
    return await asyncio.to_thread(Recording.open, path)


@pytest.fixture
def spoken(tmp_path: Path) -> Recording:
    """Two spoken turns, 24 s."""
    return Recording.open(
        make_recording(tmp_path / "spoken", turns=2, answer="it is on its way", question="where is it")
    )


def told(session: object) -> list[tuple[str, str, str]]:
    return [(turn.status, turn.user_transcript, turn.transcript) for turn in session.history]  # type: ignore[attr-defined]


async def test_watched_again_it_tells_the_same_turns(spoken: Recording) -> None:
    session = await watch_again(spoken, Pace("fast"))
    turns = [turn async for turn in session.turns()]
    assert session.state == "closed"
    recorded = await asyncio.to_thread(spoken.turns)
    assert [(t.user_transcript, t.transcript) for t in turns] == [(t.user_transcript, t.transcript) for t in recorded]
    assert [turn.audio.samples.tobytes() for turn in turns] == [
        await asyncio.to_thread(lambda turn=turn: turn.audio.samples.tobytes()) for turn in recorded
    ]
    assert turns[0].user_audio is not None
    sequence = [(event.direction, event.event_type) for event in session.events]
    lines = await asyncio.to_thread(lambda: [(line.direction, (line.event or {})["type"]) for line in spoken.events()])
    assert sequence == lines
    assert session.endpoint == "the recording spoken"


async def test_watched_at_a_speed_it_takes_its_time(tmp_path: Path) -> None:
    recording = await asyncio.to_thread(
        Recording.open, await asyncio.to_thread(make_recording, tmp_path / "r", turns=1)
    )
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    session = await watch_again(recording, Pace(60.0))
    assert [turn.status async for turn in session.turns()] == ["completed"]
    assert loop.time() - began_s >= 6.2 / 60  # the response was done 6.2 s into the recording


async def test_stepped_it_waits_for_each_step(spoken: Recording) -> None:
    pace = Pace("step")
    session = await watch_again(spoken, pace)
    assert len(session.events) == 1
    for n in range(2, 30):
        pace.step()
        async with asyncio.timeout(30):
            while len(session.events) < n:
                await asyncio.sleep(0.001)
        await asyncio.sleep(0.002)
        assert len(session.events) == n
    await session.aclose()


async def test_an_interruption_is_seen_again(tmp_path: Path) -> None:
    server = ScriptedServer(Reply(text="one two three four", stop_after_words=3))
    async with talking(server) as session:
        writer = await asyncio.to_thread(session.record, tmp_path / "r")
        asking = asyncio.create_task(session.ask("count"))
        async with asyncio.timeout(30):
            while not session.regions:
                await asyncio.sleep(0.005)
        await session.interrupt()
        await asking
        await session.aclose()
        await asyncio.to_thread(writer.close)
    recording = await asyncio.to_thread(Recording.open, tmp_path / "r")
    replayed = await watch_again(recording, Pace("fast"))
    (turn,) = [turn async for turn in replayed.turns()]
    assert turn.status == "cancelled"


async def test_you_can_talk_to_the_recorded_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realtime_nb.replay.responder.PATIENCE_S", 0.05)  # it was sent settings, this one sends none
    recording = await typed(tmp_path / "r")
    session = await talk_again(recording, Pace("fast"))
    for asked, answered in (("something else", "one two three"), ("and more", "four five")):
        turn = await session.ask(asked)
        assert (turn.status, turn.transcript) == ("completed", answered)
    await session.aclose()


async def test_any_client_can_talk_to_it_over_the_network(tmp_path: Path) -> None:
    server = await ReplayServer.start(await typed(tmp_path / "r"), speed="fast")
    try:
        for _ in range(2):  # every client gets it from the beginning
            endpoint = Endpoint(choice="url", base_url=server.url, model="any", api_key="any")
            session = await open_session(endpoint, settings=session_settings(), reconnect=NEVER)
            assert (await session.ask("hello")).transcript == "one two three"
            assert (await session.ask("hello")).transcript == "four five"
            await session.aclose()
    finally:
        await server.aclose()


async def test_the_official_sdk_can_talk_to_it(tmp_path: Path) -> None:
    from openai import AsyncOpenAI

    server = await ReplayServer.start(await typed(tmp_path / "r"), speed="fast")
    client = AsyncOpenAI(api_key="any", base_url=server.url)
    said = ""
    try:
        async with client.realtime.connect(model="any") as connection:
            await connection.session.update(session={"type": "realtime"})
            content = [{"type": "input_text", "text": "hi"}]
            item = {"type": "message", "role": "user", "id": "item_of_mine", "content": content}
            await connection.conversation.item.create(item=item)  # type: ignore[arg-type]
            await connection.response.create()
            added = []
            async for event in connection:
                if event.type == "response.output_audio_transcript.delta":
                    said += event.delta
                elif event.type == "conversation.item.added":
                    added.append(event.item.id)
                elif event.type == "response.done":
                    break
    finally:
        await client.close()
        await server.aclose()
    assert said == "one two three"
    assert added[0] == "item_of_mine"


async def test_speech_is_answered_when_it_is_spoken(spoken: Recording) -> None:
    """The recorded microphone was open for long; another client speaks sooner, and less."""
    session = await talk_again(spoken, Pace("fast"))
    clip = tone(3500)
    turn = await session.ask(clip, pace="fast")
    assert (turn.user_transcript, turn.transcript.strip()) == ("where is it", "it is on its way")
    await session.aclose()


async def test_a_taken_port_and_a_speed_that_is_none_are_said(spoken: Recording) -> None:
    server = await ReplayServer.start(spoken)
    with pytest.raises(ConfigurationError, match="cannot be listened on"):
        await ReplayServer.start(spoken, port=int(server.url.split(":")[2].split("/")[0]))
    await server.aclose()
    await server.aclose()
    with pytest.raises(ConfigurationError, match="is no speed"):
        Pace("quick")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="is none"):
        Pace(0.0)


def test_it_works_from_a_plain_cell(spoken: Recording) -> None:
    replaying = spoken.replay(speed="fast")
    session = replaying.wait()
    turns = asyncio.run(_turns(session))
    assert [turn for _, _, turn in turns] == [" it is on its way"] * 2


async def _turns(session: object) -> list[tuple[str, str, str]]:
    async for _ in session.turns():  # type: ignore[attr-defined]
        pass
    return told(session)
