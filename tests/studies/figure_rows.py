"""Rows for figures: every kind of row that a comparison can hold, from a seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from realtime_nb.studies.comparison import Comparison
from realtime_nb.studies.provenance import StudyProvenance
from realtime_nb.studies.rows import Row
from realtime_nb.timing.marks import PATHS, ROUTES, Marks, Timeline, timeline

MEDIANS = {
    "vad_hold": 500.0,
    "commit": 3.0,
    "upload": 40.0,
    "transcription": 320.0,
    "first_text": 260.0,
    "sentence": 480.0,
    "first_audio": 210.0,
    "leading_silence": 60.0,
    "output": 25.0,
}
LONG_NAMES = (
    "chain with an extraordinarily long name of the kind that people give, and then some more of it",
    "realtime (silence_duration_ms=200, conference Wi-Fi, gpt-realtime-2.1-2026-05-12)",
)


def comparison(
    pipelines: Sequence[str] = ROUTES,
    *,
    clips: Sequence[str] = ("order_status", "weather"),
    repeats: int = 5,
    cost_usd: float | None = 0.004,
    simulated: str = "",
    bad: bool = True,
    seed: int = 3,
    without: Sequence[str] = (),
) -> Comparison:
    """Return a comparison with, if `bad`, one row of every kind that is left out of averages in the first pipeline."""
    chance = np.random.default_rng(seed)
    rows = []
    for repeat in range(repeats):
        for clip in clips:
            for place, pipeline in enumerate(pipelines):
                route = pipeline if pipeline in ROUTES else ROUTES[place % len(ROUTES)]
                rows.append(row(pipeline, route, clip, repeat, chance, cost_usd, simulated, len(rows), without))
    if bad:
        for each, change in zip(rows[:: len(pipelines)], BAD, strict=False):
            for name, value in change.items():
                setattr(each, name, value)
    where = StudyProvenance(created="2026-01-02T03:04:05+00:00", seed=seed, machine="x86_64, 2 cores", load=0.7)
    return Comparison(rows, where)


BAD = (
    {"status": "failed", "voice_to_voice_ms": None, "error": "rate limit"},
    {"status": "missing", "voice_to_voice_ms": None, "cost_usd": None},
    {"status": "timed_out", "voice_to_voice_ms": None},
    {"flags": "transcript came 5.0 ms before uploaded"},
    {"status": "no_speech", "voice_to_voice_ms": None},
    {"voice_to_voice_ms": None},
)


def row(
    pipeline: str,
    route: str,
    clip: str,
    repeat: int,
    chance: np.random.Generator,
    cost_usd: float | None,
    simulated: str,
    run: int,
    without: Sequence[str],
) -> Row:
    stages = {}
    for step in PATHS[route]:  # type: ignore[index]
        if step.stage in MEDIANS and step.stage not in without and (not step.optional or step.stage == "first_text"):
            stages[f"{step.stage}_ms"] = MEDIANS[step.stage] * float(chance.lognormal(0, 0.2))
    lost = float(chance.uniform(0, 90))
    return Row(
        study="figures",
        run=run,
        pipeline=pipeline,
        clip=clip,
        repeat=repeat,
        endpoint="embedded",
        engine="pocketsphinx · matcher · flite",
        model="offline",
        started="2026-01-02T03:04:06+00:00",
        status="completed",
        voice_to_voice_ms=sum(stages.values()) + lost,
        ends_at="first_audible",
        unattributed_ms=lost,
        answer_audio_ms=2500.0,
        cost_usd=cost_usd * float(chance.lognormal(0, 0.3)) if cost_usd else None,
        cost_source="published prices of 2026-01-01" if cost_usd else "offline engines cost nothing",
        simulated=simulated,
        **stages,
    )


def laid(
    route: str = "chain", *, source: str = "measured", error_ms: float = 0.0, skip: Sequence[str] = ()
) -> Timeline:
    """Return a timeline with every moment of a route but those skipped; a transcript beside realtime's path."""
    marks = Marks()
    at_ms = 10_000.0
    marks.set("speech_end", at_ms, source="derived" if source == "measured" else source)  # type: ignore[arg-type]
    for step in PATHS[route]:  # type: ignore[index]
        at_ms += MEDIANS.get(step.stage, 30.0)
        late = 5_000.0 if route == "realtime" and step.moment == "transcript" else 0.0
        if step.moment not in skip:
            marks.set(step.moment, at_ms + late, error_ms=error_ms, source=source)  # type: ignore[arg-type]
        else:
            marks.cannot(step.moment, "the server does not say when")
    return timeline(marks, route)  # type: ignore[arg-type]
