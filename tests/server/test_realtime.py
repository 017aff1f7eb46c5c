from __future__ import annotations

import asyncio
import base64
import json

import pytest
from websockets.exceptions import ConnectionClosed

from realtime_nb.engines import scripted
from realtime_nb.engines.scripted import ScriptedDelays
from realtime_nb.server import app
from realtime_nb.server.limits import Limits
from tests.server.talking import PATIENCE_S, connected, serving, silence, tone

pytestmark = pytest.mark.anyio


async def test_bad_frames_are_answered_and_the_session_goes_on() -> None:
    async with serving() as server, connected(server) as client:
        await client.socket.send(b"\x00\x01")
        assert (await client.until("error"))["error"]["code"] == "invalid_event"
        await client.socket.send("{nonsense")
        assert (await client.until("error"))["error"]["code"] == "invalid_json"
        await client.send("response.sing", event_id="mine")
        error = (await client.until("error"))["error"]
        assert (error["code"], error["param"]) == ("invalid_value", "type")
        await client.say("hello")
        await client.until("conversation.item.done")


async def test_a_refused_update_changes_nothing() -> None:
    async with serving() as server, connected(server) as client:
        before = (await client.until("session.created"))["session"]
        bad = {"type": "realtime", "instructions": "Changed.", "audio": {"output": {"speed": 99}}}
        await client.send("session.update", session=bad, event_id="update_1")
        error = (await client.until("error"))["error"]
        assert error["event_id"] == "update_1"
        assert error["param"] == "session.audio.output.speed"
        assert await client.update() == before


async def test_a_session_ends_at_its_maximum_duration() -> None:
    over = asyncio.Event()

    async def sleep(seconds: float) -> None:
        assert seconds == 3600
        await over.wait()

    async with serving(sleep=sleep) as server, connected(server) as client:
        await client.until("session.created")
        over.set()
        assert (await client.until("error"))["error"]["code"] == "session_expired"
        with pytest.raises(ConnectionClosed) as closed:
            await client.socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1001
        assert closed.value.rcvd.reason == "Your session hit the maximum duration of 60 minutes."


@pytest.mark.parametrize("pace", [0.0, 1.0])
async def test_a_response_in_progress_ends_before_the_session_does(pace: float) -> None:
    over = asyncio.Event()

    async def sleep(seconds: float) -> None:
        await over.wait()

    speech = scripted.create(delays=ScriptedDelays(pace=pace))
    async with serving(speech, sleep=sleep) as server, connected(server) as client:
        await client.say("word " * 200)
        await client.send("response.create")
        await client.until("response.output_audio.delta")
        over.set()
        with pytest.raises(ConnectionClosed):
            while True:
                await client.receive()
        assert client.events[-1]["error"]["code"] == "session_expired"
        (done,) = client.of("response.done")
        assert len(client.of("response.output_item.done")) == 1
        if pace:
            error = done["response"]["status_details"]["error"]
            assert (done["response"]["status"], error["code"]) == ("failed", "session_expired")


async def test_a_client_that_does_not_read_is_cut_off() -> None:
    limits = Limits(unsent_bytes=200_000, close_wait_s=0.2)
    async with serving(limits=limits) as server, connected(server, max_queue=1, close_timeout=0.1) as client:
        await client.until("session.created")
        client.socket.transport.pause_reading()
        patch = {"type": "session.update", "session": {"type": "realtime", "instructions": "long " * 20_000}}
        with pytest.raises(ConnectionClosed):
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    await client.socket.send(json.dumps(patch))
        async with asyncio.timeout(PATIENCE_S):
            while server._connections:
                await asyncio.sleep(0)


async def test_a_client_that_answers_no_ping_is_cut_off_whatever_is_unsent(monkeypatch: pytest.MonkeyPatch) -> None:
    protocols: list[app._WebSocketProtocol] = []

    class Noted(app._WebSocketProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            protocols.append(self)

    monkeypatch.setattr(app, "_WebSocketProtocol", Noted)
    more_than_any_buffer = base64.b64encode(bytes(12_000_000)).decode()
    part = {"type": "input_audio", "audio": more_than_any_buffer}
    item = {"type": "message", "role": "user", "id": "long", "content": [part]}
    async with serving() as server, connected(server) as client, asyncio.timeout(PATIENCE_S):
        await client.send("conversation.item.create", item=item)
        await client.until("conversation.item.done")
        client.socket.transport.pause_reading()
        await client.send("conversation.item.retrieve", item_id="long")
        while protocols[0].writable.is_set():
            await asyncio.sleep(0)
        protocols[0].keepalive_timeout()
        while server._connections:
            await asyncio.sleep(0)
        client.socket.transport.abort()


async def test_a_reply_waits_for_a_slow_reader_instead_of_piling_up() -> None:
    long = "word " * 400
    limits = Limits(reply_ahead_bytes=50_000, unsent_bytes=400_000)
    async with serving(limits=limits) as server, connected(server) as client:
        await client.until("session.created")
        await client.say(long)
        await client.send("response.create")
        done = await client.until("response.done")
        assert done["response"]["status"] == "completed"
        assert len(client.audio()) > 2_000_000


async def test_fifteen_mebibytes_fit_into_one_append() -> None:
    async with serving() as server, connected(server) as client:
        await client.update(audio={"input": {"turn_detection": None}})
        audio = base64.b64encode(bytes(15 * 1024 * 1024)).decode()
        await client.send("input_audio_buffer.append", audio=audio)
        await client.send("input_audio_buffer.clear")
        await client.until("input_audio_buffer.cleared")
        assert client.of("error") == []


async def test_too_much_audio_in_one_append_is_refused_and_the_session_goes_on() -> None:
    async with serving() as server, connected(server) as client:
        audio = base64.b64encode(bytes(15 * 1024 * 1024 + 2)).decode()
        await client.send("input_audio_buffer.append", audio=audio)
        assert (await client.until("error"))["error"]["code"] == "string_above_max_length"
        await client.update()


async def test_two_sessions_do_not_mix() -> None:
    engines = scripted.create(replies=[("one", "First."), ("two", "Second.")])
    async with serving(engines) as server, connected(server) as first, connected(server) as second:
        for client, text in ((first, "one"), (second, "two")):
            await client.say(text)
            await client.send("response.create", response={"output_modalities": ["text"]})
        for client, answer in ((first, "First."), (second, "Second.")):
            assert (await client.until("response.output_text.done"))["text"] == answer


async def test_a_long_recording_at_once_does_not_stop_the_other_sessions() -> None:
    async with serving() as server, connected(server) as busy, connected(server) as other:
        await other.until("session.created")
        pcm16 = b"".join(piece.tobytes() for piece in [tone(20_000), silence(20_000)] * 3)
        await busy.send("input_audio_buffer.append", audio=base64.b64encode(pcm16).decode())
        await busy.until("input_audio_buffer.speech_started")
        await other.say("hello")
        await other.until("conversation.item.done")
        await busy.until("input_audio_buffer.speech_stopped", 3)
