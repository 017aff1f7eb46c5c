"""Writes a recording as it happens, on a thread of its own: the loop only hands over."""

from __future__ import annotations

import contextlib
import os
import platform
import queue
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np

from realtime_nb.errors import ConfigurationError

from .format import AUDIO, EVENTS, MANIFEST, MARKS, Manifest, Mark, RecordedEvent
from .stereo import StereoFile

QUEUE_JOBS = 20_000
FLUSH_EVERY_S = 0.25

_encoder = msgspec.json.Encoder()


def manifest_for(*, endpoint: str, engine: str, model: str, version: str) -> Manifest:
    """Return a manifest of this machine and this moment."""
    return Manifest(
        created=datetime.now().astimezone().isoformat(timespec="seconds"),
        realtime_nb=version,
        python=platform.python_version(),
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        endpoint=endpoint,
        engine=engine,
        model=model,
    )


class RecordingWriter:
    """One recording being written. Every method but `close` returns at once and may be called from any thread.

    Attributes:
        dropped: jobs thrown away because the disk was too slow; 0 in a good recording.
        failure: why writing stopped, None while it goes well.

    Raises:
        ConfigurationError: the folder exists and is not empty, or cannot be made.
    """

    def __init__(self, path: str | os.PathLike[str], manifest: Manifest) -> None:
        self.path = Path(path)
        self.manifest = manifest
        self.dropped = 0
        self.failure: OSError | None = None
        self._finished = False
        self._jobs: queue.Queue[Callable[[], None] | None] = queue.Queue(QUEUE_JOBS)
        self._prepare()
        self._stereo = StereoFile(self.path / AUDIO)
        self._events: BinaryIO = (self.path / EVENTS).open("ab")
        self._marks: BinaryIO = (self.path / MARKS).open("ab")
        self._write_manifest()
        self._thread = threading.Thread(target=self._work, name="realtime_nb-recording", daemon=True)
        self._thread.start()

    def _prepare(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if any(self.path.iterdir()):
                raise ConfigurationError(
                    f"{self.path} is not empty.", what_now="Give a new folder; a recording is never written over."
                )
        except OSError as problem:
            raise ConfigurationError(f"No recording can be written to {self.path}: {problem}.") from problem

    # --- what happened ------------------------------------------------------------------------------------------

    def event(self, event: RecordedEvent) -> None:
        """Add a wire event."""
        self._put(lambda: self._events.write(_encoder.encode(event) + b"\n"))

    def mark(self, name: str, time_ns: int, **details: Any) -> None:
        """Add a moment that is no wire event."""
        self._put(lambda: self._marks.write(_encoder.encode(Mark(name=name, time_ns=time_ns, details=details)) + b"\n"))

    def audio(self, channel: int, position: int, pcm16: bytes) -> None:
        """Put 24 kHz PCM16 at sample `position` of channel 0 (user) or 1 (assistant)."""
        self._put(lambda: self._stereo.write(channel, max(0, position), np.frombuffer(pcm16, dtype="<i2")))

    def finish(self, ended: str | None = None) -> None:
        """Take no more, write what is waiting, then end the thread; returns at once. Twice is fine."""
        if self._finished:
            return
        self._finished = True
        self.manifest.ended = ended
        threading.Thread(target=self._jobs.put, args=(None,), daemon=True).start()

    def close(self, ended: str | None = None) -> None:
        """As `finish`, and wait until the files are complete. Closing twice is fine."""
        self.finish(ended)
        self._thread.join()

    # --- the thread ---------------------------------------------------------------------------------------------

    def _put(self, job: Callable[[], Any]) -> None:
        if self._finished:
            return
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            self.dropped += 1

    def _work(self) -> None:
        try:
            while self._drain():
                self._events.flush()
                self._marks.flush()
            self._write_manifest()
        except OSError as failure:
            self.failure = failure
        finally:
            for file in (self._events, self._marks, self._stereo):
                with contextlib.suppress(OSError):
                    file.close()

    def _drain(self) -> bool:
        """Run what is waiting; False when told to end."""
        with contextlib.suppress(queue.Empty):
            job = self._jobs.get(timeout=FLUSH_EVERY_S)
            for _ in range(1000):
                if job is None:
                    return False
                job()
                job = self._jobs.get_nowait()
        return True

    def _write_manifest(self) -> None:
        part = self.path / f"{MANIFEST}.part"
        part.write_bytes(msgspec.json.format(_encoder.encode(self.manifest), indent=2))
        part.replace(self.path / MANIFEST)
