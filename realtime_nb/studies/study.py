"""`Study`: a grid of conditions, measured here or on a Dask cluster into a folder that grows, stops and goes on."""

from __future__ import annotations

import asyncio
import functools
import os
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from realtime_nb.audio import AudioClip
from realtime_nb.errors import ConfigurationError
from realtime_nb.pipelines.base import Pipeline
from realtime_nb.pipelines.stage_server import without_credentials
from realtime_nb.studies.bench import Build, Orders, close_bench, do_round
from realtime_nb.studies.blocking import run_blocking
from realtime_nb.studies.clip_names import Clips, fingerprint, named_clips
from realtime_nb.studies.cluster import Cluster
from realtime_nb.studies.journal import Head
from realtime_nb.studies.plan import rounds_of
from realtime_nb.studies.prices import PRICES, Prices
from realtime_nb.studies.progress import OnLoop, Progress, progress_for
from realtime_nb.studies.provenance import provenance_now
from realtime_nb.studies.rows import Row
from realtime_nb.studies.runs import Rules
from realtime_nb.studies.study_folder import StudyFolder
from realtime_nb.studies.study_results import StudyResults
from realtime_nb.timing.marks import ROUTES
from realtime_nb.transport.network import network_profile

FLUSH_S = 5.0
FLUSH_ROWS = 500
"""Rows are written to a part file at the latest after so long, or so many; a killed process loses no more."""


