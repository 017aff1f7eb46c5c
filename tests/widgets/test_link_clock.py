"""Round trips and the clock map, with made-up clocks."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from realtime_nb.widgets.link_clock import MAX_UNANSWERED, WINDOW, RoundTrips


@given(
    offset_ms=st.floats(-1e6, 1e6),
    legs=st.lists(st.tuples(st.floats(0, 500), st.floats(0, 500)), min_size=1, max_size=60),
)
def test_the_offset_is_true_within_its_stated_error(offset_ms, legs):
    trips, now_ms = RoundTrips(), 0.0
    for there_ms, back_ms in legs:
        ping_id = trips.ping(now_ms)
        trips.pong(ping_id, now_ms + there_ms - offset_ms, now_ms + there_ms + back_ms)
        now_ms += 1_000
    assert trips.n == min(len(legs), WINDOW)
    assert abs(trips.offset_ms - offset_ms) <= trips.offset_error_ms + 1e-6
    kept = [there + back for there, back in legs[-WINDOW:]]
    assert min(kept) - 1e-6 <= trips.percentile(0.5) <= trips.percentile(0.95) <= max(kept) + 1e-6


def test_unknown_repeated_and_senseless_answers_do_not_count():
    trips = RoundTrips()
    ping_id = trips.ping(0.0)
    assert trips.pong(99, 0.0, 1.0) is None
    assert trips.pong(trips.ping(0.0), math.nan, 1.0) is None
    assert trips.pong(ping_id, 0.0, 2.0) == 2.0
    assert trips.pong(ping_id, 0.0, 3.0) is None
    assert trips.n == 1


def test_unanswered_pings_are_bounded():
    trips = RoundTrips()
    first = trips.ping(0.0)
    for _ in range(MAX_UNANSWERED):
        trips.ping(0.0)
    assert trips.pong(first, 0.0, 1.0) is None


def test_without_samples_nothing_is_claimed():
    trips = RoundTrips()
    assert (trips.percentile(0.5), trips.offset_ms, trips.offset_error_ms) == (0.0, 0.0, math.inf)
