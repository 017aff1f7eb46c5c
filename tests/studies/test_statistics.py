from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_nb.errors import MissingExtra
from realtime_nb.studies import statistics
from realtime_nb.studies.extras import load
from realtime_nb.studies.statistics import MIN_N, median, paired_difference, paired_ratio, percentile


def lognormal(n: int, seed: int = 1) -> list[float]:
    return list(1000 * np.exp(0.4 * np.random.default_rng(seed).standard_normal(n)))


def test_percentiles_are_those_of_known_numbers() -> None:
    assert [percentile(range(1, 102), q) for q in (0, 50, 90, 95, 100)] == [1, 51, 91, 96, 101]
    assert percentile([3.0], 95) == 3
    assert percentile([], 50) is None


def test_the_median_of_a_known_distribution_is_within_its_interval() -> None:
    found = median(lognormal(400))
    assert found.low is not None
    assert found.high is not None
    assert found.low < 1000 < found.high
    expected = 2 * 1.96 * 1000 * 0.4 * math.sqrt(math.pi / 2) / math.sqrt(400)
    assert found.high - found.low == pytest.approx(expected, rel=0.3), "asymptotic width of a median's interval"


def test_the_interval_covers_as_often_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quick look; `COVERAGE` has the long one. Of 200 intervals of 95 %, 178 to 199 hold the truth (p < 0.001)."""
    monkeypatch.setattr(statistics, "RESAMPLES", 499)
    hits = 0
    for seed in range(200):
        found = median(lognormal(20, seed), seed=seed)
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= 1000 <= found.high
    assert 178 <= hits <= 199


def test_the_least_n_is_where_the_range_holds_the_median_with_the_level() -> None:
    assert 1 - 2 / 2**MIN_N >= statistics.LEVEL > 1 - 2 / 2 ** (MIN_N - 1)


def test_too_few_values_have_no_interval_and_none_have_no_figure() -> None:
    few = median([800.0, 900.0, 1000.0])
    assert (few.value, few.low, few.n) == (900.0, None, 3)
    assert str(few) == "median: 900 ms (n = 3; an interval needs at least 6 values)"
    assert str(median([])) == "median: nothing was measured"


def test_a_known_ratio_is_found_and_said_with_n_and_interval() -> None:
    chance = np.random.default_rng(3)
    pairs = [(1.6 * ms * float(np.exp(0.05 * chance.standard_normal())), ms) for ms in lognormal(60)]
    found = paired_ratio(pairs, what="chain ÷ realtime")
    assert found.value == pytest.approx(1.6, rel=0.03)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 1.6 < found.high
    assert found.high - found.low < 0.1, "pairing removes what the clips have in common"
    said = str(found)
    assert said.startswith("chain ÷ realtime: 1.59 (")
    assert "95% interval" in said
    assert "n = 60" in said


@given(st.lists(st.tuples(st.floats(1, 1e5), st.floats(1, 1e5)), max_size=MIN_N - 1))
def test_no_ratio_is_ever_said_of_too_few_pairs(pairs: list[tuple[float, float]]) -> None:
    found = paired_ratio(pairs)
    assert (found.value, found.low, found.high) == (None, None, None)
    assert f"n = {len(pairs)}" in str(found)


@settings(max_examples=15)
@given(st.lists(st.tuples(st.floats(1, 1e5), st.floats(1, 1e5)), min_size=MIN_N, max_size=30))
def test_the_inverse_ratio_has_the_inverse_interval(pairs: list[tuple[float, float]]) -> None:
    one, other = paired_ratio(pairs), paired_ratio([(b, a) for a, b in pairs])
    assert one.value is not None
    assert other.value == pytest.approx(1 / one.value)
    assert one.low is not None
    assert one.high is not None
    assert one.low <= one.value <= one.high
    assert other.low == pytest.approx(1 / one.high, rel=1e-6)


def test_pairs_that_cannot_be_divided_are_left_out() -> None:
    pairs = [(0.0, 5.0), (5.0, 0.0), *[(2.0, 1.0)] * 6]
    found = paired_ratio(pairs)
    assert found.n == 6
    assert str(found).endswith("n = 6; 2 pairs without a positive value left out)")
    assert "2 pairs without" in str(paired_ratio(pairs[:5]))


def test_differences_of_known_pairs() -> None:
    found = paired_difference([(ms + 250, ms) for ms in lognormal(30)])
    assert found.value == pytest.approx(250)
    assert found.low == pytest.approx(250)
    assert found.unit == "ms"


def test_the_seed_decides_the_interval() -> None:
    values = lognormal(15)
    assert median(values, seed=4) == median(values, seed=4)
    assert median(values, seed=4) != median(values, seed=5)


def test_the_order_of_the_values_decides_nothing() -> None:
    values = lognormal(15)
    assert median(values) == median(values[::-1])


def test_values_that_are_all_the_same_have_an_interval_of_no_width() -> None:
    found = median([700.0] * 8)
    assert (found.low, found.value, found.high) == (700, 700, 700)


def test_many_values_fit_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "RESAMPLES", 50)
    monkeypatch.setattr(statistics, "BATCH_VALUES", 1000)
    found = median(lognormal(5000))
    assert found.low is not None
    assert found.low < 1000 + 50


def test_a_missing_library_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingExtra, match=r"^no_such_library is not installed\. .*realtime-nb\[studies\]") as caught:
        load("no_such_library.part")
    assert caught.value.extra == "studies"


def test_a_library_that_misses_one_of_its_own_is_not_blamed(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "half_installed.py").write_text("import something_it_needs\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="something_it_needs"):
        load("half_installed")
