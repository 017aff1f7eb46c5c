"""Rows and comparisons made by hand."""

from __future__ import annotations

import random
from typing import Any

from realtime_nb.studies.comparison import Comparison
from realtime_nb.studies.provenance import StudyProvenance
from realtime_nb.studies.rows import Row


def row(pipeline: str = "realtime", **fields: Any) -> Row:
    """A completed run of 900 ms, with what is said otherwise."""
    known = {"pipeline": pipeline, "clip": "hello", "status": "completed", "voice_to_voice_ms": 900.0}
    return Row(**{**known, **fields})


def comparison(n: int = 12, seed: int = 1) -> Comparison:
    """Chain and realtime over two clips; chain takes about one and a half times as long."""
    chance = random.Random(seed)
    rows = []
    for repeat in range(n // 2):
        for clip in ("hello", "stop"):
            base_ms = 800 + 200 * chance.random()
            for pipeline, factor in (("chain", 1.5), ("realtime", 1.0)):
                ms = base_ms * factor * (1 + 0.02 * chance.random())
                rows.append(row(pipeline, clip=clip, repeat=repeat, block=repeat, run=len(rows), voice_to_voice_ms=ms))
    return Comparison(rows, StudyProvenance(created="2026-01-01T00:00:00.000+00:00", seed=seed, repeats=n // 2))
