"""Talk to voice models in a notebook, see every event, and measure what the ear really got."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0.dev0"

if TYPE_CHECKING:
    from .audio import AudioClip
    from .audio.bundled import clip
    from .audio.bundled import clips as bundled_clips
    from .audio.prosody import prosody
    from .notebook.connect import connect
    from .notebook.doctor import doctor
    from .notebook.nested_loops import allow_nested_loops
    from .notebook.studio import Studio
    from .pipelines.factory import pipeline
    from .pipelines.stage_server import StageEndpoint
    from .replay.crosscheck import crosscheck
    from .replay.diff import diff
    from .replay.reader import Recording
    from .session.barge_in import BargeIn
    from .session.reconnect import Reconnect
    from .session.session import Session
    from .session.turn import Turn
    from .studies.bottleneck import text_bottleneck
    from .studies.compare import compare
    from .studies.comparison import Comparison
    from .studies.study import Study
    from .transport.network import NetworkProfile
    from .widgets.inspector import EventInspector
    from .widgets.player import Player
    from .widgets.race import Race
    from .widgets.recorder import Recorder
    from .widgets.timeline import Timeline
    from .widgets.waveform import Waveform

_WHERE = {
    # audio
    "AudioClip": "audio",
    "bundled_clips": "audio.bundled:clips",
    "clip": "audio.bundled",
    "prosody": "audio.prosody",
    # session
    "BargeIn": "session.barge_in",
    "Reconnect": "session.reconnect",
    "Recording": "replay.reader",
    "Session": "session.session",
    "Turn": "session.turn",
    # measurement
    "Comparison": "studies.comparison",
    "NetworkProfile": "transport.network",
    "StageEndpoint": "pipelines.stage_server",
    "Study": "studies.study",
    "compare": "studies.compare",
    "crosscheck": "replay.crosscheck",
    "diff": "replay.diff",
    "pipeline": "pipelines.factory",
    "text_bottleneck": "studies.bottleneck",
    # widgets
    "EventInspector": "widgets.inspector",
    "Player": "widgets.player",
    "Race": "widgets.race",
    "Recorder": "widgets.recorder",
    "Timeline": "widgets.timeline",
    "Waveform": "widgets.waveform",
    # notebook
    "Studio": "notebook.studio",
    "allow_nested_loops": "notebook.nested_loops",
    "connect": "notebook.connect",
    "doctor": "notebook.doctor",
}

__all__ = [
    "AudioClip",
    "BargeIn",
    "Comparison",
    "EventInspector",
    "NetworkProfile",
    "Player",
    "Race",
    "Reconnect",
    "Recorder",
    "Recording",
    "Session",
    "StageEndpoint",
    "Studio",
    "Study",
    "Timeline",
    "Turn",
    "Waveform",
    "__version__",
    "allow_nested_loops",
    "bundled_clips",
    "clip",
    "compare",
    "connect",
    "crosscheck",
    "diff",
    "doctor",
    "pipeline",
    "prosody",
    "text_bottleneck",
]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        module, _, attribute = _WHERE[name].partition(":")
        return getattr(importlib.import_module(f"{__name__}.{module}"), attribute or name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
