from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_nb.audio.resample import resample
from realtime_nb.engines import vad
from realtime_nb.engines.base import Capabilities, Pcm16
from realtime_nb.engines.turn_detector import (
    SilenceBegan,
    SpeechDetector,
    SpeechResumed,
    SpeechStarted,
    SpeechStopped,
    TurnSignal,
)
from tests.engines.speech_clips import mix, pink_noise, silence, speech

TEXT = "where is my order number four two one seven"


class LateDetector:
    """Speech is what is loud, said three frames late: as wrong as a neural one, but predictable."""

    capabilities = Capabilities(name="late", licence="-")
    frame_samples = 512

    def __init__(self) -> None:
        self._past = [0.0] * 3

    def probability(self, frame: Pcm16) -> float:
        self._past = [*self._past[1:], float(np.abs(frame.astype(np.int32)).max() > 1000)]
        return max(self._past) if self._past[-1] else self._past[0]

    def reset(self) -> None:
        self._past = [0.0] * 3


def tone(ms: int, amplitude: int = 8000) -> Pcm16:
    return (amplitude * np.sin(np.arange(ms * 16) * 2 * np.pi * 300 / 16_000)).astype(np.int16)


def run(detector: SpeechDetector, samples: Pcm16, chunk: int = 320) -> list[TurnSignal]:
    return [signal for n in range(0, len(samples), chunk) for signal in detector.feed(samples[n : n + chunk])]


def fresh(**options: int) -> SpeechDetector:
    return SpeechDetector(LateDetector(), sample_rate_hz=16_000, **options)


def assert_legal(signals: list[TurnSignal]) -> None:
    """Started, then silences each resumed or stopped, exactly one stop; times do not run backwards."""
    legal = {
        "quiet": {SpeechStarted: "speaking"},
        "speaking": {SilenceBegan: "pausing"},
        "pausing": {SpeechResumed: "speaking", SpeechStopped: "quiet"},
    }
    phase, boundary = "quiet", 0
    for signal in signals:
        assert type(signal) in legal[phase]
        phase = legal[phase][type(signal)]  # type: ignore[index]
        if isinstance(signal, SpeechStarted):
            assert boundary <= signal.audio_start_ms <= signal.onset_ms
        if isinstance(signal, SpeechStopped):
            assert boundary < signal.true_end_ms <= signal.audio_end_ms
            assert signal.detector_lag_ms >= 0
            boundary = signal.audio_end_ms


def test_a_turn_has_its_edges_where_the_sound_has_them() -> None:
    signals = run(fresh(), np.concatenate([silence(1000), tone(800), silence(1000)]))
    assert signals == [
        SpeechStarted(audio_start_ms=700, onset_ms=1000),
        SilenceBegan(at_ms=1960, true_end_ms=1800),
        SpeechStopped(audio_end_ms=2300, true_end_ms=1800, detector_lag_ms=0),
    ]


def test_a_pause_within_the_hold_resumes_and_does_not_stop() -> None:
    signals = run(fresh(), np.concatenate([silence(500), tone(500), silence(300), tone(500), silence(900)]))
    assert [type(signal) for signal in signals] == [
        SpeechStarted,
        SilenceBegan,
        SpeechResumed,
        SilenceBegan,
        SpeechStopped,
    ]
    assert_legal(signals)


def test_a_pause_shorter_than_the_short_silence_is_not_mentioned() -> None:
    signals = run(fresh(), np.concatenate([silence(500), tone(500), silence(100), tone(500), silence(900)]))
    assert [type(signal) for signal in signals] == [SpeechStarted, SilenceBegan, SpeechStopped]


def test_settings_change_live() -> None:
    detector = fresh()
    run(detector, np.concatenate([silence(500), tone(500), silence(300)]))
    detector.silence_duration_ms = 310
    (stopped,) = run(detector, silence(100))
    assert isinstance(stopped, SpeechStopped)
    assert stopped.audio_end_ms == 1310
    detector.prefix_padding_ms = 0
    started = run(detector, np.concatenate([silence(500), tone(500)]))[0]
    assert started == SpeechStarted(audio_start_ms=1900, onset_ms=1900)


def test_a_hold_shorter_than_the_short_silence_still_announces_it_first() -> None:
    signals = run(fresh(silence_duration_ms=100), np.concatenate([tone(500), silence(500)]))
    assert [type(signal) for signal in signals] == [SpeechStarted, SilenceBegan, SpeechStopped]


