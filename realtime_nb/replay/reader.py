"""A recording, read back: also one that was cut off, or that a newer version made."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt

from realtime_nb.audio import AudioClip
from realtime_nb.errors import ConfigurationError
from realtime_nb.protocol.session_config import AudioFormat
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
from realtime_nb.session.regions import Region
from realtime_nb.session.transcript import TranscriptLine

from .event_file import EventFile, unread_note
from .recorded_turn import RecordedTurn

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider
    from pandas import DataFrame

    from .connections import Connection
    from .pace import Speed
    from .rebuild import Rebuilt
    from .replaying import Replaying

UNKNOWN = "(unknown)"


class Recording:
    """A folder that `session.record` wrote. Make one with `Recording.open`.

    Nothing but the index is read before it is asked for, so that an hour opens at once.

    Attributes:
        path: the folder.
        manifest: what made it.
        notes: what is odd about it, in words: cut off, newer, lines that could not be read.
    """

    def __init__(self, path: Path, manifest: Manifest, notes: list[str]) -> None:
        self.path = path
        self.manifest = manifest
        self._notes = dict.fromkeys(notes, "")

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Recording:
        """Open a recording.

        Raises:
            ConfigurationError: there is none, or it cannot be read.
        """
        folder = Path(path)
        try:
            what = "" if folder.is_dir() else "is a file" if folder.exists() else "does not exist"
        except OSError as problem:  # a name that is too long
            what = f"cannot be looked at: {problem.strerror}"
        if what:
            raise ConfigurationError(f"{folder} {what}.", what_now="Give the folder that session.record() wrote.")
        if not any((folder / name).is_file() for name in (MANIFEST, EVENTS, AUDIO)):
            raise ConfigurationError(
                f"{folder} holds no recording.", what_now="Give the folder that session.record() wrote."
            )
        notes: list[str] = []
        try:
            manifest = _manifest(folder, notes)
        except OSError as problem:
            raise ConfigurationError(
                f"{folder} cannot be read: {problem.strerror or problem}.", what_now="Check its permissions."
            ) from problem
        return cls(folder, manifest, [*notes, *_manifest_notes(manifest)])

    @property
    def notes(self) -> list[str]:
        """What is odd about it, in words."""
        return [note or key for key, note in self._notes.items()]

    # --- what is in the files -----------------------------------------------------------------------------------

    @functools.cached_property
    def event_file(self) -> EventFile:
        """The events in place."""
        return EventFile(self.path, functools.partial(self._note, EVENTS))

    def events(self) -> Iterator[RecordedEvent]:
        """Yield the wire events in order; what cannot be read is passed over and noted."""
        return self.event_file.events()

    def marks(self) -> Iterator[Mark]:
        """Yield the marks in order."""
        path, decoder, unread = self.path / MARKS, msgspec.json.Decoder(Mark), 0
        if not path.exists():
            return
        with path.open("rb") as file:
            for line in file:
                try:
                    yield decoder.decode(line)
                except (msgspec.DecodeError, UnicodeError):
                    unread += 1
        if unread:
            self._note(MARKS, unread_note(unread, MARKS))

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

    @property
    def duration_ms(self) -> float:
        """From the session's beginning to the last event or sample."""
        entries = self.event_file.entries
        last_ms = float(entries["time_ns"].max()) / 1e6 if len(entries) else 0.0
        return max(last_ms, len(self.stereo()) * 1000 / SAMPLE_RATE_HZ)

    # --- what happened ------------------------------------------------------------------------------------------

    @functools.cached_property
    def _rebuilt(self) -> Rebuilt:
        from .rebuild import rebuild

        return rebuild(self)

    @functools.cached_property
    def connections(self) -> list[Connection]:
        """The connections in order: more than one when the session broke and came back."""
        from .connections import connections

        return connections(self)

    def turns(self) -> list[RecordedTurn]:
        """Return the turns, rebuilt from the events by the same code that built them live; audio is read when used."""
        return list(self._rebuilt.turns)

    @property
    def transcript(self) -> list[TranscriptLine]:
        """The transcript of both sides, in order."""
        return list(self._rebuilt.transcript)

    @property
    def regions(self) -> list[Region]:
        """Speech, hold and response spans on the session's clock."""
        return list(self._rebuilt.regions)

    def began_ms(self, item_id: str) -> float | None:
        """Return when an item began to be said or was added, None when it is not known."""
        return self._rebuilt.began_ms.get(item_id)

    @property
    def input_format(self) -> AudioFormat:
        """The wire's format of the user's audio, as it was at the end."""
        return self._rebuilt.input_format

    def append_durations_ms(self) -> npt.NDArray[np.float64]:
        """Return how much audio each `input_audio_buffer.append` carried, in their order."""
        return np.diff(self._rebuilt.tape.ends_ms, prepend=0.0)

    @property
    def settings(self) -> dict[str, Any]:
        """The session object as the server last sent it."""
        return dict(self._rebuilt.settings)

    # --- what becomes of it -------------------------------------------------------------------------------------

    def replay(self, *, speed: Speed = 1.0, watch: bool = True) -> Replaying:
        """Replay it as a session, with no server: `async with recording.replay() as session:`, or await it.

        Args:
            speed: 1.0 as recorded, another factor, "fast" without waiting, or "step" for `Replaying.step()`.
            watch: True does again what both sides did, and closes at the end; False plays the server only, which
                answers what you do with what was recorded.

        Raises:
            ConfigurationError: when waited for: a speed that is none.
        """
        from .replaying import Replaying

        return Replaying(self, speed=speed, watch=watch)

    def to_html(self, path: str | os.PathLike[str], *, title: str = "") -> Path:
        """Write one self-contained page: player, waveforms, events, timelines, transcript. It needs no network.

        Raises:
            ConfigurationError: the file cannot be written.
        """
        from .export_html import write_page

        return write_page(self, Path(path), title=title)

    def to_pandas(self) -> DataFrame:
        """Return one row a turn: what was said, how it ended, every stage in ms. See `realtime_nb.replay.tables`.

        Raises:
            MissingExtra: pandas is not installed.
        """
        from .tables import to_pandas

        return to_pandas(self)

    def to_parquet(self, path: str | os.PathLike[str]) -> Path:
        """Write the rows of `to_pandas` with their provenance, and return the path.

        Raises:
            MissingExtra: pyarrow is not installed.
        """
        from .tables import to_parquet

        return to_parquet(self, Path(path))

    def to_spans(self, tracer_provider: TracerProvider | None = None, *, content: bool = False) -> int:
        """Give the session to OpenTelemetry as spans, and return how many. See `realtime_nb.replay.telemetry`.

        Raises:
            MissingExtra: the OpenTelemetry SDK is not installed.
            ConfigurationError: no tracer provider was given or set up.
        """
        from .telemetry import to_spans

        return to_spans(self, tracer_provider, content=content)

    def _note(self, about: str, note: str) -> None:
        self._notes[about] = note

    def __repr__(self) -> str:
        seconds = len(self.stereo()) / SAMPLE_RATE_HZ
        odd = f", {' '.join(self.notes)}" if self.notes else ""
        return f"<Recording {self.path.name}: {seconds:.1f} s, {self.manifest.created}, {self.manifest.endpoint}{odd}>"

    def _repr_html_(self) -> str:
        from .card import card_html

        return card_html(self)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))


