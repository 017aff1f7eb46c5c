"""Voices by flite (`libflite1`, Carnegie Mellon, BSD-like licence), in a worker process, with word times."""

from __future__ import annotations

import ctypes

import msgspec

from realtime_nb.engines.base import Capabilities
from realtime_nb.engines.worker_synthesizer import FIDELITY_NOTE, WorkerSynthesizer

LICENCE = "BSD-like (Carnegie Mellon University)"


class FlitePreset(msgspec.Struct, frozen=True):
    """How one voice is made.

    Attributes:
        library: flite's voice: slt (female, US), rms (male, US), awb (male, Scottish), kal16 (male, US, diphones).
        stretch: of time; more is slower.
        f0_shift: factor on the pitch (rms ignores it).
        tract: factor on pitch and formants by resampling, as a shorter vocal tract does; tempo stays.
        gain_db: brings the voice to about -20 dBFS RMS.
    """

    library: str
    stretch: float = 1.0
    f0_shift: float = 1.0
    tract: float = 1.0
    gain_db: float = 0.0


PRESETS: dict[str, FlitePreset] = {
    "alloy": FlitePreset("slt", 1.0, 0.88, gain_db=-3.6),
    "ash": FlitePreset("rms", 1.05, 0.9, 0.9, gain_db=0.5),
    "ballad": FlitePreset("awb", 1.05, 1.0, gain_db=-0.3),
    "cedar": FlitePreset("kal16", 1.0, 0.9, gain_db=8.8),
    "coral": FlitePreset("slt", 0.95, 1.05, gain_db=-6.0),
    "echo": FlitePreset("rms", 1.0, 1.0, gain_db=0.5),
    "marin": FlitePreset("slt", 1.05, 1.3, gain_db=-6.3),
    "sage": FlitePreset("awb", 1.0, 1.28, gain_db=-1.6),
    "shimmer": FlitePreset("slt", 1.0, 1.18, 1.03, gain_db=-6.5),
    "verse": FlitePreset("kal16", 1.0, 1.2, gain_db=7.1),
}


def available() -> bool:
    """Return whether flite and its voices load on this system."""
    try:
        ctypes.CDLL("libflite.so.1", mode=ctypes.RTLD_GLOBAL)
        for library in {preset.library for preset in PRESETS.values()}:
            ctypes.CDLL(f"libflite_cmu_us_{library}.so.1")
    except OSError:
        return False
    return True


def create() -> WorkerSynthesizer:
    """Return the synthesizer, not started; `start` raises `EngineUnavailable` where flite is missing."""
    capabilities = Capabilities(
        name="flite", licence=LICENCE, description=FIDELITY_NOTE, streaming=True, word_times=True, voices=tuple(PRESETS)
    )
    return WorkerSynthesizer("realtime_nb.engines.flite_worker:main", capabilities=capabilities, presets=PRESETS)