def test_padding_never_reaches_into_the_turn_before_or_before_the_beginning() -> None:
    signals = run(fresh(silence_duration_ms=200), np.concatenate([tone(500), silence(250), tone(500), silence(500)]))
    starts = [signal.audio_start_ms for signal in signals if isinstance(signal, SpeechStarted)]
    stops = [signal.audio_end_ms for signal in signals if isinstance(signal, SpeechStopped)]
    assert starts[0] == 0
    assert starts[1] == stops[0]


def test_abandon_forgets_the_turn_without_a_signal_and_the_clock_goes_on() -> None:
    detector = fresh()
    run(detector, np.concatenate([silence(500), tone(500)]))
    assert detector.speaking
    detector.abandon()
    assert not detector.speaking
    assert run(detector, silence(2000)) == []
    assert detector.total_ms == 3000
    assert run(detector, tone(500))[0] == SpeechStarted(audio_start_ms=2700, onset_ms=3000)


def test_a_pause_can_be_concluded_without_the_rest_of_its_hold() -> None:
    detector = fresh(silence_duration_ms=500)
    run(detector, np.concatenate([silence(500), tone(500)]))
    assert detector.conclude() is None, "somebody speaks"
    assert detector.speaking
    run(detector, silence(300))
    assert detector.conclude() == SpeechStopped(audio_end_ms=1300, true_end_ms=1000, detector_lag_ms=0)
    assert detector.conclude() is None
    assert not detector.speaking
    assert run(detector, silence(1000)) == []
    assert run(detector, tone(500))[0] == SpeechStarted(audio_start_ms=2000, onset_ms=2300)


script = st.lists(st.tuples(st.sampled_from(["tone", "quiet", "hiss"]), st.integers(20, 900)), min_size=1, max_size=8)


def render(parts: list[tuple[str, int]]) -> Pcm16:
    make = {"tone": tone, "quiet": silence, "hiss": lambda ms: tone(ms, 40)}
    return np.concatenate([make[kind](ms) for kind, ms in parts])


@settings(max_examples=40, deadline=None)
@given(parts=script, cuts=st.lists(st.integers(0, 100_000), max_size=30), rate=st.sampled_from([16_000, 24_000]))
def test_chunking_changes_nothing(parts: list[tuple[str, int]], cuts: list[int], rate: int) -> None:
    samples = render(parts)
    if rate != 16_000:
        samples = resample(samples, 16_000, rate)
    whole = SpeechDetector(LateDetector(), sample_rate_hz=rate)
    pieces = SpeechDetector(LateDetector(), sample_rate_hz=rate)
    edges = sorted({0, len(samples), *(cut % (len(samples) + 1) for cut in cuts)})
    chunked = [signal for a, b in itertools.pairwise(edges) for signal in pieces.feed(samples[a:b])]
    assert chunked == whole.feed(samples)
    assert pieces.total_ms == whole.total_ms


@settings(max_examples=60, deadline=None)
@given(parts=script, hold=st.integers(0, 1200))
def test_signals_are_always_legal(parts: list[tuple[str, int]], hold: int) -> None:
    detector = fresh(silence_duration_ms=hold)
    signals = run(detector, render(parts))
    assert_legal(signals)
    assert detector.speaking == (bool(signals) and not isinstance(signals[-1], SpeechStopped))


@pytest.mark.parametrize("voice", ["slt", "rms", "awb"])
@pytest.mark.parametrize("noise_dbfs", [None, -50])
@pytest.mark.parametrize("rate", [16_000, 24_000])
def test_real_speech_ends_within_50_ms_of_its_true_end(voice: str, noise_dbfs: int | None, rate: int) -> None:
    said = speech(TEXT, voice)
    samples = np.concatenate([silence(1000), said, silence(1500)])
    if noise_dbfs is not None:
        samples = mix(samples, pink_noise(len(samples) / 16, noise_dbfs))
    samples = samples if rate == 16_000 else resample(samples, 16_000, rate)
    signals = run(SpeechDetector(vad.create("silero"), sample_rate_hz=rate), samples)
    assert_legal(signals)
    started, stopped = signals[0], signals[-1]
    assert isinstance(started, SpeechStarted)
    assert isinstance(stopped, SpeechStopped)
    true_end_ms = 1000 + len(said) / 16
    assert abs(stopped.true_end_ms - true_end_ms) <= (50 if noise_dbfs is None else 150)
    assert stopped.audio_end_ms - stopped.true_end_ms - 500 == stopped.detector_lag_ms <= 50
    assert abs(started.onset_ms - 1000) <= 60


def test_noise_and_silence_alone_start_no_turn() -> None:
    detector = SpeechDetector(vad.create("silero"), sample_rate_hz=16_000)
    assert run(detector, np.concatenate([silence(1000), pink_noise(4000, -35), silence(1000)])) == []
