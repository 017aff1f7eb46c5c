"""A silence ends the turn sooner after a finished sentence than after an open one. In audio time, not wall time."""

from __future__ import annotations

import asyncio

import pytest

from realtime_nb.audio import bundled
from realtime_nb.engines import scripted
from realtime_nb.server.app import EmbeddedServer
from realtime_nb.session.endpoint import Endpoint
from realtime_nb.session.opening import open_session
from realtime_nb.session.settings import session_settings
from tests.server.talking import Client, connected, serving, silence, tone

pytestmark = pytest.mark.anyio

CLIP = bundled.clip("joke")


async def hold_after(words: str, detection: object) -> float:
    """How much silence the server waited for after a clip that its recogniser hears as `words`."""
    server = await EmbeddedServer.start(scripted.create(texts=[words]))
    endpoint = Endpoint(choice="url", base_url=server.url, model="m", api_key=server.token)
    session = await open_session(endpoint, settings=session_settings(turn_detection=detection))  # type: ignore[arg-type]
    try:
        await session.ask(CLIP)
        stopped = next(e.event for e in session.events if e.event_type == "input_audio_buffer.speech_stopped")
        assert CLIP.speech_end_ms is not None
        return float(stopped["audio_end_ms"]) - CLIP.speech_end_ms
    finally:
        await session.aclose()
        await server.aclose()


async def test_finished_words_end_the_turn_sooner_than_open_ones() -> None:
    done, going_on = await asyncio.gather(
        hold_after("tell me a joke please", {"type": "semantic_vad", "eagerness": "high"}),
        hold_after("i would like to", {"type": "semantic_vad", "eagerness": "high"}),
    )
    assert done < 700
    assert going_on > done + 400
    assert going_on < 2200


async def test_low_eagerness_waits_longer() -> None:
    eager, patient = await asyncio.gather(
        hold_after("tell me a joke", {"type": "semantic_vad", "eagerness": "high"}),
        hold_after("tell me a joke", {"type": "semantic_vad", "eagerness": "low"}),
    )
    assert patient > eager + 300


EAGER = {"type": "semantic_vad", "eagerness": "high"}


class Timer:
    """Waits of less than a minute last until `ring` is called."""

    def __init__(self) -> None:
        self.asked_s: list[float] = []
        self.asked = asyncio.Event()
        self._rung = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        if seconds > 60:
            await asyncio.sleep(seconds)
        self.asked_s.append(seconds)
        self.asked.set()
        await self._rung.wait()

    def ring(self) -> None:
        self._rung.set()


async def muted(client: Client, timer: Timer) -> None:
    """Say something, and then send nothing, not even silence."""
    await client.update(audio={"input": {"turn_detection": EAGER}})
    await client.hear(tone(800), silence(250))
    await client.until("input_audio_buffer.speech_started")
    async with asyncio.timeout(20):
        await timer.asked.wait()


@pytest.mark.parametrize(("words", "least_s", "most_s"), [("stop please", 0.4, 0.9), ("i would like to", 1.2, 2.4)])
async def test_when_no_more_audio_comes_the_hold_passes_by_the_clock(words: str, least_s: float, most_s: float) -> None:
    timer = Timer()
    async with serving(scripted.create(texts=[words]), sleep=timer.sleep) as server, connected(server) as client:
        await muted(client, timer)
        assert least_s < timer.asked_s[0] < most_s
        assert not client.of("input_audio_buffer.speech_stopped")
        timer.ring()
        await client.until("response.done")
        (stopped,) = client.of("input_audio_buffer.speech_stopped")
        assert stopped["audio_end_ms"] == 1050
        await client.hear(silence(300), tone(800), silence(2500))
        await client.until("input_audio_buffer.speech_stopped")
        assert len(client.of("input_audio_buffer.speech_started")) == 2


async def test_speech_that_goes_on_in_time_is_not_cut_off_by_the_clock() -> None:
    timer = Timer()
    async with serving(scripted.create(texts=["stop please"]), sleep=timer.sleep) as server:
        async with connected(server) as client:
            await muted(client, timer)
            await client.hear(tone(600))
            await client.update(instructions="The audio before this was heard.")
            timer.ring()
            await client.hear(silence(2500))
            stopped = await client.until("input_audio_buffer.speech_stopped")
            assert stopped["audio_end_ms"] > 1650
            await client.until("response.done")
            assert len(client.of("input_audio_buffer.speech_stopped")) == 1


@pytest.mark.parametrize("event", ["input_audio_buffer.commit", "input_audio_buffer.clear"])
async def test_a_turn_ended_by_hand_is_not_ended_again_by_the_clock(event: str) -> None:
    timer = Timer()
    async with serving(scripted.create(texts=["stop please"]), sleep=timer.sleep) as server:
        async with connected(server) as client:
            await muted(client, timer)
            await client.send(event)
            await client.until(event + ("ted" if event.endswith("commit") else "ed"))
            timer.ring()
            await client.update(instructions="The timer has had its turn.")
            assert not client.of("input_audio_buffer.speech_stopped")
