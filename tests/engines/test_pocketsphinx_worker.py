"""The recogniser's child-side object, run in this process: what it does when the general decoder is late."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from realtime_nb.engines import pocketsphinx_worker
from realtime_nb.engines.base import Pcm16
from realtime_nb.engines.pocketsphinx_reading import Reading
from realtime_nb.engines.pocketsphinx_worker import Recogniser
from tests.engines.speech_clips import clatter, hum, noise, silence, speech

pytest.importorskip("pocketsphinx")

INSIDE = "where is my order number four two one seven"
OUTSIDE = "the committee published its annual report on renewable energy"


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    recogniser = Recogniser(lambda channel, value: None)
    recogniser.warm()
    return recogniser


def said(text: str) -> Pcm16:
    return np.concatenate([silence(300), speech(text), silence(160)])


def take(recogniser: Recogniser, samples: Pcm16, *, idle: bool) -> None:
    recogniser.open({"stream": 1, "vocabulary": []})
    for start in range(0, len(samples), 320):
        recogniser.feed({"stream": 1, "pcm16": samples[start : start + 320].tobytes()})
        while idle and recogniser.idle():
            pass


def forget(recogniser: Recogniser) -> None:
    recogniser.close_stream({"stream": 1})
    while recogniser.idle():
        pass


def hear(recogniser: Recogniser, samples: Pcm16, *, idle: bool) -> dict[str, Any]:
    take(recogniser, samples, idle=idle)
    answer = recogniser.hypothesis({"stream": 1})
    forget(recogniser)
    return answer


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pocketsphinx_worker, "GENERAL_WAIT_IN_DOUBT_S", 60.0)
    monkeypatch.setattr(pocketsphinx_worker, "GENERAL_WAIT_S", 60.0)


@pytest.mark.parametrize("slices", [0, 40])
@pytest.mark.parametrize(("text", "inside"), [(INSIDE, True), (OUTSIDE, False), ("okay", True)])
def test_however_far_the_general_decoder_is_the_answer_is_the_same(
    recogniser: Recogniser, patient: None, text: str, inside: bool, slices: int
) -> None:
    at_the_pace_of_speech = hear(recogniser, said(text), idle=True)
    take(recogniser, said(text), idle=False)
    for _ in range(slices):
        recogniser.idle()
    answer = recogniser.hypothesis({"stream": 1})
    forget(recogniser)
    assert answer == at_the_pace_of_speech
    assert answer["in_domain"] is inside
    assert answer["text"] == text or not inside


NOISES = {
    **{f"{colour} {dbfs} dB": noise(2000, dbfs, colour) for colour in ("white", "pink") for dbfs in (-40, -30, -20)},
    **{f"short {colour}": noise(700, -30, colour, seed=3) for colour in ("white", "pink", "brown")},
    **{f"hum {seed}": hum(1500, -25, seed) for seed in (0, 1)},
    **{f"clatter {seed}": clatter(2000, -20, seed) for seed in (0, 3)},
}


@pytest.mark.parametrize("name", NOISES)
def test_noise_is_not_believed_however_far_the_general_decoder_is(
    recogniser: Recogniser, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(pocketsphinx_worker, "GENERAL_WAIT_IN_DOUBT_S", 0.0)
    monkeypatch.setattr(pocketsphinx_worker, "GENERAL_WAIT_S", 0.0)
    take(recogniser, NOISES[name], idle=False)
    answers = [recogniser.hypothesis({"stream": 1})]
    while recogniser.idle():
        answers.append(recogniser.hypothesis({"stream": 1}))
    forget(recogniser)
    assert len(answers) > 10
    assert max(answer["confidence"] for answer in answers) < 0.3, max(answers, key=lambda answer: answer["confidence"])


def test_a_general_decoder_that_heard_nothing_leaves_the_choice_to_the_sound(
    recogniser: Recogniser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pocketsphinx_worker, "GENERAL_WAIT_IN_DOUBT_S", 0.0)
    monkeypatch.setattr(pocketsphinx_worker, "GENERAL_WAIT_S", 0.0)
    inside = hear(recogniser, said(INSIDE), idle=False)
    assert (inside["text"], inside["in_domain"]) == (INSIDE, True)
    assert hear(recogniser, said(OUTSIDE), idle=False)["confidence"] < inside["confidence"]


def test_an_utterance_does_not_depend_on_the_ones_before(recogniser: Recogniser, patient: None) -> None:
    def scores(name: str) -> tuple[dict[str, Any], float, float]:
        take(recogniser, utterances[name], idle=True)
        answer = recogniser.hypothesis({"stream": 1})
        utterance = recogniser._utterances[1]
        heard = (answer, utterance.read_domain().log_score, Reading(utterance.general).log_score)
        forget(recogniser)
        return heard

    utterances = {"short": said("no"), "pink": noise(1000, -20, "pink")}
    first = {name: scores(name) for name in utterances}
    before = [noise(500, -6, "white"), hum(500, -6, 1), (said("yes")[::-1] // 8).copy(), silence(400), said(INSIDE)]
    for number, samples in enumerate(before):
        hear(recogniser, samples, idle=number % 2 == 0)
        name = list(utterances)[number % 2]
        assert scores(name) == first[name], (number, name)


def test_decoders_come_back_to_the_pool_and_are_bounded(recogniser: Recogniser) -> None:
    for streams in (range(2), range(2, 5)):
        for stream in streams:
            recogniser.open({"stream": stream, "vocabulary": []})
        while recogniser.idle():
            pass
    generals = [utterance.general for utterance in recogniser._utterances.values() if utterance.general is not None]
    assert len(generals) == pocketsphinx_worker.MAX_GENERAL_DECODERS
    for stream in range(5):
        recogniser.close_stream({"stream": stream})
    while recogniser.idle():
        pass
    assert len(recogniser._idle_general) == pocketsphinx_worker.MAX_GENERAL_DECODERS
    assert len(recogniser._idle_domain[()]) == pocketsphinx_worker.MAX_IDLE_A_VOCABULARY


def test_a_second_speaker_gets_a_general_decoder_when_there_is_time_and_it_hears_all(recogniser: Recogniser) -> None:
    recogniser.open({"stream": 1, "vocabulary": []})
    recogniser.open({"stream": 2, "vocabulary": []})
    recogniser._idle_general.clear()
    second = recogniser._utterances[2]
    if second.general is not None:  # there were two already
        recogniser._idle_general.append(second.general)
        second.general.end_utt()
        second.general = None
    samples = said(OUTSIDE)
    for start in range(0, len(samples), 1600):
        recogniser.feed({"stream": 2, "pcm16": samples[start : start + 1600].tobytes()})
    assert second.general is None
    assert recogniser.hypothesis({"stream": 2})["in_domain"] is True
    while recogniser.idle():
        pass
    answer = recogniser.hypothesis({"stream": 2})
    assert answer["in_domain"] is False
    assert "annual report" in answer["text"]
    for stream in (1, 2):
        recogniser.close_stream({"stream": stream})
    while recogniser.idle():
        pass


def test_without_idle_time_decoders_are_used_again_all_the_same(recogniser: Recogniser) -> None:
    used = []
    for _ in range(4):
        recogniser.open({"stream": 1, "vocabulary": ["zorbelin"]})
        used.append(recogniser._utterances[1].domain)
        recogniser.close_stream({"stream": 1})
    while recogniser.idle():
        pass
    assert {id(decoder) for decoder in used} == {id(used[0])}


def test_models_of_sessions_are_bounded(recogniser: Recogniser) -> None:
    for number in range(pocketsphinx_worker.MAX_VOCABULARIES + 3):
        recogniser.open({"stream": 1, "vocabulary": [f"zorb{'o' * (number + 1)}n"]})
        forget(recogniser)
    assert len(recogniser._models) <= pocketsphinx_worker.MAX_VOCABULARIES
    assert set(recogniser._idle_domain) <= set(recogniser._models)
    assert () in recogniser._models


def test_idle_decoders_of_all_vocabularies_together_are_bounded_and_the_latest_stay(
    recogniser: Recogniser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pocketsphinx_worker, "MAX_IDLE_DOMAIN_DECODERS", 3)
    monkeypatch.setattr(recogniser, "_idle_domain", {})
    for stream, word in enumerate(["zorbon", "zorbonk", "", "zorbonks", ""]):
        recogniser.open({"stream": stream, "vocabulary": [word] if word else []})
    for stream in range(5):
        recogniser.close_stream({"stream": stream})
    while recogniser.idle():
        pass
    assert {vocabulary: len(idle) for vocabulary, idle in recogniser._idle_domain.items() if idle} == {
        (): 2,
        ("zorbonks",): 1,
    }


def test_audio_of_a_very_long_turn_is_forgotten(recogniser: Recogniser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pocketsphinx_worker, "MAX_REPLAY_BYTES", pocketsphinx_worker.BYTES_PER_S)
    recogniser.open({"stream": 9, "vocabulary": []})
    utterance = recogniser._utterances[9]
    for _ in range(3):
        samples = said("tell me a joke")
        for start in range(0, len(samples), 1600):
            recogniser.feed({"stream": 9, "pcm16": samples[start : start + 1600].tobytes()})
            while recogniser.idle():
                pass
    assert len(utterance.audio) <= 2 * pocketsphinx_worker.BYTES_PER_S
    assert utterance.total_bytes == 3 * len(samples) * 2
    assert recogniser.hypothesis({"stream": 9})["text"].split().count("joke") == 3
    recogniser.close_stream({"stream": 9})
