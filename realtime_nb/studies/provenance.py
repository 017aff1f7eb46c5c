"""Where a comparison's figures come from: seed, machine, versions, engines, and what was simulated."""

from __future__ import annotations

import datetime
import functools
import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterable, Sequence

import msgspec

from realtime_nb.studies.rows import Row

PACKAGES = ("realtime-nb", "numpy", "scipy", "openai", "websockets")
BUSY = 0.5
"""Load a core from which a machine is said to be busy."""


class StudyProvenance(msgspec.Struct, frozen=True, kw_only=True):
    """What every table and figure of a comparison says below itself.

    Attributes:
        created: when it began, ISO 8601, UTC.
        pipelines: their names, in the order in which they were asked for.
        seed: of the order of the runs and of the bootstrap.
        repeats: of every case.
        warmups: runs per pipeline that came first and are in no row.
        n: rows that were run, whatever came of them.
        missing: rows that were planned and never ran.
        machine: processor, cores and system, no name of a host; several where the rows were run on several.
        load: the machine's load average over one minute at the beginning, None where the system does not say.
        cores: of the machine, None when unknown.
        versions: by package.
        engines: what computed.
        models: by name.
        endpoints: base URLs without secrets.
        simulated: what was simulated, in words.
        at_once: which runs went on at the same time and so disturbed each other, "" when it was one at a time.
        stopped: why it ended early, "" when it did not.
    """

    created: str = ""
    pipelines: tuple[str, ...] = ()
    seed: int = 0
    repeats: int = 0
    warmups: int = 0
    n: int = 0
    missing: int = 0
    machine: str = ""
    load: float | None = None
    cores: int | None = None
    versions: dict[str, str] = {}
    engines: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    simulated: tuple[str, ...] = ()
    at_once: str = ""
    stopped: str = ""

    @property
    def word(self) -> str:
        """Return "measured", or "simulated" when anything was."""
        return "simulated" if self.simulated else "measured"

    @property
    def busy(self) -> bool:
        """Whether others used more than half of the machine when it began: figures are then worse than need be."""
        return self.load is not None and self.cores is not None and self.load > self.cores * BUSY

    @property
    def load_line(self) -> str:
        """Return the load in words, "" when unknown."""
        if self.load is None:
            return ""
        return f"load at the start {self.load:.1f}" + (": A BUSY MACHINE" if self.busy else "")

    @property
    def line(self) -> str:
        """Return one line for below a table or a figure."""
        simulated = f"simulated: {', '.join(self.simulated)}" if self.simulated else "measured"
        parts = (
            simulated,
            f"n = {self.n} runs" + (f" ({self.missing} missing)" if self.missing else ""),
            self.engines and ", ".join(self.engines),
            self.endpoints and f"at {', '.join(self.endpoints)}",
            self.at_once,
            self.machine,
            self.load_line,
            f"realtime_nb {self.versions['realtime-nb']}" if "realtime-nb" in self.versions else "",
            f"seed {self.seed}",
            self.created[:10],
            self.stopped,
        )
        return " · ".join(str(part) for part in parts if part)


def provenance_now(*, pipelines: Iterable[str], seed: int, repeats: int, warmups: int) -> StudyProvenance:
    """Return what is known before the first run."""
    return StudyProvenance(
        created=now(),
        pipelines=tuple(pipelines),
        seed=seed,
        repeats=repeats,
        warmups=warmups,
        machine=machine(),
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        cores=os.cpu_count(),
        versions=versions(),
    )


def with_rows(provenance: StudyProvenance, rows: Sequence[Row]) -> StudyProvenance:
    """Return the provenance with what the rows say."""
    ran = [row for row in rows if row.status != "missing"]
    return msgspec.structs.replace(
        provenance,
        n=len(ran),
        missing=len(rows) - len(ran),
        machine="; ".join(_distinct(row.machine for row in ran)) or provenance.machine,
        at_once=on_workers(row.worker for row in ran) or provenance.at_once,
        engines=_distinct(row.engine for row in ran),
        models=_distinct(row.model for row in ran),
        endpoints=_distinct(row.endpoint for row in ran),
        simulated=_distinct(part for row in ran for part in row.simulated.split("; ")),
    )


def simulated_word(rows: Iterable[Row]) -> str:
    """Return "simulated", "partly simulated" where not all of the rows that ran are, or ""."""
    simulated = {bool(row.simulated) for row in rows if row.status != "missing"}
    return "" if True not in simulated else "partly simulated" if False in simulated else "simulated"


def resumed(first: StudyProvenance, again: StudyProvenance) -> StudyProvenance:
    """Return the provenance of runs that were begun once and gone on with later: other versions, the higher load."""
    versions = dict(first.versions)
    for name, version in again.versions.items():
        if versions.setdefault(name, version) != version:
            versions[name] = f"{versions[name]}, then {version}"
    loads = [each.load for each in (first, again) if each.load is not None]
    return msgspec.structs.replace(first, versions=versions, load=max(loads, default=None))


def on_workers(workers: Iterable[str]) -> str:
    """Return that several processes did runs at once, "" when it was one."""
    n = len(set(filter(None, workers)))
    return f"on {n} workers at once" if n > 1 else ""


def now() -> str:
    """Return the time as the rows and files write it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


@functools.cache
def machine() -> str:
    """Return processor, cores, system and Python."""
    return f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def versions() -> dict[str, str]:
    """Return the versions of what decides the figures."""
    found = {"python": ".".join(str(part) for part in sys.version_info[:3])}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for value in values if value))
