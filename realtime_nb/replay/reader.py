"""A recording, read back: also one that was cut off, or that a newer version made."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np

from realtime_nb.audio import AudioClip
from realtime_nb.errors import ConfigurationError
from realtime_nb.protocol import server_events as se
from realtime_nb.protocol.client import ClientProtocol
from realtime_nb.recording.format import (
    AUDIO,
    CHANNELS,
    EVENTS,
    MANIFEST,
    MARKS,
    SAMPLE_RATE_HZ,
    SCHEMA_VERSION,
    WAV_HEADER_BYTES,
    Manifest,
    Mark,
    RecordedEvent,
)
from realtime_nb.session.event_log import LoggedEvent
from realtime_nb.session.input_tape import InputTape
from realtime_nb.session.observers import Observers
from realtime_nb.session.turn import Turn
from realtime_nb.session.turn_builder import TurnBuilder

Line = TypeVar("Line", RecordedEvent, Mark)


class Recording:
    """A folder that `session.record` wrote. Make one with `Recording.open`.

    Attributes:
        path: the folder.
        manifest: what made it.
        notes: what is odd about it, in words: cut off, newer, lines that could not be read.
    """

    def __init__(self, path: Path, manifest: Manifest, notes: list[str]) -> None:
        self.path = path
        self.manifest = manifest
        self.notes = notes

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Recording:
        """Open a recording.

        Raises:
            ConfigurationError: there is none, or nothing of it can be understood.
        """
        folder = Path(path)
        try:
            raw = msgspec.json.decode((folder / MANIFEST).read_bytes())
            manifest = msgspec.convert(raw, Manifest)
        except FileNotFoundError as problem:
            raise ConfigurationError(
                f"{folder} holds no recording.", what_now="Give the folder that session.record() wrote."
            ) from problem
        except (msgspec.DecodeError, OSError) as problem:
            raise ConfigurationError(f"The manifest of {folder} cannot be read: {problem}.") from problem
        notes = []
        if manifest.schema_version > SCHEMA_VERSION:
            notes.append(
                f"It was made by a newer version (schema {manifest.schema_version}; this one knows {SCHEMA_VERSION}): "
                "what is unknown is passed over."
            )
        if manifest.ended is None:
            notes.append("It was cut off: the session did not end it.")
        return cls(folder, manifest, notes)

    def events(self) -> Iterator[RecordedEvent]:
        """Yield the wire events in order; what cannot be read is passed over and noted."""
        return self._lines(EVENTS, RecordedEvent)

    def marks(self) -> Iterator[Mark]:
        """Yield the marks in order."""
        return self._lines(MARKS, Mark)

    def stereo(self) -> np.ndarray[tuple[int, int], np.dtype[np.int16]]:
        """Return both voices, int16 (n_samples, 2) at 24 kHz, mapped from the file: left user, right assistant."""
        path = self.path / AUDIO
        n_frames = max(0, path.stat().st_size - WAV_HEADER_BYTES) // (CHANNELS * 2) if path.exists() else 0
        if n_frames == 0:
            return np.zeros((0, CHANNELS), np.int16)
        return np.memmap(path, dtype=np.int16, mode="r", offset=WAV_HEADER_BYTES, shape=(n_frames, CHANNELS))

    @property
    def user_audio(self) -> AudioClip:
        """The user's channel."""
        return AudioClip(np.ascontiguousarray(self.stereo()[:, 0]), SAMPLE_RATE_HZ, title="user")

    @property
    def assistant_audio(self) -> AudioClip:
        """The assistant's channel, as heard."""
        return AudioClip(np.ascontiguousarray(self.stereo()[:, 1]), SAMPLE_RATE_HZ, title="assistant as heard")

    def turns(self) -> list[Turn]:
        """Return the turns, rebuilt from the events by the same code that built them live."""
        protocol = ClientProtocol(retrieve_after_truncate=False)
        builder = TurnBuilder(Observers(), InputTape())
        for line in self.events():
            if line.direction == "received" and line.event is not None:
                self._replay(line, protocol, builder)
        return builder.history

    def _replay(self, line: RecordedEvent, protocol: ClientProtocol, builder: TurnBuilder) -> None:
        frame = msgspec.json.encode(line.event).decode()
        event = protocol.receive(frame)
        kind = str((line.event or {}).get("type", ""))
        logged = LoggedEvent(line.sequence, line.time_ns / 1e6, line.direction, kind, frame)
        builder.take(event, logged, protocol.config)
        if isinstance(event, se.OutputAudioDelta) and event.response_id in builder.turns:
            builder.turns[event.response_id].add_audio(event.delta)
        if isinstance(event, se.ResponseDone):
            builder.finish(event.response.id)

    def _lines(self, name: str, kind: type[Line]) -> Iterator[Line]:
        path = self.path / name
        decoder = msgspec.json.Decoder(kind)
        unread = 0
        if path.exists():
            with path.open("rb") as file:
                for line in file:
                    try:
                        yield decoder.decode(line)
                    except (msgspec.DecodeError, UnicodeError):
                        unread += 1
        if unread:
            self._note(f"{unread} lines of {name} could not be read (a recording cut off ends in half a line).")

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)

    def __repr__(self) -> str:
        seconds = len(self.stereo()) / SAMPLE_RATE_HZ
        odd = f", {' '.join(self.notes)}" if self.notes else ""
        return f"<Recording {self.path.name}: {seconds:.1f} s, {self.manifest.created}, {self.manifest.endpoint}{odd}>"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))
