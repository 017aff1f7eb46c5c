"""A silence ends the turn sooner after a finished sentence than after an open one. In audio time, not wall time."""

from __future__ import annotations

import pytest

from realtime_nb.audio import bundled
from realtime_nb.engines import scripted
from realtime_nb.server.app import EmbeddedServer
from realtime_nb.session.endpoint import Endpoint
from realtime_nb.session.opening import open_session
from realtime_nb.session.settings import session_settings

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
    done = await hold_after("tell me a joke please", {"type": "semantic_vad", "eagerness": "high"})
    going_on = await hold_after("i would like to", {"type": "semantic_vad", "eagerness": "high"})
    assert done < 700
    assert going_on > done + 400
    assert going_on < 2200


async def test_low_eagerness_waits_longer() -> None:
    eager = await hold_after("tell me a joke", {"type": "semantic_vad", "eagerness": "high"})
    patient = await hold_after("tell me a joke", {"type": "semantic_vad", "eagerness": "low"})
    assert patient > eager + 300
