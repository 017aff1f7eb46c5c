import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

from realtime_nb.audio import AudioClip
from realtime_nb.errors import AudioError


def ramp(n_samples: int = 2_400, **details) -> AudioClip:
    return AudioClip(np.arange(n_samples, dtype=np.int16), **details)


def test_a_clip_cannot_change_and_does_not_follow_its_source():
    source = np.zeros(10, dtype=np.int16)
    clip = AudioClip(source)
    source[:] = 7
    assert not clip.samples.any()
    with pytest.raises(ValueError, match="read-only"):
        clip.samples[0] = 1
    with pytest.raises(AttributeError):
        clip.title = "other"


@pytest.mark.parametrize("samples", [np.zeros(3), np.zeros((3, 2), dtype=np.int16), [1, 2]])
def test_only_one_row_of_int16_is_a_clip(samples):
    with pytest.raises(AudioError, match="int16"):
        AudioClip(samples)


def test_absurd_rates_are_errors():
    with pytest.raises(AudioError, match="sample rate"):
        AudioClip(np.zeros(3, dtype=np.int16), 10)


def test_trimming_moves_the_speech_marks_along():
    clip = ramp(speech_start_ms=20, speech_end_ms=80, transcript="hi")
    cut = clip.trimmed(10, 60)
    assert cut.duration_ms == 50
    assert cut.samples[0] == 240
    assert (cut.speech_start_ms, cut.speech_end_ms, cut.transcript) == (10, 50, "hi")


@pytest.mark.parametrize(("start_ms", "end_ms", "left_ms"), [(-5, 9_999, 100), (60, 40, 0), (500, None, 0), (0, 0, 0)])
def test_trimming_beyond_the_edges_gives_what_there_is(start_ms, end_ms, left_ms):
    assert ramp().trimmed(start_ms, end_ms).duration_ms == left_ms


def test_adding_shifts_the_second_clips_marks_and_resamples_it():
    first = ramp(title="a", transcript="one", origin="x")
    second = AudioClip(np.zeros(1_600, dtype=np.int16), 16_000, title="b", transcript="two", origin="x")
    joined = first + AudioClip.silence(50) + AudioClip(second.samples, 16_000, speech_start_ms=10, speech_end_ms=90)
    assert joined.duration_ms == 250
    assert (joined.speech_start_ms, joined.speech_end_ms) == (160, 240)
    assert (first + second).title == "a + b"
    assert (first + second).transcript == "one two"
    assert (first + second).origin == "x"


def test_equal_clips_are_equal_and_hash_alike():
    assert ramp(title="a") == ramp(title="a")
    assert len({ramp(), ramp()}) == 1
    assert ramp() != ramp(title="a")
    assert ramp() != ramp(2_399)


def test_wav_bytes_load_again(tmp_path):
    clip = ramp()
    assert np.array_equal(AudioClip.load(clip.to_wav_bytes()).samples, clip.samples)
    path = clip.save(tmp_path / "clip.wav")
    assert AudioClip.load(path).title == "clip.wav"
    assert AudioClip.load(str(path), title="mine").title == "mine"


def test_from_float_takes_stereo_and_refuses_nothing_and_nan():
    stereo = np.stack([np.full(100, 0.5), np.zeros(100)], axis=1)
    assert set(AudioClip.from_float(stereo, 16_000).samples.tolist()) == {8_192}
    with pytest.raises(AudioError, match="no samples"):
        AudioClip.from_float([])
    with pytest.raises(AudioError, match="not numbers"):
        AudioClip.from_float([0.0, float("nan")])


def test_peaks_are_the_extremes_of_each_column():
    samples = np.zeros(100, dtype=np.int16)
    samples[10], samples[99] = -32_768, 32_767
    peaks = AudioClip(samples).peaks(4)
    assert peaks.dtype == np.int8
    assert peaks.tolist() == [[-128, 0], [0, 0], [0, 0], [0, 127]]
    assert AudioClip.silence(0).peaks(3).tolist() == [[0, 0]] * 3
    assert AudioClip(samples[:2]).peaks(5).shape == (5, 2)


def test_a_cell_shows_player_wave_and_words_without_script():
    clip = ramp(title="<b>", transcript="a & b", speech_start_ms=0, speech_end_ms=50)
    html = clip._repr_mimebundle_()["text/html"]
    tree = ElementTree.fromstring(html.replace("<audio controls", '<audio controls=""'))
    assert [element.tag for element in tree.iter()].count("audio") == 1
    assert "data:audio/wav;base64," in html
    assert "<script" not in html
    assert "&lt;b&gt;" in html
    assert "a &amp; b" in html
    assert "AudioClip('<b>', 0.10 s" in clip._repr_mimebundle_()["text/plain"]


def test_an_empty_and_a_very_long_clip_have_no_player():
    assert "No audio" in AudioClip.silence(0)._repr_mimebundle_()["text/html"]
    long = AudioClip.silence(121_000)._repr_mimebundle_()["text/html"]
    assert "<audio" not in long
    assert len(long) < 40_000


def test_plot_draws_on_the_given_axes():
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, ax = pyplot.subplots()
    assert ramp(title="a", speech_start_ms=1, speech_end_ms=2).plot(ax) is ax
    assert ax.get_title() == "a"
    pyplot.close(figure)


def test_importing_audio_brings_no_heavy_library():
    code = "import sys, realtime_nb.audio; print([m for m in ('soundfile', 'matplotlib', 'scipy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
