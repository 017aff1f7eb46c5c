"""WebRTC's noise suppressor out of the `livekit` wheel (Apache-2.0): about 0.1 ms per 20 ms of audio, on the loop.

It delays the audio by 7 to 10 ms. Importing it takes a tenth of a second; `create` does that, so call it off the loop.

It pays in loud noise only. Word errors of the offline recogniser on 12 clips, 78 words, measured with
benchmarks/noise_reduction.py (x86_64, Python 3.11, November 2026; one run, so three words more or less mean nothing):

    noise, ratio       none   near_field   far_field
    fan, 15 dB         38 %         21 %         4 %
    fan, 5 dB         100 %         78 %        81 %
    clatter, 35 dB      5 %          6 %         8 %
    clatter, 25 dB     18 %         23 %        21 %
    clatter, 15 dB     41 %         17 %        29 %
    clatter, 5 dB     100 %         78 %        79 %

What evens out the level in "far_field" also raises the clicks between words: it is for steady noise and a distant
voice, "near_field" for keyboards and dishes, and in a quiet room neither is needed.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np

from realtime_nb.engines.base import Capabilities, NoiseSuppressor, Pcm16
from realtime_nb.errors import MissingExtra

FRAMES_PER_SECOND = 100
NEAR_FIELD, FAR_FIELD = "near_field", "far_field"

Factory = Callable[[str, int], NoiseSuppressor]


def factory() -> Factory | None:
    """Return `create` where the extra `noise` is installed, else None. Imports nothing."""
    try:
        return create if importlib.util.find_spec("livekit.rtc") is not None else None
    except ModuleNotFoundError:
        return None


def create(kind: str, sample_rate_hz: int) -> NoiseSuppressor:
    """Return a suppressor for one stream.

    Args:
        kind: "near_field" (headset) or "far_field" (a microphone across the room: its level is evened out, too).
        sample_rate_hz: 8,000, 16,000 or 24,000.

    Raises:
        MissingExtra: `livekit` is not installed.
    """
    try:
        from livekit import rtc
    except ModuleNotFoundError as error:
        raise MissingExtra("Noise reduction", extra="noise") from error
    module = rtc.AudioProcessingModule(
        noise_suppression=True, high_pass_filter=True, auto_gain_control=kind == FAR_FIELD
    )
    return WebRtcSuppressor(rtc, module, sample_rate_hz)


class WebRtcSuppressor:
    """See `create`. Whole frames of 10 ms pass at once; other chunks are held back by less than one frame."""

    capabilities = Capabilities(
        name="webrtc-noise-suppression", licence="Apache-2.0", description="WebRTC APM (livekit)", streaming=True
    )

    def __init__(self, rtc: Any, module: Any, sample_rate_hz: int) -> None:
        self._rtc = rtc
        self._module = module
        self._rate = sample_rate_hz
        self._frame = sample_rate_hz // FRAMES_PER_SECOND
        self._raw = np.zeros(0, np.int16)
        self._clean = np.zeros(0, np.int16)

    def process(self, pcm16: Pcm16) -> Pcm16:
        raw = np.concatenate([self._raw, pcm16])
        whole = len(raw) - len(raw) % self._frame
        self._raw = raw[whole:]
        frames = [self._clean, *(self._one(raw[at : at + self._frame]) for at in range(0, whole, self._frame))]
        clean = np.concatenate(frames)
        if len(clean) < len(pcm16):
            clean = np.concatenate([np.zeros(len(pcm16) - len(clean), np.int16), clean])
        self._clean = clean[len(pcm16) :]
        return clean[: len(pcm16)]

    def _one(self, pcm16: Pcm16) -> Pcm16:
        frame = self._rtc.AudioFrame(pcm16.tobytes(), self._rate, 1, self._frame)
        self._module.process_stream(frame)
        return np.array(frame.data, np.int16)
