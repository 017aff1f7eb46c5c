"""One question, several architectures, started together: to see and hear the difference."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import msgspec
import traitlets

from realtime_nb.audio import AudioClip
from realtime_nb.audio.bundled import clip as bundled_clip
from realtime_nb.engines.delayed import simulated_in
from realtime_nb.errors import ConfigurationError
from realtime_nb.pipelines.base import Pipeline, PipelineTurn
from realtime_nb.studies.comparison import Comparison
from realtime_nb.widgets.base import LinkedWidget, bundled
from realtime_nb.widgets.race_desk import RaceDesk
from realtime_nb.widgets.race_rows import LaneRow, RaceRow, SummaryRow, TableRow
from realtime_nb.widgets.race_tables import table_row
from realtime_nb.widgets.snapshot import Snapshot
from realtime_nb.widgets.timeline_picture import bars_svg
from realtime_nb.widgets.timeline_rows import in_ms

__all__ = ["Race", "RaceResult"]

WARM_UP = "hello"
CELL = "padding:2px 8px;text-align:right"


class RaceResult(Snapshot):
    """What came of `await race.run()`: a picture that stays in the notebook, and the turns.

    Attributes:
        turns: of each race, one per lane that took part.
        comparison: the races as a table; its lanes ran at the same time, so it is no measurement.
    """

    def __init__(self, row: RaceRow, turns: list[list[PipelineTurn]], comparison: Comparison) -> None:
        super().__init__(race_html(row), race_text(row))
        self.turns = turns
        self.comparison = comparison


class Race(LinkedWidget):
    """Race architectures with one question: four lanes, started together, that light up as their stages pass.

    Every lane can be heard (one at a time, unless the others are unmuted) and played again. A race is for seeing: lanes
    that run at once compete for the machine. Figures come from `realtime_nb.compare`; give its result as `measured`.

    Args:
        clip: the question. Without one the widget shows the saved runs of `measured`.
        pipelines: who races: pipelines by name, a list of them, or None for all four architectures. Given ones stay
            open when the widget closes.
        measured: interleaved runs: a `Comparison`, or the path of a saved one.
        warm_up: ask every lane one short question, unseen, before the first race, so that none pays for its start.
        **options: for the four architectures, when there are no `pipelines`: `url`, `api_key`, `network`, `voice`,
            `engine`, …; see `realtime_nb.pipelines.factory.pipeline`.

    Raises:
        ConfigurationError: neither clip nor runs, the front end is not built, or ipykernel is 7.0.*.
    """

    _esm = bundled("race.js")
    _css = bundled("race.css")
    race: traitlets.Dict[Any, Any] = traitlets.Dict(help="A RaceRow.").tag(sync=True)
    _desk: RaceDesk

    def __init__(
        self,
        clip: AudioClip | None = None,
        pipelines: Mapping[str, Pipeline] | Sequence[Pipeline] | None = None,
        *,
        measured: Comparison | str | os.PathLike[str] | None = None,
        warm_up: bool = True,
        **options: Any,
    ) -> None:
        if isinstance(measured, str | os.PathLike):
            measured = Comparison.load(measured)
        if clip is None and measured is None:
            raise ConfigurationError(
                "A race needs a question or saved runs.",
                what_now="Make it with Race(clip) or Race(measured=comparison).",
            )
        self._question, self._measured = clip, measured
        self._warm_up = bundled_clip(WARM_UP) if warm_up and clip is not None else None
        self._pipelines, self._owns_pipelines = _pipelines(pipelines if clip is not None else {}, options)
        super().__init__()
        if measured is not None:
            self._desk.tables = [table_row(measured, measured=True)]
        self._show(self._desk.row)

    @property
    def comparison(self) -> Comparison:
        """All races of this widget as a table; its lanes ran at the same time, so it is no measurement."""
        return self._desk.raced

    async def run(self, races: int = 1) -> RaceResult:
        """Race so many times and return the result, which shows itself.

        Cancelling stops every lane and leaves nothing behind; a race stopped by its button gives what was there.

        Raises:
            RealtimeError: a race is on already, or no lane could be made ready.
        """
        turns = await self._runtime.call(self._desk.run(races))
        row, raced = self._desk.row, self.comparison
        tables = [table for table in row.tables if table.measured]
        if self._desk.raced_often:
            tables.append(table_row(raced, measured=False))
        return RaceResult(msgspec.structs.replace(row, tables=tables), turns, raced)

    def stop(self) -> None:
        """Stop the race. Returns at once."""
        self._runtime.submit(self._desk.stop())

    def show(self, measured: Comparison) -> None:
        """Show the medians of interleaved runs below the lanes."""
        self._runtime.submit(self._desk.show(measured))

    def snapshot(self) -> Snapshot:
        """Return lanes and tables as a static display that survives without a kernel."""
        row = self._desk.row
        return Snapshot(race_html(row), race_text(row))

    def _show(self, row: RaceRow) -> None:
        self.race = msgspec.to_builtins(row)

    def _make_desk(self) -> RaceDesk:
        return RaceDesk(
            self._runtime,
            self.send,
            self._question,
            self._pipelines,
            self._measured,
            self._show,
            owns_pipelines=self._owns_pipelines,
            warm_up=self._warm_up,
        )

    def _static_html(self) -> str:
        return race_html(self._desk.row)


def race_html(row: RaceRow) -> str:
    """Return lanes and tables without script."""
    lanes = [(lane.title, lane.timeline, _outcome(lane)) for lane in row.lanes]
    picture = bars_svg(lanes, name=f"Race: {row.clip_title}") if lanes else ""
    words = "".join(f"<li><b>{escape(lane.title)}</b>: {escape(_words(lane))}</li>" for lane in row.lanes)
    return (
        f'<div style="max-width:760px"><p><b>Race: “{escape(row.clip_title)}”</b></p>{picture}<ul>{words}</ul>'
        f'<p style="opacity:.8;font-size:.9em">{escape(row.fairness)}</p>{"".join(map(_table_html, row.tables))}</div>'
    )


def race_text(row: RaceRow) -> str:
    """Return the same in plain words."""
    lanes = [f"{lane.title}: {_outcome(lane)}" for lane in row.lanes]
    tables = [line for table in row.tables for line in (table.caption, *map(_summary_text, table.rows), *table.facts)]
    parts = dict.fromkeys(part for lane in row.lanes for part in (*simulated_in(lane.made_by), *lane.simulated))
    word = [f"SIMULATED: {', '.join(parts)}"] if parts else []
    return "\n".join([f"Race: {row.clip_title}", *word, *lanes, *tables, row.fairness])


def _outcome(lane: LaneRow) -> str:
    total_ms = lane.timeline.voice_to_voice_ms if lane.timeline is not None else None
    if lane.error:
        return "failed"
    return in_ms(total_ms) if total_ms is not None and lane.phase == "done" else lane.phase


def _words(lane: LaneRow) -> str:
    if lane.error:
        return lane.error
    who = " · ".join(part for part in (lane.made_by, *lane.simulated) if part)
    said = f"“{lane.heard}” → {lane.said}" if lane.heard else lane.said
    return f"{said} ({who})" if said and who else said or who or lane.phase


def _summary_cells(row: SummaryRow) -> list[str]:
    interval = "—" if row.low_ms is None or row.high_ms is None else f"{in_ms(row.low_ms)} to {in_ms(row.high_ms)}"
    middle = "—" if row.median_ms is None else in_ms(row.median_ms)
    return [row.title, middle, interval, str(row.n), str(row.missing)]


def _summary_text(row: SummaryRow) -> str:
    title, middle, interval, n, missing = _summary_cells(row)
    return f"  {title}: median {middle} (95 % interval {interval}, n = {n}, missing {missing})"


def _table_html(table: TableRow) -> str:
    head = "".join(f'<th scope="col">{name}</th>' for name in ("", "median", "95 % interval", "n", "missing"))
    body = "".join(
        f"<tr>{''.join(f'<td style={CELL!r}>{escape(cell)}</td>' for cell in _summary_cells(row))}</tr>"
        for row in table.rows
    )
    facts = "".join(f"<li>{escape(fact)}</li>" for fact in table.facts)
    return (
        f"<table><caption>{escape(table.caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        f'<ul>{facts}</ul><p style="opacity:.8;font-size:.9em">{escape(table.provenance)}</p>'
    )


def _pipelines(
    given: Mapping[str, Pipeline] | Sequence[Pipeline] | None, options: dict[str, Any]
) -> tuple[Mapping[str, Pipeline], bool]:
    """The pipelines by name, and whether they are ours to close."""
    if isinstance(given, Mapping):
        return given, False
    if given is not None:
        return {pipeline.provenance.route: pipeline for pipeline in given}, False
    from realtime_nb.pipelines.factory import pipelines

    return {made.provenance.route: made for made in pipelines(**options)}, True
