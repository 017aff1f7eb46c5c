"""Rounds on a Dask cluster: few under way at a time, results as they come, lost workers noticed."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from realtime_nb.audio import AudioClip
from realtime_nb.errors import ConfigurationError
from realtime_nb.studies.bench import Orders, close_bench, do_round
from realtime_nb.studies.extras import load
from realtime_nb.studies.rows import Row

POLL_S = 0.05
LOOK_S = 0.5
NO_WORKER_S = 60.0
CLOSE_S = 30.0
GATHER_S = 5.0
AHEAD_PER_WORKER = 2
"""Rounds that are with a worker: the one that it does, and the next."""


class Cluster:
    """Does rounds on the workers of a `distributed.Client`.

    A round whose worker dies is done again by another one; a round that kills its workers again and again (Dask's
    `distributed.scheduler.allowed-failures`, 3) is "missing" with that reason.

    Args:
        client: a usual (synchronous) client.
        orders: of the study.
        clips: by name; every round takes its own along.

    Attributes:
        lost: addresses of workers that were there and are no more.

    Raises:
        ConfigurationError: the client is asynchronous or closed.
        MissingExtra: distributed is not installed.
    """

    def __init__(self, client: Any, orders: Orders, clips: Mapping[str, AudioClip]) -> None:
        self._distributed = load("distributed")
        if not isinstance(client, self._distributed.Client) or client.asynchronous:
            raise ConfigurationError(
                f"{type(client).__name__} is no usual Dask client.",
                what_now="Pass distributed.Client(...) made without asynchronous=True.",
            )
        if client.status != "running":
            raise ConfigurationError(f"The Dask client is {client.status}.", what_now="Connect it again.")
        self._client = client
        self._orders = orders
        self._clips = clips
        self._here: set[str] = set()
        self._seen: set[str] = set()
        self._looked_s = float("-inf")
        self._peopled_s = time.monotonic()
        self.lost: set[str] = set()

    def do(self, rounds: Sequence[tuple[Row, ...]], stopped: threading.Event) -> Iterator[list[Row]]:
        """Yield the rows of each round as it ends. Blocks between; ends early when `stopped` is set.

        Where no worker is left for `NO_WORKER_S`, the rounds that are left are "missing" with that reason.
        """
        waiting = iter(rounds)
        running: dict[Any, tuple[Row, ...]] = {}
        try:
            while not stopped.is_set():
                if self._deserted():
                    yield from (_missing(rows, "no worker is left") for rows in (*running.values(), *waiting))
                    return
                for rows in itertools.islice(waiting, max(0, self._window() - len(running))):
                    running[self._submit(rows)] = rows
                if not running:
                    return
                for future, rows in list(running.items()):
                    done = _result(future, rows)
                    if done is not None:
                        del running[future]
                        yield done
                time.sleep(POLL_S)
        finally:
            self._client.cancel(list(running))
            self._look()

    def close(self) -> None:
        """Let every worker close its pipelines, after the round that it does."""
        closing = [self._client.submit(close_bench, workers=[one], pure=False) for one in self._client.nthreads()]
        with contextlib.suppress(TimeoutError):  # a worker that died meanwhile has closed everything
            self._distributed.wait(closing, timeout=CLOSE_S)

    def _submit(self, rows: tuple[Row, ...]) -> Any:
        clips = {row.clip: self._clips[row.clip] for row in rows}
        return self._client.submit(
            _do_on_worker, rows, clips, self._orders, pure=False, key=f"{self._orders.sitting}-{rows[0].run}"
        )

    def _window(self) -> int:
        return AHEAD_PER_WORKER * max(1, len(self._here))

    def _deserted(self) -> bool:
        """Look, not too often, who is there; return whether nobody was for long."""
        now_s = time.monotonic()
        if now_s - self._looked_s >= LOOK_S:
            self._looked_s = now_s
            self._look()
            if self._here:
                self._peopled_s = now_s
        return now_s - self._peopled_s > NO_WORKER_S

    def _look(self) -> None:
        self._here = set(self._client.nthreads())
        self.lost |= self._seen - self._here
        self._seen |= self._here


def _do_on_worker(rows: tuple[Row, ...], clips: Mapping[str, AudioClip], orders: Orders) -> list[Row]:
    worker = load("distributed").get_worker()
    return do_round(rows, clips, orders, worker=str(worker.name))


def _result(future: Any, rows: tuple[Row, ...]) -> list[Row] | None:
    """Return what came of a round, None while it goes on (again, when a worker died with its result)."""
    status = future.status
    if status == "cancelled":
        return _missing(rows, "the cluster cancelled it")
    if status not in ("finished", "error"):
        return None
    try:
        done: list[Row] = future.result(timeout=GATHER_S)
    except TimeoutError:
        return None
    except Exception as problem:
        killed = type(problem).__name__ == "KilledWorker"
        why = "the workers that tried it died, one after the other" if killed else f"its worker failed: {problem!r}"
        return _missing(rows, why)
    return done


def _missing(rows: tuple[Row, ...], why: str) -> list[Row]:
    return [msgspec.structs.replace(row, error=f"not run: {why}") for row in rows]
