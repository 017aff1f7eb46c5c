"""A turn of a recording: as it was live, its audio read from the file when it is used."""

from __future__ import annotations

import base64
import functools
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import numpy.typing as npt

from realtime_nb.audio import AudioClip
from realtime_nb.protocol.session_config import AudioFormat, AudioPcm, bytes_per_ms
from realtime_nb.session.input_tape import STEADY_MS, InputTape
from realtime_nb.session.output_audio import WireAudioDecoder
from realtime_nb.session.turn import Turn
from realtime_nb.session.turn_timeline import turn_timeline
from realtime_nb.timing.marks import Timeline

if TYPE_CHECKING:
    from .event_file import EventFile


class Span(bytes):
    """Stands for a stretch of the user's audio, on the tape's count from the session's beginning, in ms."""

    start_ms: float
    end_ms: float


class RecordedTape(InputTape):
    """Knows when each append of the recording was sent, and hands out stretches instead of sound.

    Args:
        times_ms: when each was sent.
        durations_ms: how much audio each carried.
    """

    def __init__(self, times_ms: npt.NDArray[np.float64], durations_ms: npt.NDArray[np.float64]) -> None:
        super().__init__()
        self.times_ms = times_ms
        self.ends_ms = np.cumsum(durations_ms)
        self.n_sent = 0
        self._first = 0

    @property
    def _base_ms(self) -> float:
        return float(self.ends_ms[self._first - 1]) if self._first else 0.0

    @property
    def end_ms(self) -> float:
        """All audio appended so far on this connection."""
        return float(self.ends_ms[self.n_sent - 1]) - self._base_ms if self.n_sent > self._first else 0.0

    def restart(self) -> None:
        """Count from 0 again: a new connection began."""
        self._first = self.n_sent

    def slice(self, start_ms: float, end_ms: float) -> bytes:
        """Return the name of a stretch."""
        span = Span()
        span.start_ms, span.end_ms = start_ms + self._base_ms, end_ms + self._base_ms
        return span

    def session_ms(self, tape_ms: float, *, begins: bool = False) -> float:
        """As live: when the tape's millisecond was spoken."""
        return self.spoken_ms(tape_ms + self._base_ms, begins=begins, first=self._first, last=self.n_sent)

    def spoken_by_ms(self, tape_ms: float) -> float:
        """As live, from the chunks around that moment."""
        ends = self.ends_ms[self._first : self.n_sent] - self._base_ms
        near = slice(*np.searchsorted(ends, [tape_ms - 2 * STEADY_MS, tape_ms + STEADY_MS]).tolist())
        times = self.times_ms[self._first : self.n_sent][near]
        self._arrivals = deque(zip(ends[near].tolist(), times.tolist(), strict=True))
        return super().spoken_by_ms(tape_ms)

    def spoken_ms(self, total_ms: float, *, begins: bool = False, first: int = 0, last: int | None = None) -> float:
        """Return when a moment on the count from the session's beginning was spoken."""
        ends = self.ends_ms[first:last]
        if len(ends) == 0:
            return 0.0
        chunk = min(int(np.searchsorted(ends, total_ms, side="right" if begins else "left")), len(ends) - 1)
        return float(self.times_ms[first + chunk]) - (float(ends[chunk]) - total_ms)


