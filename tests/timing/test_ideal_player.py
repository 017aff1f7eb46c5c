"""When an answer would be heard."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime_nb.timing.ideal_player import IdealPlayer

PER_MS = 24


def silence(duration_ms: int) -> bytes:
    return bytes(duration_ms * PER_MS * 2)


def loud(duration_ms: int, amplitude: int = 8000) -> bytes:
    times = np.arange(duration_ms * PER_MS)
    return (amplitude * np.cos(times)).astype("<i2").tobytes()


def test_leading_silence_is_not_heard() -> None:
    player = IdealPlayer()
    assert not player.take(silence(100), 1000)
    assert player.take(silence(50) + loud(50), 1010)
    assert player.began_ms == 1000
    assert player.audible_ms == pytest.approx(1150, abs=0.1)
    assert player.audible_sample == pytest.approx(150 * PER_MS, abs=2)


def test_what_arrives_too_late_is_heard_late() -> None:
    player = IdealPlayer()
    player.take(silence(100), 1000)
    player.take(silence(20), 1300)
    player.take(loud(50), 1310)
    assert player.starved_ms == 200
    assert player.audible_ms == pytest.approx(1320, abs=0.1)


def test_a_sound_that_spans_two_pieces_is_found_where_it_begins() -> None:
    player = IdealPlayer()
    assert not player.take(silence(3) + loud(1), 0)
    assert player.take(loud(10), 2)
    assert player.audible_ms == pytest.approx(3, abs=0.1)


def test_hiss_is_not_heard_and_only_the_first_sound_counts() -> None:
    player = IdealPlayer()
    assert not player.take(loud(200, amplitude=80), 0)
    assert player.take(loud(50), 500)
    heard_ms = player.audible_ms
    assert not player.take(loud(50), 600)
    assert player.audible_ms == heard_ms == pytest.approx(500, abs=0.1)
    assert player.ends_ms == 650


def test_nothing_is_nothing() -> None:
    player = IdealPlayer()
    assert not player.take(b"", 5)
    assert player.began_ms is None
    assert player.audible_ms is None


@given(st.integers(0, 300), st.lists(st.integers(1, 200), max_size=20))
def test_how_the_audio_is_cut_does_not_matter(quiet_ms: int, cuts: list[int]) -> None:
    audio, player, at = silence(quiet_ms) + loud(100), IdealPlayer(), 0
    for cut in cuts:
        player.take(audio[at : at + cut * 2], 0)
        at += cut * 2
    player.take(audio[at:], 0)
    assert player.audible_ms == pytest.approx(quiet_ms, abs=0.1)
