from realtime_nb.timing.clock import MonotonicClock, monotonic_ms


def test_the_clock_only_goes_forward():
    times = [monotonic_ms() for _ in range(1_000)]
    assert times == sorted(times)


def test_a_clock_counts_from_its_making():
    before = monotonic_ms()
    clock = MonotonicClock()
    reading = clock.now_ms()
    assert 0 <= reading <= monotonic_ms() - before