class SoundSource:
    """Reads the audio of appends and deltas out of a recording.

    Args:
        file: the events.
        appends: entry numbers of the audio sent.
        tape: their times.
        format_of: the input's format at an entry.
    """

    def __init__(
        self,
        file: EventFile,
        appends: npt.NDArray[np.intp],
        tape: RecordedTape,
        format_of: Callable[[int], AudioFormat],
    ) -> None:
        self._file = file
        self._appends = appends
        self._tape = tape
        self._format_of = format_of

    def answer(self, numbers: list[int], audio_format: AudioFormat) -> bytes:
        """Return what these deltas carry as 24 kHz PCM16."""
        decoder = WireAudioDecoder()
        return b"".join(decoder.decode(_payload(self._file.line(number)), audio_format) for number in numbers)

    def question(self, span: Span) -> bytes:
        """Return a stretch of what was sent as 24 kHz PCM16."""
        ends = self._tape.ends_ms
        first = int(np.searchsorted(ends, span.start_ms, side="right"))
        last = min(int(np.searchsorted(ends, span.end_ms, side="left")), len(ends) - 1)
        if first > last:
            return b""
        decoder = WireAudioDecoder()
        numbers = self._appends[first : last + 1].tolist()
        pcm16 = b"".join(decoder.decode(_payload(self._file.line(n)), self._format_of(n)) for n in numbers)
        began_ms = float(ends[first - 1]) if first else 0.0
        start = max(0, int((span.start_ms - began_ms) * 24) * 2)
        return pcm16[start : start + int((span.end_ms - span.start_ms) * 24) * 2]


class RecordedTurn(Turn):
    """A turn read back. `audio` and `user_audio` are read from the file at first use.

    Attributes:
        deltas: the entries of the events file that carry its answer's audio.
        spans: stretches of the user's audio that it answers.
    """

    source: SoundSource | None = None
    audio_format: AudioFormat = AudioPcm()

    def __init__(self, response_id: str, user_item_ids: list[str], *, out_of_band: bool = False) -> None:
        super().__init__(response_id, user_item_ids, out_of_band=out_of_band)
        self.deltas: list[int] = []
        self.delta_bytes = 0
        self.spans: list[Span] = []

    @property
    def audio_duration_ms(self) -> float:
        """How long the answer's audio is, without reading it."""
        return self.delta_bytes / bytes_per_ms(self.audio_format)

    def add_user_audio(self, pcm16: bytes) -> None:
        """Note a stretch."""
        if isinstance(pcm16, Span):
            self.spans.append(pcm16)

    @functools.cached_property
    def timeline(self) -> Timeline:
        """Where the time went, from the question that caused it; what could not be measured says why."""
        held = set(self.__dict__)
        found = turn_timeline(self)
        for name in {"audio", "user_audio"} - held:  # an hour of them need not stay in memory for this
            self.__dict__.pop(name, None)
        return found

    @functools.cached_property
    def audio(self) -> AudioClip:
        """The assistant's audio as received, 24 kHz; may be empty."""
        pcm16 = self.source.answer(self.deltas, self.audio_format) if self.source else b""
        return _clip(pcm16, "assistant", self.transcript)

    @functools.cached_property
    def user_audio(self) -> AudioClip | None:
        """The user's audio as sent, 24 kHz; None for a typed turn."""
        pcm16 = b"".join(self.source.question(span) for span in self.spans) if self.source else b""
        return _clip(pcm16, "user", self.user_transcript) if pcm16 else None

    def __repr__(self) -> str:
        cut = f", interrupted by {self.interrupted} after {self.heard_ms} ms" if self.interrupted else ""
        return (
            f"<RecordedTurn {self.status}{cut}: {self.user_transcript!r} → {self.transcript!r}, "
            f"{self.audio_duration_ms / 1000:.1f} s of audio, {len(self.events)} events>"
        )


class _Carried(msgspec.Struct):
    delta: str = ""
    audio: str = ""


class _Line(msgspec.Struct):
    event: _Carried


_payload_decoder = msgspec.json.Decoder(_Line)


def _payload(line: bytes) -> bytes:
    """Return the audio that a line carries; b"" when it was redacted or cannot be read."""
    try:
        carried = _payload_decoder.decode(line).event
        return base64.b64decode(carried.delta or carried.audio, validate=True)
    except (msgspec.DecodeError, UnicodeError, ValueError):
        return b""


def _clip(pcm16: bytes, title: str, transcript: str) -> AudioClip:
    whole = pcm16[: len(pcm16) - len(pcm16) % 2]
    return AudioClip(np.frombuffer(whole, dtype="<i2").astype(np.int16), title=title, transcript=transcript)
