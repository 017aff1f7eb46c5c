"""What a process that does runs keeps: its pipelines, open and warm, one run at a time."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

import msgspec

from realtime_nb.audio import AudioClip
from realtime_nb.errors import RealtimeError
from realtime_nb.pipelines.base import Pipeline
from realtime_nb.studies.prices import Prices
from realtime_nb.studies.rows import Row
from realtime_nb.studies.runs import Lane, Rules, Runs

Build = Callable[[Row], Pipeline]
"""Makes the pipeline for a row: its pipeline, network, hold and endpoint count. Picklable, for a cluster."""

MAX_OPEN = 16
"""Pipelines that stay open in one process; the one that was used longest ago is closed for a new one."""

_one_at_a_time = threading.Lock()
_open: OrderedDict[tuple[object, ...], Lane] = OrderedDict()


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What every round of one study is done by.

    Attributes:
        sitting: of this call of `Study.run`; pipelines of another one are closed.
        build: makes pipelines.
        rules: as of `compare`; a process gives up a pipeline for itself.
        prices: for the costs.
    """

    sitting: str
    build: Build
    rules: Rules
    prices: Prices


def do_round(
    rows: Sequence[Row],
    clips: Mapping[str, AudioClip],
    orders: Orders,
    *,
    worker: str = "",
    stopped: threading.Event | None = None,
) -> list[Row]:
    """Do the runs of one round in their order and return their rows. Blocks; one round at a time in a process.

    A pipeline is made, started and warmed up when this process first needs it, and stays open. A row says what went
    wrong, and is "missing" where its pipeline cannot start or was given up; this raises nothing that a run does.

    Args:
        rows: planned.
        clips: by name.
        orders: of the study.
        worker: this process's name, for the rows.
        stopped: when it is set, no further run begins and only what was run is returned.
    """
    with _one_at_a_time:
        return asyncio.run(_round(rows, clips, orders, worker, stopped or threading.Event()))


async def _round(
    rows: Sequence[Row], clips: Mapping[str, AudioClip], orders: Orders, worker: str, stopped: threading.Event
) -> list[Row]:
    done: list[Row] = []
    for row in rows:
        if stopped.is_set():
            break
        planned = msgspec.structs.replace(row, run=0, worker=worker)
        try:
            lane, rules = await _lane(row, orders)
        except RealtimeError as problem:
            done.append(msgspec.structs.replace(planned, run=row.run, error=f"not run: {problem}"))
            continue
        runs = Runs([planned], clips, {row.pipeline: lane}, rules, prices=orders.prices)
        await runs.run()
        done += [msgspec.structs.replace(found, run=row.run) for found in runs.rows]
    return done


async def _lane(row: Row, orders: Orders) -> tuple[Lane, Rules]:
    key = (orders.sitting, row.pipeline, row.network, row.silence_duration_ms, row.endpoint)
    if key in _open:
        _open.move_to_end(key)
        return _open[key], msgspec.structs.replace(orders.rules, warmups=0)
    for other in [other for other in _open if other[0] != orders.sitting]:
        await _drop(other)
    while len(_open) >= MAX_OPEN:
        await _drop(next(iter(_open)))
    lane = _open[key] = Lane(orders.build(row), ours=False)
    return lane, orders.rules


async def _drop(key: tuple[object, ...]) -> None:
    with contextlib.suppress(RealtimeError):
        await _open.pop(key).pipeline.aclose()


def close_bench() -> None:
    """Close the pipelines of this process, after the round that goes on. Blocks; twice is fine."""

    async def close() -> None:
        for key in list(_open):
            await _drop(key)

    with _one_at_a_time:
        if _open:
            asyncio.run(close())