def _manifest(folder: Path, notes: list[str]) -> Manifest:
    """Return the manifest, or what can be made of it; without one the files still count."""
    raw: Any = {}
    path = folder / MANIFEST
    if not path.exists():
        notes.append("It has no manifest: what made it is not known.")
    else:
        try:
            raw = msgspec.json.decode(path.read_bytes())
        except (msgspec.DecodeError, UnicodeError):
            notes.append("Its manifest cannot be read: what made it is not known.")
    if not isinstance(raw, dict):
        notes.append("Its manifest is not one: what made it is not known.")
        raw = {}
    created = datetime.fromtimestamp(folder.stat().st_mtime).astimezone().isoformat(timespec="seconds")
    manifest = Manifest(created=created, realtime_nb=UNKNOWN, python=UNKNOWN, machine=UNKNOWN, endpoint=UNKNOWN)
    for field in msgspec.structs.fields(Manifest):
        if field.encode_name in raw:
            try:
                setattr(manifest, field.name, msgspec.convert(raw[field.encode_name], field.type))
            except msgspec.ValidationError:
                notes.append(f"Its manifest's {field.name} is of another kind than this version knows.")
    return manifest


def _manifest_notes(manifest: Manifest) -> list[str]:
    notes = list(manifest.notes)
    if manifest.schema_version > SCHEMA_VERSION:
        notes.append(
            f"It was made by a newer version (schema {manifest.schema_version}; this one knows {SCHEMA_VERSION}): "
            "what is unknown is passed over."
        )
    if manifest.failure is not None:
        notes.append(f"Writing stopped before the session did: {manifest.failure}")
    if manifest.dropped:
        notes.append(f"{manifest.dropped} things were not written; mostly that is a disk that was too slow.")
    if manifest.ended is None:
        notes.append("It was cut off: the session did not end it.")
    return notes
