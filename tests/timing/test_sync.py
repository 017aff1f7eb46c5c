import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime_nb.timing.sync import MAX_EXCHANGES, ClockSync

delays = st.floats(0, 500)


@given(st.floats(-1e9, 1e9), st.lists(st.tuples(delays, delays), min_size=1, max_size=30))
def test_the_true_offset_is_within_the_stated_error(offset_ms: float, ways: list[tuple[float, float]]):
    sync = ClockSync()
    now_ms = 1_000.0
    for there_ms, back_ms in ways:
        assert sync.add(now_ms, now_ms + there_ms + offset_ms, now_ms + there_ms + back_ms)
        now_ms += 1_000
    assert abs(sync.offset_ms - offset_ms) <= sync.error_ms + 1e-5
    assert sync.error_ms == pytest.approx(min(there + back for there, back in ways) / 2, abs=1e-6)


def test_equal_ways_give_the_exact_offset_and_times_convert_both_ways():
    sync = ClockSync()
    sync.add(100, 5_110, 120)
    assert sync.offset_ms == 5_000
    assert sync.error_ms == 10
    assert sync.to_near(5_200) == 200
    assert sync.to_far(200) == 5_200


def test_old_exchanges_are_forgotten_however_good():
    sync = ClockSync(window_ms=1_000)
    sync.add(0, 0.5, 1)
    sync.add(900, 950, 1_000)
    assert sync.best.round_trip_ms == 1
    sync.add(1_900, 1_950, 2_002)
    assert sync.best.round_trip_ms == 102
    sync.add(50_000, 50_100, 50_200)
    assert sync.best.round_trip_ms == 200


def test_the_newest_of_equally_quick_exchanges_counts():
    sync = ClockSync()
    sync.add(0, 5, 10)
    sync.add(100, 106, 110)
    assert sync.offset_ms == 1


@pytest.mark.parametrize("exchange", [(10, 5, 9), (0, float("nan"), 1), (0, float("inf"), 1), (float("nan"), 0, 1)])
def test_what_cannot_be_true_is_refused(exchange: tuple[float, float, float]):
    sync = ClockSync()
    assert not sync.add(*exchange)
    assert not sync.synced


def test_before_the_first_exchange_nothing_is_known():
    sync = ClockSync()
    assert sync.best is None
    with pytest.raises(LookupError):
        _ = sync.offset_ms
    with pytest.raises(LookupError):
        sync.to_near(1)


def test_memory_is_bounded():
    sync = ClockSync(window_ms=float("inf"))
    for number in range(MAX_EXCHANGES + 50):
        sync.add(number, number, number + 1)
    assert len(sync._exchanges) == MAX_EXCHANGES
