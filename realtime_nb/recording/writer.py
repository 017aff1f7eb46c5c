"""Writes a recording as it happens, on a thread of its own: the loop only hands over."""

from __future__ import annotations

import contextlib
import errno
import importlib.metadata
import logging
import os
import platform
import queue
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec
import numpy as np

from realtime_nb.errors import ConfigurationError

from .format import AUDIO, EVENTS, INDEX, MANIFEST, MARKS, Manifest, Mark, RecordedEvent
from .index import APPEND, AUDIO_DELTA, ENTRY, kind_of
from .redaction import redacted
from .secrets import Scrubber, bare_url
from .stereo import StereoFile

QUEUE_JOBS = 20_000
FLUSH_EVERY_S = 0.2
JOBS_PER_FLUSH = 1000
TOO_DEEP = "(left out: nested too deeply to be searched for secrets)"
PACKAGES = ("msgspec", "numpy", "websockets")

logger = logging.getLogger(__name__)
_encoder = msgspec.json.Encoder()


def manifest_for(*, endpoint: str, engine: str, model: str, version: str, session_age_ms: float = 0.0) -> Manifest:
    """Return a manifest of this machine and this moment. `session_age_ms`: how long the session runs already."""
    now = datetime.now().astimezone()
    return Manifest(
        created=now.isoformat(timespec="milliseconds"),
        session_began=(now - timedelta(milliseconds=session_age_ms)).isoformat(timespec="microseconds"),
        realtime_nb=version,
        python=platform.python_version(),
        packages={name: importlib.metadata.version(name) for name in PACKAGES},
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        endpoint=bare_url(endpoint),
        engine=engine,
        model=model,
    )


