"""A conformance run's result: the matrix in text and in JSON, and whether the profile is met."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from realtime_nb.testing.conformance.results import Finding, Profile, Verdict

MARKS = {Verdict.PASS: "pass", Verdict.FAIL: "FAIL", Verdict.UNSUPPORTED: "unsup", Verdict.NOT_TESTED: "-"}


class Report(msgspec.Struct, kw_only=True):
    """Everything that a run found.

    Attributes:
        url: the server's base URL.
        profile: what it was held to.
        duration_s: of the run.
        frames: received and judged.
        connections: opened.
        sdk: the second judge of shapes, or why there was none.
        findings: one per row.
    """

    url: str
    profile: Profile
    duration_s: float
    frames: int
    connections: int
    sdk: str
    findings: list[Finding]

    @property
    def passed(self) -> bool:
        """Whether nothing failed and nothing of the profile was refused as unsupported.

        Rows that could not be tested do not fail a profile; the report says why each could not.
        """
        return not any(one.verdict in (Verdict.FAIL, Verdict.UNSUPPORTED) for one in self.findings)

    def count(self, verdict: Verdict) -> int:
        """Return how many rows came out so."""
        return sum(one.verdict is verdict for one in self.findings)

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON values, verdict and counts included."""
        counts = Counter(one.verdict.value for one in self.findings)
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return {"passed": self.passed, "counts": dict(counts), **plain}

    def lines(self, *, passes: bool = True) -> list[str]:
        """Return the matrix as text, grouped by scenario.

        Args:
            passes: show passing rows too.
        """
        shown = [one for one in self.findings if passes or one.verdict is not Verdict.PASS]
        event_width = min(58, max((len(one.event) for one in shown), default=0))
        field_width = min(32, max((len(one.field) for one in shown), default=0))
        lines: list[str] = []
        scenario = ""
        for one in shown:
            if one.scenario != scenario:
                scenario = one.scenario
                lines += ["", scenario]
            mark, event, field = MARKS[one.verdict], one.event, one.field
            lines.append(f"  {mark:<5} {event:<{event_width}} {field:<{field_width}} {one.behaviour}")
            if one.verdict is not Verdict.PASS:
                lines.append(f"        {one.why}")
            if one.verdict is Verdict.FAIL and one.frame is not None:
                lines.append(f"        frame: {msgspec.json.encode(one.frame).decode()[:1500]}")
        return [*lines, "", *self.summary()]

    def summary(self) -> list[str]:
        """Return the last lines: counts and the verdict."""
        counts = ", ".join(f"{self.count(verdict)} {verdict.value}" for verdict in Verdict)
        said = "PASSES" if self.passed else "DOES NOT PASS"
        return [
            f"{self.url}: {counts}; {self.frames} frames on {self.connections} connections in {self.duration_s:.0f} s; "
            f"second judge: {self.sdk}",
            f"{said} the profile {self.profile!r}",
        ]
