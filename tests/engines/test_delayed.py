from __future__ import annotations

import asyncio
import random

import numpy as np
import pytest

from realtime_nb.engines import registry, scripted
from realtime_nb.engines.base import ChatMessage, ChatRequest, EngineSet
from realtime_nb.engines.delayed import PROFILES, Delay, DelayProfile, delayed, simulated_in
from realtime_nb.errors import ConfigurationError
from realtime_nb.testing.virtual_clock import VirtualClockLoop

ASKED = ChatRequest(messages=(ChatMessage(role="user", text="hello there"),))
FIXED = DelayProfile(
    name="fixed", transcription=Delay(200), first_text=Delay(300), first_audio=Delay(100), source="a test"
)


async def stage_times(engines: EngineSet) -> dict[str, float]:
    """Go through the three stages once and return what each took, in ms."""
    loop = asyncio.get_running_loop()
    taken: dict[str, float] = {}
    stream = await engines.transcriber.open()
    stream.feed(np.full(1600, 500, np.int16))
    began = loop.time()
    heard = await stream.hypothesis()
    taken["transcription"] = (loop.time() - began) * 1000
    assert await stream.finish() == heard
    taken["asked again"] = (loop.time() - began) * 1000 - taken["transcription"]
    began, text = loop.time(), ""
    async for delta in engines.chat.reply(ASKED):
        taken.setdefault("first_text", (loop.time() - began) * 1000)
        text += getattr(delta, "text", "")
    taken["text"] = (loop.time() - began) * 1000
    began = loop.time()
    async for _ in engines.synthesizer.speak(text):
        taken.setdefault("first_audio", (loop.time() - began) * 1000)
    taken["audio"] = (loop.time() - began) * 1000
    return taken


def virtually(engines: EngineSet) -> dict[str, float]:
    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        return runner.run(stage_times(engines))


def test_every_stage_takes_what_its_profile_says() -> None:
    taken = virtually(delayed(scripted.create(), FIXED))
    assert taken == pytest.approx(
        {"transcription": 200, "asked again": 0, "first_text": 300, "text": 300, "first_audio": 100, "audio": 100},
        abs=1,
    )


def test_an_engine_that_is_slower_keeps_its_own_time() -> None:
    own = scripted.ScriptedDelays(hypothesis_ms=500, first_token_ms=50, first_audio_ms=400)
    taken = virtually(delayed(scripted.create(delays=own), FIXED))
    assert (taken["transcription"], taken["first_text"], taken["first_audio"]) == pytest.approx((500, 300, 400), abs=1)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_draws_have_the_published_median_and_p95(profile: DelayProfile) -> None:
    for delay in (profile.transcription, profile.first_text, profile.first_audio):
        chance = random.Random(1)
        drawn = [delay.draw(chance) for _ in range(4000)]
        assert np.median(drawn) == pytest.approx(delay.median_ms, rel=0.03)
        assert np.percentile(drawn, 95) == pytest.approx(delay.p95_ms or delay.median_ms, rel=0.04)
    assert profile.source


def test_the_seed_decides_the_delays() -> None:
    profile = PROFILES["hosted-typical"]
    one, again, other = (virtually(delayed(scripted.create(), profile, seed=seed)) for seed in (1, 1, 2))
    assert one == again
    assert one != other


def test_profiles_are_asked_for_behind_the_engines_name_and_said_to_be_simulated() -> None:
    engines = registry.create("scripted+hosted-fast", seed=3)
    assert engines.name == "scripted"
    assert simulated_in(engines.label) == ("stage delays: hosted-fast (simulated)",)
    assert simulated_in(registry.create("scripted").label) == ()
    with pytest.raises(ConfigurationError, match=r"'quick'.*hosted-fast, hosted-typical"):
        registry.create("scripted+quick")


def test_what_else_an_engine_has_is_there() -> None:
    engines = delayed(scripted.create(), FIXED)
    assert engines.chat.capabilities.name == scripted.create().chat.capabilities.name
    assert engines.chat.requests == []  # type: ignore[attr-defined]
