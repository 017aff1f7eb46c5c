"""What is run, and in which order: randomised blocks, decided by a seed before the first run.

Every block holds every case once, so that a machine that warms up or a network that fades in the afternoon meets all
pipelines alike (randomised complete block design).
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from typing import Any

from realtime_nb.errors import ConfigurationError
from realtime_nb.studies.rows import Row

MAX_RUNS = 1_000_000


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
    for name, values in factors.items():
        if not values:
            raise ConfigurationError(f"There is no {name} to run.", what_now="Give at least one.")
        twice = [value for index, value in enumerate(values) if value in values[:index]]
        if twice:
            raise ConfigurationError(
                f"The {name} {twice[0]!r} is there twice.", what_now="Leave one out, or rename it."
            )
    if repeats < 1:
        raise ConfigurationError(f"repeats={repeats} runs nothing.", what_now="Give at least 1.")
    cases = [dict(zip(factors, values, strict=True)) for values in itertools.product(*factors.values())]
    if len(cases) * repeats > MAX_RUNS:
        raise ConfigurationError(
            f"{len(cases)} cases times {repeats} are {len(cases) * repeats:,} runs.", what_now="Run fewer."
        )
    rows: list[Row] = []
    for block in range(repeats):
        order = list(cases)
        random.Random(f"{seed}/{block}").shuffle(order)
        for case in order:
            rows.append(
                Row(study=study, run=len(rows), block=block, repeat=block, error="not run yet", **{**same, **case})
            )
    return rows
