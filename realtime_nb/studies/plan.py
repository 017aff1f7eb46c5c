"""What is run, and in which order: randomised blocks, decided by a seed before the first run.

Every block holds every case once, so that a machine that warms up or a network that fades in the afternoon meets all
pipelines alike (randomised complete block design).
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence
from typing import Any

from realtime_nb.errors import ConfigurationError
from realtime_nb.studies.rows import Row

MAX_RUNS = 200_000


def planned_rows(
    factors: dict[str, Sequence[Any]], *, repeats: int, seed: int, study: str = "", **same: Any
) -> list[Row]:
    """Return one row a run, in the order to run them, all "missing" yet.

    Args:
        factors: columns of `Row` and their values; all combinations are run. "pipeline" and "clip" are among them.
        repeats: blocks.
        seed: of the order; the same seed and factors give the same order.
        study: its name.
        same: columns with the same value in every row.

    Raises:
        ConfigurationError: a factor without values or with the same value twice, no repeats, or absurdly many runs.
    """
    cases = _cases(factors, repeats)
    rows: list[Row] = []
    for block in range(repeats):
        order = list(cases)
        random.Random(f"{seed}/{block}").shuffle(order)
        rows += [_row(len(rows) + i, block, study, {**same, **case}) for i, case in enumerate(order)]
    return rows


def planned_rounds(
    factors: dict[str, Sequence[Any]], *, repeats: int, seed: int, study: str = ""
) -> list[tuple[Row, ...]]:
    """Return the same runs in rounds: what differs only by pipeline is together, to be done by one machine.

    Rounds are in random order within their block, pipelines within their round. See `planned_rows`.
    """
    _cases(factors, repeats)
    others = {name: values for name, values in factors.items() if name != "pipeline"}
    rounds: list[tuple[Row, ...]] = []
    run = 0
    for block in range(repeats):
        chance = random.Random(f"{seed}/{block}")
        cases = _cases(others, 1)
        chance.shuffle(cases)
        for case in cases:
            names = list(factors["pipeline"])
            chance.shuffle(names)
            rounds.append(
                tuple(_row(run + i, block, study, {**case, "pipeline": name}) for i, name in enumerate(names))
            )
            run += len(names)
    return rounds


def rounds_of(plan: dict[str, Any]) -> list[tuple[Row, ...]]:
    """Return the rounds of a study's plan, as it is written in its folder."""
    factors = {
        "pipeline": plan["pipelines"],
        "clip": sorted(plan["clips"]),
        "silence_duration_ms": plan["silence_duration_ms"],
        "network": plan["networks"],
        "endpoint": plan["endpoints"],
    }
    return planned_rounds(factors, repeats=plan["repeats"], seed=plan["seed"], study=plan["study"])


def _row(run: int, block: int, study: str, case: dict[str, Any]) -> Row:
    return Row(study=study, run=run, block=block, repeat=block, error="not run yet", **case)


def _cases(factors: dict[str, Sequence[Any]], repeats: int) -> list[dict[str, Any]]:
    for name, values in factors.items():
        if not values:
            raise ConfigurationError(f"There is no {name} to run.", what_now="Give at least one.")
        twice = [value for index, value in enumerate(values) if value in values[:index]]
        if twice:
            raise ConfigurationError(f"The {name} {twice[0]!r} is there twice.", what_now="Leave one out or rename it.")
    if repeats < 1:
        raise ConfigurationError(f"repeats={repeats} runs nothing.", what_now="Give at least 1.")
    runs = math.prod(len(values) for values in factors.values()) * repeats
    if runs > MAX_RUNS:
        raise ConfigurationError(f"These are {runs:,} runs.", what_now=f"Run at most {MAX_RUNS:,} at once.")
    return [dict(zip(factors, values, strict=True)) for values in itertools.product(*factors.values())]
