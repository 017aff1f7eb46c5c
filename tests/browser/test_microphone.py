"""The fake microphone plays the file that a module names, so that tests can speak."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from realtime_nb.audio import AudioClip
from tests.browser.conftest import OpenNotebook

pytestmark = pytest.mark.alone

TONE_HZ = 700
LOUDEST_FREQUENCY = """
async () => {
    const stream = await navigator.mediaDevices.getUserMedia({
        audio: {echoCancellation: false, noiseSuppression: false, autoGainControl: false}});
    const context = new AudioContext();
    const analyser = new AnalyserNode(context, {fftSize: 8192, smoothingTimeConstant: 0});
    context.createMediaStreamSource(stream).connect(analyser);
    const bins = new Float32Array(analyser.frequencyBinCount);
    let loudest = 0;
    await new Promise((heard) => {
        const look = () => {
            analyser.getFloatFrequencyData(bins);
            loudest = bins.indexOf(Math.max(...bins));
            if (bins[loudest] > -40) heard(); else requestAnimationFrame(look);
        };
        look();
    });
    stream.getTracks().forEach((track) => track.stop());
    await context.close();
    return loudest * context.sampleRate / analyser.fftSize;
}
"""


@pytest.fixture(scope="module")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("microphone") / "tone.wav"
    seconds = np.arange(10 * 24_000) / 24_000
    AudioClip((8000 * np.sin(2 * np.pi * TONE_HZ * seconds)).astype(np.int16)).save(path)
    return path


def test_the_page_hears_the_file(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook(["1"])
    assert notebook.evaluate(LOUDEST_FREQUENCY) == pytest.approx(TONE_HZ, abs=15)
