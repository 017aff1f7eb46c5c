"""How many people can talk to a Realtime server at once, and what they feel of each other."""

from __future__ import annotations

from realtime_nb.testing.load.figures import Distribution, LoadReport, Memory
from realtime_nb.testing.load.run import Load, check_target, run_load

__all__ = ["Distribution", "Load", "LoadReport", "Memory", "check_target", "run_load"]
