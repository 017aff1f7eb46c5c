"""`realtime_nb.doctor()`: what works on this machine, what does not, and what to do about it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import sys
from collections.abc import Callable
from html import escape
from typing import Literal

import msgspec

import realtime_nb
from realtime_nb.errors import RealtimeError
from realtime_nb.notebook.nested_loops import nested_loops_in_use
from realtime_nb.runtime import runtime
from realtime_nb.widgets import messages
from realtime_nb.widgets.base import BUILD_HINT, STATIC
from realtime_nb.widgets.comm_socket import ipykernel_version, refuse_broken_ipykernel
from realtime_nb.widgets.media_link import measured_links

__all__ = ["Finding", "Report", "doctor"]

Level = Literal["ok", "note", "problem"]
MARKS: dict[Level, str] = {"ok": "✓", "note": "·", "problem": "✗"}
BUNDLES = ("studio", "recorder", "player", "waveform", "inspector", "timeline", "race")
KEYS = ("OPENAI_API_KEY",)


class Finding(msgspec.Struct, frozen=True):
    """One line of the report."""

    name: str
    level: Level
    text: str
    what_now: str = ""


class Report:
    """What the doctor found; shows itself as a table in a cell, as lines elsewhere."""

    def __init__(self, findings: list[Finding]) -> None:
        self.findings = findings

    @property
    def problems(self) -> list[Finding]:
        """What does not work."""
        return [finding for finding in self.findings if finding.level == "problem"]

    def __repr__(self) -> str:
        width = max(len(finding.name) for finding in self.findings)
        return "\n".join(
            f"{MARKS[f.level]} {f.name:<{width}}  {f.text}{f' → {f.what_now}' if f.what_now else ''}"
            for f in self.findings
        )

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        rows = "".join(_row_html(finding) for finding in self.findings)
        return {"text/html": f"<table><tbody>{rows}</tbody></table>", "text/plain": repr(self)}


def _row_html(finding: Finding) -> str:
    left = "style='text-align:left'"
    advice = f"<br><b>→ {escape(finding.what_now)}</b>" if finding.what_now else ""
    return (
        f"<tr><td>{MARKS[finding.level]}</td><th scope='row' {left}>{escape(finding.name)}</th>"
        f"<td {left}>{escape(finding.text)}{advice}</td></tr>"
    )


def doctor() -> Report:
    """Look at this environment. Starts nothing, sends nothing, never shows a key."""
    checks: tuple[Callable[[], list[Finding]], ...] = (
        _environment,
        _kernel,
        _nested,
        _frontend,
        _proxy,
        _links,
        _engines,
        _endpoint,
    )
    return Report([finding for check in checks for finding in check()])


def _environment() -> list[Finding]:
    python = f"{platform.python_implementation()} {platform.python_version()} on {platform.platform(terse=True)}"
    return [Finding("realtime_nb", "ok", realtime_nb.__version__), Finding("Python", "ok", python)]


def _kernel() -> list[Finding]:
    version = ipykernel_version()
    text = ".".join(map(str, version))
    if not version:
        return [Finding("ipykernel", "note", "this is not a notebook kernel; the widgets need one")]
    try:
        refuse_broken_ipykernel(version)
    except RealtimeError as error:
        return [Finding("ipykernel", "problem", error.message, error.what_now)]
    if version < (7, 1):
        trap = "widget messages by comm wait until the running cell ends; the direct media link does not"
        return [Finding("ipykernel", "note", f"{text}: {trap}")]
    return [Finding("ipykernel", "ok", text)]


def _nested() -> list[Finding]:
    patch = nested_loops_in_use()
    if patch == "none":
        return [Finding("nested loops", "ok", "asyncio is as Python made it")]
    if patch == "nest_asyncio2":
        return [Finding("nested loops", "note", "nest-asyncio2 is active; nothing of realtime_nb needs it")]
    what_now = "Remove nest_asyncio.apply(), restart, and use realtime_nb.allow_nested_loops() if you need one."
    return [Finding("nested loops", "problem", "the old nest_asyncio is active and drops cells of Run All", what_now)]


def _frontend() -> list[Finding]:
    missing = [name for name in BUNDLES if not (STATIC / f"{name}.js").is_file()]
    if missing:
        return [Finding("front end", "problem", f"not built: {', '.join(missing)}", BUILD_HINT)]
    return [Finding("front end", "ok", f"built, link version {messages.LINK_VERSION}")]


def _proxy() -> list[Finding]:
    if importlib.util.find_spec("jupyter_server_proxy") is not None:
        return [Finding("jupyter-server-proxy", "ok", importlib.metadata.version("jupyter-server-proxy"))]
    what_now = "On a remote server (Hub, Binder) run: pip install jupyter-server-proxy in the server's environment."
    return [Finding("jupyter-server-proxy", "note", "not in this environment", what_now)]


def _links() -> list[Finding]:
    room = runtime()
    links = room.run(measured_links(room), 5.0) if room.running else []
    if not links:
        return [Finding("media link", "note", "no view is open; show a Studio and look again")]
    findings = []
    for link in links:
        slow = link.transport == "comm"
        text = (
            f"{link.transport}, round trip {link.round_trip_p50_ms:.1f} ms p50, {link.round_trip_p95_ms:.1f} ms p95 "
            f"(n = {link.n})"
        )
        what_now = "The page reaches the kernel only by comm: slower, and silent while a cell runs." if slow else ""
        findings.append(Finding("media link", "note" if slow else "ok", text, what_now))
    return findings


def _engines() -> list[Finding]:
    from realtime_nb.engines import registry

    findings = []
    for name in registry.available():
        try:
            engines = registry.create(name)
        except RealtimeError as error:
            findings.append(Finding(f"engine {name}", "problem", error.message, error.what_now))
            continue
        voices = ", ".join(engines.synthesizer.capabilities.voices)
        findings.append(Finding(f"engine {name}", "ok", f"{engines.label}; voices: {voices or 'none'}"))
    return findings


def _endpoint() -> list[Finding]:
    url = os.environ.get("REALTIME_NB_URL")
    keys = [name for name in KEYS if os.environ.get(name)]
    text = f"{', '.join(keys)} is set (not shown)" if keys else "no key is set; the embedded server needs none"
    findings = [Finding("key", "ok" if keys else "note", text)]
    if url:
        findings.append(Finding("REALTIME_NB_URL", "ok", _without_secrets(url)))
    return findings


def _without_secrets(url: str) -> str:
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"


def main() -> int:
    """Print the report; the exit code is 1 when something does not work."""
    report = doctor()
    sys.stdout.write(f"{report!r}\n")
    return 1 if report.problems else 0
