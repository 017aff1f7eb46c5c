r"""How faithful is a Realtime server? Scenarios played against any one, and a matrix of what it does.

report = await run_conformance(target("http://127.0.0.1:8765/v1"))
print("\n".join(report.lines()))
"""

from __future__ import annotations

from realtime_nb.testing.conformance.command import target
from realtime_nb.testing.conformance.report import Report
from realtime_nb.testing.conformance.results import Finding, Verdict
from realtime_nb.testing.conformance.runner import run_conformance

__all__ = ["Finding", "Report", "Verdict", "run_conformance", "target"]