class RecordingWriter:
    """One recording being written. Every method but `close` returns at once and may be called from any thread.

    Args:
        path: a folder that is not there or empty.
        manifest: what made it; `manifest.redacted` says what is left out.
        scrubber: takes secrets out; it is this writer's from now on.
        on_failure: called once, on the writer's thread, when writing stops because the disk failed.
        on_end: called once, on the writer's thread, when the files are complete.

    Attributes:
        dropped: things not written, because the disk was too slow or they were too odd; 0 in a good recording.
        failure: why writing stopped, None while it goes well.
        thread: ends when the files are complete.

    Raises:
        ConfigurationError: the folder exists and is not empty, or cannot be made.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        manifest: Manifest,
        *,
        scrubber: Scrubber | None = None,
        on_failure: Callable[[OSError], None] = lambda failure: None,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self.path = Path(path)
        self.manifest = manifest
        self.dropped = 0
        self.failure: OSError | None = None
        self._scrubber = scrubber or Scrubber()
        self._on_failure, self._on_end = on_failure, on_end
        self._finished = False
        self._ending = threading.Event()
        self._ended: str | None = None
        self._offset = 0
        self._jobs: queue.Queue[Callable[[], None]] = queue.Queue(QUEUE_JOBS)
        try:
            self._open()
        except (OSError, ValueError) as problem:
            raise ConfigurationError(
                f"No recording can be written to {self.path}: {getattr(problem, 'strerror', None) or problem}.",
                what_now="Give a folder on a disk with room that you may write to.",
            ) from problem
        self.thread = threading.Thread(target=self._work, name="realtime_nb-recording", daemon=True)
        self.thread.start()

    def _open(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        if any(self.path.iterdir()):
            raise ConfigurationError(
                f"{self.path} is not empty.", what_now="Give a new folder; a recording is never written over."
            )
        self._events: BinaryIO = (self.path / EVENTS).open("xb")  # of two that found it empty, one gets it
        self._write_manifest()
        self._stereo = StereoFile(self.path / AUDIO)
        self._marks: BinaryIO = (self.path / MARKS).open("ab")
        self._index: BinaryIO = (self.path / INDEX).open("ab")

    @property
    def writing(self) -> bool:
        """Whether it still takes things: it was not finished, and the disk did not fail."""
        return not self._finished and self.failure is None

    @property
    def waiting(self) -> int:
        """Things handed over that are not written yet; from 20,000 on they are dropped and counted."""
        return self._jobs.qsize()

    # --- what happened ------------------------------------------------------------------------------------------

    def event(
        self, sequence: int, time_ns: int, direction: Literal["sent", "received"], event_type: str, frame: str
    ) -> None:
        """Add a wire event: its frame as it went over the wire; secrets are taken out on the way."""
        self._put(lambda: self._write_event(sequence, time_ns, direction, event_type, frame))

    def mark(self, name: str, time_ns: int, details: Mapping[str, Any]) -> None:
        """Add a moment that is no wire event."""
        self._put(lambda: self._write_mark(name, time_ns, details))

    def audio(self, channel: int, position: int, pcm16: bytes) -> None:
        """Put 24 kHz PCM16 at sample `position` of channel 0 (user) or 1 (assistant)."""
        self._put(lambda: self._stereo.write(channel, max(0, position), np.frombuffer(pcm16, dtype="<i2")))

    def finish(self, ended: str | None = None) -> None:
        """Take no more, write what is waiting, then end the thread; returns at once. Twice is fine."""
        if not self._finished:
            self._ended = ended
            self._finished = True
            self._ending.set()

    def close(self, ended: str | None = "The recording was closed.") -> None:
        """As `finish`, and wait until the files are complete. Closing twice is fine."""
        self.finish(ended)
        self.thread.join()

    # --- the thread ---------------------------------------------------------------------------------------------

    def _put(self, job: Callable[[], Any]) -> None:
        if not self.writing:
            return
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            self.dropped += 1

    def _work(self) -> None:
        try:
            finished = False
            while not (finished and self._jobs.empty()):
                finished = self._finished
                self._drain()
                for file in (self._events, self._index, self._marks, self._stereo):
                    file.flush()
                if os.fstat(self._events.fileno()).st_nlink == 0 and not self.path.exists():
                    raise FileNotFoundError(errno.ENOENT, "the folder was deleted")
                if self._jobs.empty():
                    self._ending.wait(FLUSH_EVERY_S)  # waking up for every event would cost more than writing it
        except OSError as failure:
            self._fail(failure)
            while not self._jobs.empty():
                self._jobs.get()
            self._ending.wait()
        finally:
            for closing in (self._events, self._marks, self._stereo, self._index):
                with contextlib.suppress(OSError):
                    closing.close()
            if self.failure is not None:
                with contextlib.suppress(OSError):  # it can be made again, and makes room for the manifest
                    (self.path / INDEX).unlink()
            self.manifest.dropped = self.dropped
            self.manifest.ended = None if self._ended is None else self._scrubber.text(self._ended)
            with contextlib.suppress(OSError):
                self._write_manifest()
            self._tell(self._on_end)

    def _drain(self) -> None:
        """Run what is waiting."""
        with contextlib.suppress(queue.Empty):
            for _ in range(JOBS_PER_FLUSH):
                self._do(self._jobs.get_nowait())

    def _do(self, job: Callable[[], None]) -> None:
        """Run a job; one that is odd beyond expectation must not end the recording."""
        try:
            job()
        except OSError:
            raise
        except Exception as problem:
            self.dropped += 1
            logger.exception("Something could not be written to the recording in %s.", self.path)
            note = f"Something could not be written ({type(problem).__name__})."
            if note not in self.manifest.notes:
                self.manifest.notes.append(note)

    def _fail(self, failure: OSError) -> None:
        self.failure = failure
        self.manifest.failure = str(failure)
        with contextlib.suppress(OSError):
            self._write_manifest()
        self._tell(self._on_failure, failure)

    def _tell(self, listener: Callable[..., None], *news: object) -> None:
        try:
            listener(*news)
        except Exception:
            logger.exception("Nobody could be told that the recording to %s stopped.", self.path)

    def _write_event(
        self, sequence: int, time_ns: int, direction: Literal["sent", "received"], event_type: str, frame: str
    ) -> None:
        kind, audio_bytes = kind_of(direction, event_type, frame)
        if kind in (APPEND, AUDIO_DELTA) and "audio" not in self.manifest.redacted:
            frame = self._scrubber.known_out(frame)
            head = f'{{"sequence":{sequence},"time_ns":{time_ns},"direction":"{direction}","event":'
            line = b"%b%b}\n" % (head.encode(), frame.encode())
        else:
            line = self._encoded(sequence, time_ns, direction, frame)
        self._events.write(line)
        self._index.write(ENTRY.pack(self._offset, time_ns, len(line), audio_bytes, kind))
        self._offset += len(line)

    def _encoded(self, sequence: int, time_ns: int, direction: Literal["sent", "received"], frame: str) -> bytes:
        raw = None
        try:
            event = msgspec.json.decode(frame)
            if isinstance(event, dict):
                event = redacted(self._scrubber.value(event), self.manifest.redacted)
        except msgspec.DecodeError:
            event = None
        except RecursionError:
            event, raw = None, TOO_DEEP
        if not isinstance(event, dict):
            event, raw = None, "(redacted)" if self.manifest.redacted else raw or self._scrubber.text(frame)
        line = RecordedEvent(sequence=sequence, time_ns=time_ns, direction=direction, event=event, raw=raw)
        return _encoder.encode(line) + b"\n"

    def _write_mark(self, name: str, time_ns: int, details: Mapping[str, Any]) -> None:
        details = redacted(self._scrubber.value(dict(details)), self.manifest.redacted)
        self._marks.write(_encoder.encode(Mark(name=name, time_ns=time_ns, details=details)) + b"\n")

    def _write_manifest(self) -> None:
        part = self.path / f"{MANIFEST}.part"
        try:
            part.write_bytes(msgspec.json.format(_encoder.encode(self.manifest), indent=2))
            part.replace(self.path / MANIFEST)
        except OSError:
            with contextlib.suppress(OSError):
                part.unlink()
            raise
