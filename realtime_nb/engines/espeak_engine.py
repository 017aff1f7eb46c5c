"""Voices by espeak-ng, where flite is missing.

espeak-ng is GPL-3. It is not part of realtime_nb and never loaded into the kernel: it comes with the separate package
`espeakng-loader` of the `embedded` extra, and only the worker process, which talks to us over a pipe, loads it.
"""

from __future__ import annotations

import importlib.util

import msgspec

from realtime_nb.engines.base import Capabilities
from realtime_nb.engines.worker_synthesizer import FIDELITY_NOTE, WorkerSynthesizer

LICENCE = "GPL-3.0-or-later (espeak-ng, in a process of its own)"


class EspeakPreset(msgspec.Struct, frozen=True):
    """How one voice is made.

    Attributes:
        variant: espeak's voice name.
        pitch: 0 to 100.
        pitch_range: 0 to 100; less is more monotonous.
        words_per_minute: at speed 1; espeak-ng itself goes no slower than 80, so speeds below 0.5 sound like 0.5.
        gain_db: brings the voice to about -20 dBFS RMS.
        tract: factor on pitch and formants by resampling, as a shorter vocal tract does; tempo stays.
    """

    variant: str
    pitch: int
    pitch_range: int
    words_per_minute: int
    gain_db: float = 0.0
    tract: float = 1.0


PRESETS: dict[str, EspeakPreset] = {
    "alloy": EspeakPreset("en-us+klatt3", 62, 45, 165, gain_db=1.1),
    "ash": EspeakPreset("en-us+edward", 30, 45, 155, gain_db=-1.2),
    "ballad": EspeakPreset("en-us+klatt4", 45, 70, 145, gain_db=-2.0),
    "cedar": EspeakPreset("en-us+benjamin", 20, 35, 150, gain_db=2.0),
    "coral": EspeakPreset("en-us+f2", 55, 65, 170, gain_db=-1.5),
    "echo": EspeakPreset("en-us+benjamin", 45, 50, 165, gain_db=1.4),
    "marin": EspeakPreset("en-us+f2", 75, 50, 160, gain_db=-2.2),
    "sage": EspeakPreset("en-us+f1", 40, 45, 160, gain_db=0.0),
    "shimmer": EspeakPreset("en-us+f5", 60, 60, 165, gain_db=0.3),
    "verse": EspeakPreset("en-us+edward2", 60, 75, 170, gain_db=1.3),
}


def available() -> bool:
    """Return whether the package that brings espeak-ng is installed; imports nothing."""
    return importlib.util.find_spec("espeakng_loader") is not None


def create() -> WorkerSynthesizer:
    """Return the synthesizer, not started; `start` raises `EngineUnavailable` where espeak-ng is missing."""
    capabilities = Capabilities(
        name="espeak-ng",
        licence=LICENCE,
        description=FIDELITY_NOTE,
        streaming=True,
        word_times=True,
        voices=tuple(PRESETS),
    )
    return WorkerSynthesizer("realtime_nb.engines.espeak_worker:main", capabilities=capabilities, presets=PRESETS)
