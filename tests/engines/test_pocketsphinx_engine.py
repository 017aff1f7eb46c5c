"""The offline recogniser with its real child, on flite's speech."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator

import numpy as np
import pytest

from realtime_nb.engines import pocketsphinx_engine
from realtime_nb.engines.base import Pcm16
from realtime_nb.engines.pocketsphinx_engine import PocketsphinxStream, PocketsphinxTranscriber
from realtime_nb.errors import EngineCrashed, EngineUnavailable
from tests.engines.speech_clips import pink_noise, silence, speech

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

IN_DOMAIN = [
    "what is the weather like in london tomorrow",
    "where is my order number four two one seven",
    "how many calories did i eat today",
    "tell me a joke",
    "can i speak to a human please",
]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def transcriber(anyio_backend: str) -> AsyncIterator[PocketsphinxTranscriber]:
    transcriber = pocketsphinx_engine.create()
    await transcriber.start()
    yield transcriber
    await transcriber.aclose()


def feed(stream: PocketsphinxStream, samples: Pcm16) -> None:
    for start in range(0, len(samples), 320):
        stream.feed(samples[start : start + 320])


def room(text: str, voice: str = "slt") -> Pcm16:
    return np.concatenate([silence(300), speech(text, voice), silence(160)])


@pytest.mark.parametrize("text", IN_DOMAIN)
async def test_sentences_of_the_domains_are_heard_word_by_word(transcriber: PocketsphinxTranscriber, text: str) -> None:
    stream = await transcriber.open()
    feed(stream, room(text))
    transcript = await stream.finish()
    assert transcript.text == text
    assert transcript.in_domain is True
    assert transcript.confidence > 0.5


async def test_word_times_lie_in_the_speech_and_in_order(transcriber: PocketsphinxTranscriber) -> None:
    stream = await transcriber.open()
    samples = room(IN_DOMAIN[0])
    feed(stream, samples)
    words = (await stream.finish()).words
    assert [word.word for word in words] == IN_DOMAIN[0].split()
    assert all(word.start_ms < word.end_ms for word in words)
    assert [word.start_ms for word in words] == sorted(word.start_ms for word in words)
    assert 200 <= words[0].start_ms <= 400
    assert words[-1].end_ms <= len(samples) / 16


async def test_partials_come_while_the_user_speaks_and_lead_to_the_text(transcriber: PocketsphinxTranscriber) -> None:
    partials: list[str] = []
    first = asyncio.Event()

    def hear(text: str) -> None:
        partials.append(text)
        first.set()

    stream = await transcriber.open(on_partial=hear)
    samples = room(IN_DOMAIN[1])
    feed(stream, samples[: len(samples) // 2])
    await first.wait()
    assert partials[0]
    feed(stream, samples[len(samples) // 2 :])
    final = await stream.finish()
    assert partials[-1] == final.text
    assert len(set(partials)) == len([p for n, p in enumerate(partials) if n == 0 or p != partials[n - 1]])
    assert len(partials) >= 2


async def test_other_english_is_taken_from_the_general_model(transcriber: PocketsphinxTranscriber) -> None:
    stream = await transcriber.open()
    feed(stream, room("the committee published its annual report on renewable energy"))
    transcript = await stream.finish()
    assert transcript.in_domain is False
    assert {"committee", "annual", "report", "energy"} <= set(transcript.text.split())


async def test_a_turn_goes_on_after_a_hypothesis_as_if_it_had_not_been_asked(
    transcriber: PocketsphinxTranscriber,
) -> None:
    stream = await transcriber.open()
    feed(stream, np.concatenate([silence(300), speech("where is my order number"), silence(200)]))
    early = await stream.hypothesis()
    assert early.text == "where is my order number"
    feed(stream, np.concatenate([silence(100), speech("four two one seven"), silence(200)]))
    assert (await stream.finish()).text == "where is my order number four two one seven"


async def test_silence_after_a_hypothesis_does_not_undo_it_and_finish_needs_no_child(
    transcriber: PocketsphinxTranscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = await transcriber.open()
    feed(stream, room(IN_DOMAIN[3]))
    hypothesis = await stream.hypothesis()
    feed(stream, silence(340))

    async def refuse(method: str, payload: object) -> None:
        raise AssertionError("the child was asked again")

    monkeypatch.setattr(transcriber.worker, "request", refuse)
    assert await stream.finish() is hypothesis


async def test_an_answer_overtaken_by_more_speech_is_not_kept(transcriber: PocketsphinxTranscriber) -> None:
    stream = await transcriber.open()
    feed(stream, np.concatenate([silence(300), speech("where is my order number"), silence(200)]))
    asked = asyncio.create_task(stream.hypothesis())
    await asyncio.sleep(0)
    feed(stream, np.concatenate([speech("four two one seven"), silence(200)]))
    assert (await asked).text == "where is my order number"
    assert (await stream.finish()).text.endswith("four two one seven")


@pytest.mark.parametrize("dbfs", [-45, -30, -20])
async def test_noise_is_not_believed(transcriber: PocketsphinxTranscriber, dbfs: int) -> None:
    stream = await transcriber.open()
    feed(stream, pink_noise(2000, dbfs))
    assert (await stream.finish()).confidence < 0.3


@pytest.mark.parametrize("voice", ["slt", "rms"])
async def test_speech_played_backwards_is_not_believed(transcriber: PocketsphinxTranscriber, voice: str) -> None:
    stream = await transcriber.open()
    feed(stream, room(IN_DOMAIN[0], voice)[::-1].copy())
    assert (await stream.finish()).confidence < 0.3


async def test_nothing_fed_is_nothing_heard(transcriber: PocketsphinxTranscriber) -> None:
    stream = await transcriber.open()
    transcript = await stream.finish()
    assert (transcript.text, transcript.confidence) == ("", 0.0)


async def test_a_session_brings_its_own_words(transcriber: PocketsphinxTranscriber) -> None:
    stream = await transcriber.open(vocabulary=["Ask for the zorbulon valve.", "calibrate_valve"])
    feed(stream, room("calibrate the valve"))
    transcript = await stream.finish()
    assert transcript.text.split()[0] == "calibrate"
    assert transcript.text.split()[-1] == "valve"


async def test_several_people_at_once_are_kept_apart(transcriber: PocketsphinxTranscriber) -> None:
    async def say(text: str, voice: str) -> str:
        stream = await transcriber.open()
        samples = room(text, voice)
        for start in range(0, len(samples), 1600):
            stream.feed(samples[start : start + 1600])
            await asyncio.sleep(0)
        return (await stream.finish()).text

    assert await asyncio.gather(*(say(text, "slt") for text in IN_DOMAIN[:4])) == IN_DOMAIN[:4]


async def test_more_streams_than_allowed_wait_for_one_to_end(transcriber: PocketsphinxTranscriber) -> None:
    streams = [await transcriber.open() for _ in range(pocketsphinx_engine.MAX_STREAMS)]
    waiting = asyncio.create_task(transcriber.open())
    await asyncio.sleep(0)
    assert not waiting.done()
    await streams[0].aclose()
    await streams[0].aclose()
    streams.append(await waiting)
    for stream in streams:
        await stream.aclose()


async def test_a_child_killed_in_the_middle_fails_the_turn_and_the_next_one_works(
    transcriber: PocketsphinxTranscriber,
) -> None:
    stream = await transcriber.open()
    samples = room(IN_DOMAIN[0])
    feed(stream, samples[:16_000])
    assert transcriber.worker.pid is not None
    os.kill(transcriber.worker.pid, 9)
    with pytest.raises(EngineCrashed) as caught:
        await stream.finish()
    assert caught.value.what_now
    again = await transcriber.open()
    feed(again, samples)
    assert (await again.finish()).text == IN_DOMAIN[0]
    with pytest.raises(EngineCrashed):
        await stream.hypothesis()


async def test_a_stream_of_an_earlier_child_does_not_talk_to_the_new_one(
    transcriber: PocketsphinxTranscriber,
) -> None:
    old = await transcriber.open()
    assert transcriber.worker.pid is not None
    os.kill(transcriber.worker.pid, 9)
    with pytest.raises(EngineCrashed):
        await transcriber.worker.request("memory_mb")
    new = await transcriber.open()
    feed(old, room(IN_DOMAIN[3]))
    with pytest.raises(EngineCrashed):
        await old.finish()
    assert (await new.finish()).text == ""


async def test_a_very_long_turn_keeps_its_memory_bounded(transcriber: PocketsphinxTranscriber) -> None:
    stream = await transcriber.open()
    sentence = room(IN_DOMAIN[3])
    for _ in range(12):
        feed(stream, sentence)
    assert (await stream.hypothesis()).text.startswith("tell me")
    feed(stream, sentence)
    assert (await stream.finish()).text.split().count("joke") >= 9


async def test_without_the_package_create_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pocketsphinx_engine.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EngineUnavailable) as caught:
        pocketsphinx_engine.create()
    assert "embedded" in caught.value.what_now
    monkeypatch.setattr(sys, "version_info", (3, 14, 0))
    with pytest.raises(EngineUnavailable) as caught:
        pocketsphinx_engine.create()
    assert "3.14" in caught.value.what_now
