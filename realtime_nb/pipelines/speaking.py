"""A clip as a person would say it: frame by frame at the speed of speech, then silence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import numpy as np

from realtime_nb.audio import AudioClip
from realtime_nb.audio.clip import Pcm16
from realtime_nb.audio.format import PCM16_BYTES_PER_MS, WIRE_SAMPLE_RATE_HZ
from realtime_nb.audio.speech_bounds import FRAME_MS as BOUNDS_FRAME_MS
from realtime_nb.audio.speech_bounds import speech_bounds_ms
from realtime_nb.timing.clock import monotonic_ms
from realtime_nb.timing.marks import Marks

FRAME_MS = 20
FRAME_BYTES = FRAME_MS * PCM16_BYTES_PER_MS
SILENT_PEAK = 33
"""A peak below this (−60 dBFS) is no sound at all."""


class Speaking:
    """One clip being said. Making it measures the clip and may take a while: off the loop.

    A frame is given when its last sample has been spoken, never earlier. The clock is ideal: a
    frame that is late because the machine was busy does not move the end of the speech.

    Attributes:
        began_ms: when the first sample was spoken, on the machine's monotonic clock.
        said_ms: how much was given so far, silence included.
    """

    def __init__(self, clip: AudioClip) -> None:
        self._clip = clip if clip.sample_rate_hz == WIRE_SAMPLE_RATE_HZ else clip.resampled(WIRE_SAMPLE_RATE_HZ)
        self._pcm16 = self._clip.pcm16_bytes()
        known = self._clip.speech_end_ms is not None
        self._bounds_ms = None if known else _bounds_ms(self._clip.samples)
        self.began_ms = 0.0
        self.said_ms = 0

    @property
    def silent(self) -> bool:
        """Whether there is nothing in it that any detector could hear."""
        return bool(np.max(np.abs(self._clip.samples.astype(np.int32)), initial=0) < SILENT_PEAK)

    @property
    def after_ms(self) -> float:
        """How much silence was given after the clip; negative while it lasts."""
        return self.said_ms - self._clip.duration_ms

    async def frames(self) -> AsyncIterator[bytes]:
        """Yield frames of 20 ms (24 kHz PCM16), without end."""
        self.began_ms, self.said_ms = monotonic_ms(), 0
        while True:
            start = self.said_ms * PCM16_BYTES_PER_MS
            frame = self._pcm16[start : start + FRAME_BYTES]
            self.said_ms += FRAME_MS
            await asyncio.sleep(max(0.0, self.began_ms + self.said_ms - monotonic_ms()) / 1000)
            yield frame.ljust(FRAME_BYTES, b"\0")

    def mark_end(self, marks: Marks) -> None:
        """Note when the speech truly ends: as the clip says, else by energy, else why not."""
        if self._clip.speech_end_ms is not None:
            marks.set("speech_end", self.began_ms + self._clip.speech_end_ms)
        elif self._bounds_ms is None:
            marks.cannot("speech_end", "the clip does not say where its speech ends, and nothing in it stands out")
        else:
            marks.set("speech_end", self.began_ms + self._bounds_ms[1], error_ms=BOUNDS_FRAME_MS, source="derived")


def _bounds_ms(samples: Pcm16) -> tuple[float, float] | None:
    """Return where speech is; in a clip that is speech throughout, nothing stands out but from the silence after it."""
    after = np.zeros(FRAME_MS * 10 * WIRE_SAMPLE_RATE_HZ // 1000, np.int16)
    padded = np.concatenate([samples, after])
    return speech_bounds_ms(samples, WIRE_SAMPLE_RATE_HZ) or speech_bounds_ms(padded, WIRE_SAMPLE_RATE_HZ)
