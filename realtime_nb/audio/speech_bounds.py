"""Where speech truly begins and ends in a recording, by energy. Measures files; a live turn uses a detector."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Pcm16 = npt.NDArray[np.int16]

FRAME_MS = 5
BELOW_LOUDEST_DB = 45.0
ABOVE_NOISE_DB = 12.0
MIN_RUN_FRAMES = 3
NOISE_FRAME_MS = 50
NOISE_PERCENTILE = 5

METHOD = (
    f"RMS of {FRAME_MS} ms frames; speech is any run of at least {MIN_RUN_FRAMES} frames that are both at most "
    f"{BELOW_LOUDEST_DB:g} dB below the loudest frame and at least {ABOVE_NOISE_DB:g} dB above the noise "
    f"(the {NOISE_PERCENTILE}th percentile of {NOISE_FRAME_MS} ms frames). "
    "Start and end are the outer edges of the first and the last run."
)
"""How `speech_bounds_ms` decides, for manifests and reports."""


def speech_bounds_ms(samples: Pcm16, sample_rate_hz: int) -> tuple[float, float] | None:
    """Return the start of the first and the end of the last speech in ms, or None when nothing stands out.

    The result is a multiple of 5 ms, less at rates of which 5 ms are no whole samples; see `METHOD`.
    """
    frame = sample_rate_hz * FRAME_MS // 1000
    n_frames = len(samples) // frame
    if not n_frames:
        return None
    frames = samples[: n_frames * frame].reshape(n_frames, frame).astype(np.float64)
    power = np.mean(frames**2, axis=1)
    level_db = 10 * np.log10(power + 1e-3)
    noise_db = 10 * np.log10(np.percentile(_long_frame_power(power), NOISE_PERCENTILE) + 1e-3)
    threshold_db = max(level_db.max() - BELOW_LOUDEST_DB, noise_db + ABOVE_NOISE_DB)
    loud = (level_db >= threshold_db).astype(np.int8)
    runs = np.convolve(loud, np.ones(MIN_RUN_FRAMES, dtype=np.int8), mode="valid")
    starts = np.flatnonzero(runs == MIN_RUN_FRAMES)
    if not len(starts):
        return None
    frame_ms = frame * 1000 / sample_rate_hz
    return float(starts[0] * frame_ms), float((starts[-1] + MIN_RUN_FRAMES) * frame_ms)


def _long_frame_power(power: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    n_short = min(len(power), NOISE_FRAME_MS // FRAME_MS)
    whole = power[: len(power) - len(power) % n_short]
    return whole.reshape(-1, n_short).mean(axis=1)
