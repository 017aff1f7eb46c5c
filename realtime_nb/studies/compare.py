"""`compare`: the same clips through several pipelines, interleaved, and what came of it as a `Comparison`."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from realtime_nb.audio import AudioClip
from realtime_nb.errors import ConfigurationError
from realtime_nb.pipelines.base import Pipeline, PipelineEvent
from realtime_nb.pipelines.stage_server import without_credentials
from realtime_nb.studies.blocking import run_blocking
from realtime_nb.studies.clip_names import Clips, fingerprint, named_clips
from realtime_nb.studies.comparison import Comparison
from realtime_nb.studies.journal import Head, Journal
from realtime_nb.studies.plan import planned_rows
from realtime_nb.studies.prices import PRICES, Prices
from realtime_nb.studies.progress import progress_for
from realtime_nb.studies.provenance import provenance_now, resumed
from realtime_nb.studies.rows import Row
from realtime_nb.studies.runs import Lane, Rules, Runs
from realtime_nb.timing.marks import ROUTES

_ADDRESS = re.compile(r"\w+://\S+")

Pipelines = Mapping[str, Pipeline] | Iterable[Pipeline | str]


async def compare(
    clips: Clips,
    pipelines: Pipelines = ROUTES,
    repeats: int = 10,
    seed: int = 0,
    *,
    name: str = "comparison",
    path: str | os.PathLike[str] | None = None,
    # Rules
    warmups: int = 1,
    give_up_after: int = 5,
    wait_when_limited_s: float = 0.0,
    timeout_s: float = 180.0,
    # What is told meanwhile
    progress: bool | None = None,
    on_event: Callable[[Row, PipelineEvent], None] | None = None,
    on_row: Callable[[Row], None] | None = None,
    # How rows and pipelines are made
    prices: Prices = PRICES,
    **options: Any,
) -> Comparison:
    """Ask every clip of every pipeline, `repeats` times, and return all runs as a table.

    One run at a time, in randomised blocks: each block holds every pipeline with every clip once, in an order that the
    seed decides. Every run is a conversation's first turn (`reset` comes before it, outside the time measured).
    Nothing is retried: a run that fails is a row that says why. A pipeline that cannot start, or fails
    `give_up_after` times in a row (a refused key, a used-up limit), is left out from then on: its remaining rows are
    "missing" with the reason, and the others go on.

    Stopping the cell, Ctrl-C, or cancelling ends it early and *returns* what there is; the rest is "missing". With a
    `path` every row is in the file as soon as it is measured, and calling again with the same arguments goes on where
    it stopped, in the same order.

    Args:
        clips: clips, ids of bundled ones, files; a mapping gives them names.
        pipelines: pipelines or their names; a mapping gives them names of your own. Pipelines that you made stay open.
        repeats: blocks.
        seed: of the order and of the bootstrap.
        name: of the study, in every row.
        path: of a journal to write and to resume, JSON lines.

        warmups: runs per pipeline before the first block; they are in no row.
        give_up_after: failures in a row of one pipeline.
        wait_when_limited_s: longest wait, in seconds, after a failure that says "try again in ..."; 0 never waits.
        timeout_s: for one run, beyond the pipeline's own timeouts, in seconds.

        progress: a bar; None shows one where tqdm is installed.
        on_event: gets every event of every run, warm-ups left out; must not block. If it fails that is logged, and it
            is not called again.
        on_row: gets every finished row; likewise.

        prices: for the cost of each turn.
        options: of the pipelines that are given by name: `url`, `api_key`, `network`, `voice`, `engine`, …; see
            `realtime_nb.pipelines.factory.pipeline`.

    Raises:
        ConfigurationError: no clips, no pipelines, two of one name, an unknown name, or a journal of something else.
        OSError: the journal cannot be written (a full disk); what is in it can be read and resumed.
        AudioError: no such clip.
        MissingExtra: a progress bar was wanted and tqdm is not installed.
    """
    rules = Rules(
        warmups=warmups, give_up_after=give_up_after, wait_when_limited_s=wait_when_limited_s, timeout_s=timeout_s
    )
    asked = await asyncio.to_thread(named_clips, clips)
    lanes = _lanes(pipelines, options)
    plan = planned_rows({"pipeline": list(lanes), "clip": list(asked)}, repeats=repeats, seed=seed, study=name)
    provenance = await asyncio.to_thread(provenance_now, pipelines=lanes, seed=seed, repeats=repeats, warmups=warmups)
    journal = None
    if path is not None:
        described = _described(plan, asked, repeats=repeats, seed=seed, name=name, options=options)
        journal = await asyncio.to_thread(Journal, path, Head(plan=described, provenance=provenance))
        provenance = resumed(journal.head.provenance, provenance)
    done = journal.done if journal is not None else {}
    bar = progress_for(len(plan) - len(done), progress)
    told: dict[str, Any] = {"progress": bar, "on_event": on_event, "on_row": on_row}
    runs = Runs(plan, asked, lanes, rules, journal=journal, prices=prices, **told)
    try:
        stopped = await runs.run()
    finally:
        bar.close()
    return Comparison(runs.rows, msgspec.structs.replace(provenance, stopped=stopped))


def compare_now(
    clips: Clips, pipelines: Pipelines = ROUTES, repeats: int = 10, seed: int = 0, **rest: Any
) -> Comparison:
    """Do what `compare` does and block until it is done, for scripts.

    Raises:
        ConfigurationError: called where a loop runs, as in a notebook: `await compare(...)` there.
    """
    return run_blocking(lambda: compare(clips, pipelines, repeats, seed, **rest), instead="await compare(...)")


def _lanes(pipelines: Pipelines, options: dict[str, Any]) -> dict[str, Lane]:
    lanes: dict[str, Lane] = {}
    given = pipelines.items() if isinstance(pipelines, Mapping) else [(None, each) for each in pipelines]
    for label, each in given:
        ours = isinstance(each, str)
        one = _made(each, options) if isinstance(each, str) else each
        name = label or (each if isinstance(each, str) else one.provenance.route)
        if name in lanes:
            raise ConfigurationError(
                f"There are two pipelines {name!r}.", what_now="Name them: {'small': one, 'large': other}."
            )
        lanes[name] = Lane(one, ours=ours)
    if not lanes:
        raise ConfigurationError("There is no pipeline to compare.", what_now=f"Name some: {', '.join(ROUTES)}.")
    return lanes


def _made(name: str, options: dict[str, Any]) -> Pipeline:
    from realtime_nb.pipelines.factory import pipeline

    return pipeline(name, **options)


def _described(
    plan: list[Row], clips: dict[str, AudioClip], *, repeats: int, seed: int, name: str, options: dict[str, Any]
) -> dict[str, Any]:
    """Return what decides the runs, without keys."""
    told = {key: _told(value) for key, value in sorted(options.items()) if key != "api_key" and value is not None}
    return {
        "study": name,
        "seed": seed,
        "repeats": repeats,
        "pipelines": sorted({row.pipeline for row in plan}),
        "clips": {key: fingerprint(clip) for key, clip in sorted(clips.items())},
        "options": told,
    }


def _told(value: Any) -> str:
    """Return an option as it may be written down; objects of other people by their type."""
    if isinstance(value, str):
        return without_credentials(value) if _ADDRESS.fullmatch(value) else value
    return repr(value) if isinstance(value, int | float | msgspec.Struct) else type(value).__name__
