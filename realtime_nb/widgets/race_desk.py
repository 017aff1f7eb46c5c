"""The race's work on the runtime loop: commands of the views, events of the lanes, sound to the link."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Mapping

from realtime_nb.audio import AudioClip
from realtime_nb.errors import ConfigurationError, RealtimeError
from realtime_nb.pipelines.base import Pipeline, PipelineEvent, PipelineTurn, Spoken
from realtime_nb.runtime import Runtime
from realtime_nb.studies.comparison import Comparison
from realtime_nb.timing.clock import monotonic_ms
from realtime_nb.widgets import messages
from realtime_nb.widgets.base import Desk
from realtime_nb.widgets.link_client import LinkClient
from realtime_nb.widgets.race_lane import Lane
from realtime_nb.widgets.race_rows import FAIRNESS, RaceRow, TableRow
from realtime_nb.widgets.race_run import RaceRun
from realtime_nb.widgets.race_tables import saved_lanes, table_row

__all__ = ["RaceDesk"]

BATCH_S = 0.1
CHUNK_BYTES = 32_000
SOUND = "race"

_stream_ids = itertools.count(1)


class RaceDesk(Desk):
    """One Race widget. Everything on the runtime loop.

    Args:
        engine_room: the runtime.
        send: the widget's `send`.
        clip: the question; None when only saved runs are shown.
        pipelines: who races, by name.
        owns_pipelines: whether they are closed with the desk.
        warm_up: what every lane is asked once before the first race.
        measured: interleaved runs to show below.
        publish: gets what is to be shown, at most ten times a second.
    """

    def __init__(
        self,
        engine_room: Runtime,
        send: Callable[..., None],
        clip: AudioClip | None,
        pipelines: Mapping[str, Pipeline],
        measured: Comparison | None,
        publish: Callable[[RaceRow], None],
        *,
        owns_pipelines: bool = False,
        warm_up: AudioClip | None = None,
    ) -> None:
        super().__init__(engine_room, send)
        self.clip = clip
        self.measured = measured
        self.tables: list[TableRow] = []
        self._owned = list(pipelines.values()) if owns_pipelines else []
        self._publish_row = publish
        self._run = RaceRun(
            clip or AudioClip.silence(0),
            on_change=self._changed,
            on_event=self._on_event,
            on_begin=self._begin,
            warm_up=warm_up,
        )
        self._racing: asyncio.Task[list[list[PipelineTurn]]] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._question_stream_id = 0
        self._question = b""
        self._commands |= {"start": self._start_command, "stop": self._stop_command}
        self._run.lanes = [Lane(name, pipeline) for name, pipeline in pipelines.items()]

    @property
    def raced(self) -> Comparison:
        """The races so far, as a comparison of runs that competed."""
        return self._run.comparison

    @property
    def raced_often(self) -> bool:
        """Whether a table of the races has a meaning: a single race has no median."""
        return len({row.repeat for row in self._run.rows}) > 1

    @property
    def row(self) -> RaceRow:
        """What is shown."""
        run = self._run
        if self.clip is None and self.measured is not None:
            lanes = saved_lanes(self.measured)
        else:
            lanes = [lane.row(run.began_ms) for lane in run.lanes]
        return RaceRow(
            state="saved" if self.clip is None else run.state,
            race=run.race,
            races=run.races,
            now_ms=max(0.0, monotonic_ms() - run.began_ms) if run.state == "racing" else 0.0,
            clip_title=self.clip.title
            if self.clip is not None
            else ", ".join(self.measured.clips if self.measured else ()),
            clip_ms=float(self.clip.duration_ms) if self.clip is not None else 0.0,
            question_stream_id=self._question_stream_id,
            lanes=lanes,
            tables=self.tables,
            fairness=FAIRNESS,
        )

    # --- verbs --------------------------------------------------------------------------------------------------

    async def run(self, races: int) -> list[list[PipelineTurn]]:
        """Race and return each race's turns; what was there when it was stopped by a button.

        Cancelling the caller stops the race.

        Raises:
            RealtimeError: a race is on already, or no lane could be made ready.
        """
        if self.clip is None:
            raise ConfigurationError("There is no clip to race with.", what_now="Make the widget with Race(clip).")
        self._demand_rest()
        task = self._racing = asyncio.get_running_loop().create_task(self._race(races), name="race")
        self.keep(task)
        try:
            await asyncio.wait([task])
        finally:
            task.cancel()
            await asyncio.wait([task])
            self._racing = None
            self._changed()
        return [] if task.cancelled() else task.result()

    async def stop(self) -> None:
        """Stop the race and wait until it has ended. Fine when there is none."""
        task = self._racing
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def show(self, measured: Comparison) -> None:
        """Show the medians of interleaved runs."""
        self.measured = measured
        await self._make_tables()

    async def close(self) -> None:
        """Stop the race, close pipelines of its own, end the link. Idempotent."""
        if self.closed:
            return
        await self.stop()
        await super().close()
        if self._timer is not None:
            self._timer.cancel()
        for pipeline in self._owned:
            with contextlib.suppress(Exception):
                await pipeline.aclose()
        self._owned.clear()

    async def _race(self, races: int) -> list[list[PipelineTurn]]:
        assert self.clip is not None
        if not self._question:
            clip = self.clip
            self._question = await asyncio.to_thread(lambda: clip.resampled(24_000).pcm16_bytes())
        try:
            return await self._run.run(races)
        finally:
            self.spawn(self._make_tables())

    async def _make_tables(self) -> None:
        made = []
        if self.measured is not None:
            made.append(await asyncio.to_thread(table_row, self.measured, measured=True))
        if self.raced_often:
            made.append(await asyncio.to_thread(table_row, self.raced, measured=False))
        self.tables = made
        self._changed()

    # --- commands -----------------------------------------------------------------------------------------------

    async def _start_command(self, client: LinkClient, command: messages.Command) -> None:
        self.link.activate(client.client_id)
        self._demand_rest()
        races = command.arguments.get("races", 1)
        self.spawn(self.run(races if isinstance(races, int) else 1))

    def _demand_rest(self) -> None:
        if self._racing is not None:
            raise RealtimeError("A race is on already.", what_now="Wait for its end, or stop it.")

    async def _stop_command(self, client: LinkClient, command: messages.Command) -> None:
        await self.stop()

    # --- what the race tells ------------------------------------------------------------------------------------

    def _begin(self) -> None:
        for lane in self._run.lanes:
            lane.stream_id = next(_stream_ids)
        self._question_stream_id = next(_stream_ids)
        self._say(self._question_stream_id, self._question)

    def _on_event(self, index: int, event: PipelineEvent) -> None:
        if isinstance(event, Spoken):
            self._say(self._run.lanes[index].stream_id, event.pcm16)

    def _say(self, stream_id: int, pcm16: bytes) -> None:
        client = self._link.active if self._link is not None else None
        if client is not None:
            for start in range(0, len(pcm16), CHUNK_BYTES):
                client.outbox.put_audio(stream_id, SOUND, pcm16[start : start + CHUNK_BYTES])

    def _changed(self) -> None:
        if self._timer is None and not self.closed:
            self._timer = self.runtime.loop.call_later(BATCH_S, self._publish)

    def _publish(self) -> None:
        self._timer = None
        if not self.closed:
            self._publish_row(self.row)
