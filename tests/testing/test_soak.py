"""A short soak: session after session, nothing is left behind. `benchmarks/soak.py` talks for half an hour."""

from __future__ import annotations

import asyncio

import pytest

from benchmarks.soak import Sample, slope, soak
from realtime_nb.session.opening import _OWNERS

LEFT_BEHIND = 40
"""Objects per session that caches may add; a session that is kept has hundreds."""
NOISE_MIB = 6


def test_sessions_leave_nothing_behind() -> None:
    samples = asyncio.run(soak(minutes=1.5, sessions=5))
    first, last = samples[1], samples[-1]
    assert len(samples) == 5
    assert (last.tasks, last.threads, last.files) == (first.tasks, first.threads, first.files)
    assert last.objects - first.objects < LEFT_BEHIND * 3
    assert last.rss_mib - first.rss_mib < NOISE_MIB
    assert not _OWNERS


def test_growth_is_seen() -> None:
    growing = [Sample(float(n), 50 + 5.0 * n, 2, 1, 10, 1000) for n in range(10)]
    assert slope(growing, "rss_mib") == pytest.approx(5)
    assert slope(growing, "tasks") == pytest.approx(0)
