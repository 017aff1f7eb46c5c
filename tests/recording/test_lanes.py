from __future__ import annotations

import random

import pytest

from realtime_nb.recording.lanes import Lane

FRAME = 480


def test_frames_that_arrive_unevenly_are_one_stream() -> None:
    lane, chance = Lane(), random.Random(1)
    positions = [lane.place(20.0 * (n + 1) + chance.uniform(0, 40) * (n > 0), FRAME) for n in range(500)]
    assert positions == [n * FRAME for n in range(500)]


def test_a_gap_is_a_gap() -> None:
    lane = Lane()
    lane.place(20, FRAME)
    assert lane.place(5020, FRAME) == 5000 * 24


def test_a_slower_clock_is_followed_within_ten_milliseconds() -> None:
    lane = Lane()
    for n in range(1, 5001):
        true_ms = n * 20.01  # 500 ppm slow: 50 ms in 100 s
        error_ms = (lane.place(true_ms, FRAME) + FRAME) / 24 - true_ms
        assert abs(error_ms) < 10


def test_audio_that_comes_faster_than_it_sounds_is_laid_out_at_the_speed_of_speech() -> None:
    lane = Lane()
    assert [lane.place(100, FRAME) for _ in range(5)] == [80 * 24 + n * FRAME for n in range(5)]


@pytest.mark.parametrize("pause_ms", [15, 30, 55])
def test_short_stalls_show_where_the_moment_is_known_well(pause_ms: int) -> None:
    lane = Lane()
    lane.place(100, FRAME, error_ms=2)
    assert lane.place(120 + pause_ms, FRAME, error_ms=2) == (100 + pause_ms) * 24


def test_nothing_is_placed_before_the_beginning() -> None:
    assert Lane().place(5, FRAME) == 0


def test_the_first_piece_is_where_it_was_heard() -> None:
    assert Lane().place(50, FRAME) == 30 * 24
