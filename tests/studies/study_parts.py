"""What a cluster's workers import: pipelines that break on purpose, by functions of a module."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

from realtime_nb.audio import AudioClip
from realtime_nb.pipelines.base import Pipeline, PipelineEvent
from realtime_nb.studies.rows import Row
from tests.studies.fake_pipeline import FakePipeline

SHORT = AudioClip.silence(20)
"""Runs are in real time where there are processes."""


class Quick(FakePipeline):
    """Takes 20 ms, a hold of 500 ms left out."""

    hold_ms = 5.0


def quick(row: Row) -> Pipeline:
    return Quick(row.pipeline, 10.0 if row.pipeline == "realtime" else 20.0)  # type: ignore[arg-type]


class Killer(Quick):
    """Kills its process: the first time that this clip is asked anywhere, or every time."""

    def __init__(self, row: Row, folder: Path, *, always: bool) -> None:
        super().__init__(row.pipeline, 10.0)  # type: ignore[arg-type]
        self._folder = folder
        self._always = always

    async def run(self, clip: AudioClip) -> AsyncIterator[PipelineEvent]:
        died = self._folder / f"died-{clip.title}"
        if clip.title == "deadly" and (self._always or not died.exists()):
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        async for event in super().run(clip):
            yield event


def deadly_once(folder: Path, row: Row) -> Pipeline:
    return Killer(row, folder, always=False)


def deadly_always(folder: Path, row: Row) -> Pipeline:
    return Killer(row, folder, always=True)