class Study:
    """All combinations of pipelines, clips, holds, networks and endpoints, `repeats` times.

    Runs that differ only by pipeline are a *round*: done in random order, one after the other, by one process, so that
    pairs are fair on a cluster of unequal machines. Rounds are in random order within their block.

    Args:
        folder: where everything goes; a folder with the same study in it is gone on with.
        clips: as for `compare`.
        pipelines: names; routes unless `build` knows others.
        silence_duration_ms: holds of silence that end a turn.
        networks: names of simulated networks, "none" among them.
        endpoints: base URLs ("embedded" is the server inside each process), or options of
            `realtime_nb.pipelines.factory.pipeline` by a name of your own (`url`, `api_key`, `engine`, `model`, …).
            Keys go to the workers and into no file.
        repeats: blocks.
        seed: of the order and of the bootstrap.
        name: of the study, in every row.
        build: makes the pipeline of a row in the place of the factory; a function of a module, for a cluster.

        warmups: of every pipeline in every process, in no row.
        give_up_after: failures in a row after which a process leaves a pipeline out.
        timeout_s: for one run.
        prices: for the costs.

    Raises:
        ConfigurationError: an empty or doubled list, an unknown name, a folder with another study in it.
        AudioError: no such clip.
        MissingExtra: pyarrow is not installed.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        # The grid
        clips: Clips,
        pipelines: Iterable[str] = ROUTES,
        silence_duration_ms: Iterable[float] = (500,),
        networks: Iterable[str] = ("none",),
        endpoints: Iterable[str] | Mapping[str, Mapping[str, Any]] = ("embedded",),
        repeats: int = 10,
        seed: int = 0,
        name: str = "study",
        build: Build | None = None,
        # Rules
        warmups: int = 1,
        give_up_after: int = 5,
        timeout_s: float = 180.0,
        prices: Prices = PRICES,
    ) -> None:
        self.clips = named_clips(clips)
        places = _places(endpoints)
        names = list(pipelines)
        plan: dict[str, Any] = {
            "study": name,
            "seed": seed,
            "repeats": repeats,
            "pipelines": names,
            "silence_duration_ms": [float(each) for each in silence_duration_ms],
            "networks": [_network_name(each) for each in networks],
            "endpoints": list(places),
            "clips": {key: fingerprint(clip) for key, clip in sorted(self.clips.items())},
        }
        self.rounds = rounds_of(plan)
        if build is None:
            _check_names(names)
        self._build: Build = build or functools.partial(build_pipeline, places)
        self._rules = Rules(warmups=warmups, give_up_after=give_up_after, timeout_s=timeout_s)
        self._prices = prices
        provenance = provenance_now(pipelines=names, seed=seed, repeats=repeats, warmups=warmups)
        self.folder = StudyFolder(folder, Head(plan=plan, provenance=provenance))

    @property
    def results(self) -> StudyResults:
        """What is measured so far, read lazily."""
        return StudyResults(self.folder.path)

    async def run(self, client: Any = None, *, progress: bool | None = None) -> StudyResults:
        """Do what is not done yet, and return the results.

        Stopping the cell, Ctrl-C, or cancelling ends it early, after the run that goes on, and returns what there is;
        running again goes on. On a cluster the rounds under way are lost then, and done again.

        Args:
            client: a `distributed.Client` whose workers do the runs; None does them here. Workers need this package;
                each starts its own embedded server. Workers on one machine disturb each other's times: tables and
                figures say how many there were.
            progress: a bar; None shows one where tqdm is installed.

        Raises:
            ConfigurationError: not a usual Dask client.
            MissingExtra: distributed, or a progress bar that was wanted, is not installed.
            OSError: the folder cannot be written.
        """
        stopped = threading.Event()
        done = await asyncio.to_thread(self.folder.done)
        rounds = [left for each in self.rounds if (left := tuple(row for row in each if row.run not in done))]
        orders = Orders(sitting=uuid.uuid4().hex, build=self._build, rules=self._rules, prices=self._prices)
        bar = progress_for(sum(map(len, rounds)), progress)
        told = OnLoop(bar, asyncio.get_running_loop())
        work = asyncio.create_task(asyncio.to_thread(self._work, client, rounds, orders, stopped, told))
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            stopped.set()
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
            await work
        finally:
            bar.close()
        return await asyncio.to_thread(StudyResults, self.folder.path)

    def run_now(self, client: Any = None, *, progress: bool | None = None) -> StudyResults:
        """Do what `run` does and block until it is done, for scripts.

        Raises:
            ConfigurationError: called where a loop runs, as in a notebook.
        """
        return run_blocking(lambda: self.run(client, progress=progress), instead="await study.run(...)")

    def _work(
        self,
        client: Any,
        rounds: list[tuple[Row, ...]],
        orders: Orders,
        stopped: threading.Event,
        bar: Progress,
    ) -> None:
        """Do rounds and write their rows; in a thread."""
        cluster = None if client is None else Cluster(client, orders, self.clips)
        missing = {row.run: "not run yet" for each in rounds for row in each}
        waiting: list[Row] = []
        written_s = time.monotonic()
        try:
            here = _rounds_here(rounds, self.clips, orders, stopped)
            for rows in here if cluster is None else cluster.do(rounds, stopped):
                for row in rows:
                    bar.ended(row)
                    if row.status == "missing":
                        missing[row.run] = row.error
                    else:
                        missing.pop(row.run)
                        waiting.append(row)
                if len(waiting) >= FLUSH_ROWS or time.monotonic() - written_s >= FLUSH_S:
                    self.folder.parts.add(waiting)
                    waiting, written_s = [], time.monotonic()
        finally:
            try:
                self.folder.parts.add(waiting)
                if stopped.is_set():
                    missing = {r: "not run: stopped" if why == "not run yet" else why for r, why in missing.items()}
                self.folder.write_missing(missing, lost_workers=sorted(cluster.lost) if cluster is not None else [])
            finally:
                if cluster is None:
                    close_bench()
                else:
                    cluster.close()


def _rounds_here(
    rounds: Sequence[tuple[Row, ...]], clips: Mapping[str, AudioClip], orders: Orders, stopped: threading.Event
) -> Iterator[list[Row]]:
    for rows in rounds:
        if stopped.is_set():
            return
        yield do_round(rows, clips, orders, stopped=stopped)


def build_pipeline(places: Mapping[str, Mapping[str, Any]], row: Row) -> Pipeline:
    """Make the pipeline of a row with the factory; `places` are options by endpoint."""
    from realtime_nb.pipelines.factory import pipeline

    network = None if row.network == "none" else row.network
    silence_ms = 500 if row.silence_duration_ms is None else round(row.silence_duration_ms)
    options = {"network": network, "silence_duration_ms": silence_ms, **places[row.endpoint]}
    return pipeline(row.pipeline, **options)


def _places(endpoints: Iterable[str] | Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    if isinstance(endpoints, Mapping):
        return {name: dict(options) for name, options in endpoints.items()}
    urls = [endpoints] if isinstance(endpoints, str) else list(endpoints)
    named = {without_credentials(url): {"url": url} for url in urls}
    if len(named) < len(urls):
        raise ConfigurationError("An endpoint is there twice.", what_now="Leave one out, or name them with a mapping.")
    return named


def _network_name(name: str) -> str:
    profile = network_profile(name)
    return "none" if profile is None else profile.name


def _check_names(names: Sequence[str]) -> None:
    for name in names:
        if name not in ROUTES:
            raise ConfigurationError(f"There is no pipeline {name!r}.", what_now=f"Use some of: {', '.join(ROUTES)}.")


__all__ = ["Study", "build_pipeline"]
