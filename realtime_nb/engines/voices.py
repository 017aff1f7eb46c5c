"""The offline voices of this machine: flite where the system has it, else espeak-ng."""

from __future__ import annotations

import os
from collections.abc import Callable

from realtime_nb.engines import espeak_engine, flite_engine
from realtime_nb.engines.worker_synthesizer import FIDELITY_NOTE, WorkerSynthesizer
from realtime_nb.errors import ConfigurationError, EngineUnavailable

__all__ = ["ENVIRONMENT_VARIABLE", "FIDELITY_NOTE", "create"]

ENVIRONMENT_VARIABLE = "REALTIME_NB_VOICES"

_ENGINES: dict[str, tuple[Callable[[], bool], Callable[[], WorkerSynthesizer]]] = {
    "flite": (flite_engine.available, flite_engine.create),
    "espeak": (espeak_engine.available, espeak_engine.create),
}


def create() -> WorkerSynthesizer:
    """Return the voices, not started. `REALTIME_NB_VOICES=flite` or `=espeak` chooses; else the first that is there.

    Raises:
        ConfigurationError: the variable names something else.
        EngineUnavailable: neither is installed, or the chosen one is not (and what to install).
    """
    chosen = os.environ.get(ENVIRONMENT_VARIABLE, "").strip().lower()
    if chosen and chosen not in _ENGINES:
        raise ConfigurationError(
            f"{ENVIRONMENT_VARIABLE} is {chosen!r}.", what_now=f"Set it to {' or '.join(_ENGINES)}, or unset it."
        )
    for name in [chosen] if chosen else _ENGINES:
        available, create_engine = _ENGINES[name]
        if available():
            return create_engine()
    raise EngineUnavailable(
        f"The voices of {chosen} are not installed." if chosen else "No offline voices are installed.",
        what_now="Install flite (apt-get install libflite1) or espeak-ng (pip install 'realtime-nb[embedded]').",
    )
