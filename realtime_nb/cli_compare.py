"""`realtime-nb compare`: clips through several pipelines, to a table, a JSON file and a page."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realtime_nb.cli_values import check_writable, seconds

if TYPE_CHECKING:
    from realtime_nb.studies.comparison import Comparison

LISTED_ROWS = 20
"""More missing rows than these are told by their reasons; the files have each of them."""
STOPPED = 130
"""As a shell says of a command that was ended by Ctrl-C."""
ALL = "chain,chain-streaming,chat-audio,realtime"


def options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `compare`."""
    parser.add_argument("clips", metavar="CLIP", nargs="+", help="a bundled clip's name, or an audio file")
    parser.add_argument("--pipelines", default=ALL, metavar="NAMES", help="with commas between (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=10, metavar="N", help="of every clip (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the order of the runs (default: %(default)s)")
    parser.add_argument("--url", help='base URL of the server; "embedded" is the one in this process')
    parser.add_argument("--key", help="the API key for it (default: OPENAI_API_KEY)")
    parser.add_argument(
        "--engine", help="of the embedded server: offline, scripted, or one with +hosted-fast behind it"
    )
    parser.add_argument("--network", metavar="NAME", help='a simulated network in between, for example "4G"')
    parser.add_argument(
        "--silence-ms", type=int, default=500, metavar="MS", help="the hold of every pipeline (default: %(default)s)"
    )
    parser.add_argument("--warmups", type=int, default=1, metavar="N", help="runs before, in no row (%(default)s)")
    parser.add_argument(
        "--wait-when-limited",
        type=seconds,
        default=0.0,
        metavar="S",
        help="wait at most so long when a server says “try again in …” (default: never)",
    )
    parser.add_argument("--json", metavar="FILE", help="write all rows and where they come from to this file")
    parser.add_argument("--html", metavar="FILE", help="write one page with tables and figures to this file")
    parser.add_argument(
        "--journal",
        metavar="FILE",
        help="rows as they come; the same command goes on where it stopped (default: beside --json, until it is done)",
    )


def run(chosen: argparse.Namespace) -> int:
    """Compare; return 0, 1 when nothing could be measured, 130 when it was stopped.

    Raises:
        ConfigurationError: a name that is not known, a file that cannot be written.
    """
    from realtime_nb.studies.compare import compare_now
    from realtime_nb.studies.extras import load

    load("scipy.stats")
    for name in (chosen.json, chosen.html, chosen.journal):
        check_writable(name)
    journal = chosen.journal or (f"{chosen.json}.journal" if chosen.json else None)
    made = compare_now(
        chosen.clips,
        [name.strip() for name in chosen.pipelines.split(",") if name.strip()],
        chosen.repeats,
        chosen.seed,
        path=journal,
        warmups=chosen.warmups,
        wait_when_limited_s=chosen.wait_when_limited,
        **_pipeline_options(chosen),
    )
    if chosen.json:
        made.save(chosen.json)
    if chosen.html:
        made.to_html(chosen.html)
    _say(made)
    if made.provenance.stopped or made.provenance.missing:
        if journal:
            _print(f"The same command goes on with what is missing; what there is, is in {journal}.", sys.stderr)
    elif journal and not chosen.journal:
        Path(journal).unlink(missing_ok=True)
    if made.provenance.stopped:
        return STOPPED
    return 0 if any(row.measured_ms is not None for row in made.rows) else 1


def _pipeline_options(chosen: argparse.Namespace) -> dict[str, Any]:
    known = {
        "url": chosen.url,
        "api_key": chosen.key,
        "engine": chosen.engine,
        "network": chosen.network,
        "silence_duration_ms": chosen.silence_ms,
    }
    return {name: value for name, value in known.items() if value is not None}


def _say(made: Comparison) -> None:
    from realtime_nb.studies.html_page import estimates

    _print(made.summary().text())
    if len(made.pipelines) > 1:
        _print("\n".join(["", *map(str, estimates(made))]))
    missing = made.missing()
    if len(missing):
        _print(f"\n{(missing if len(missing) <= LISTED_ROWS else made.reasons()).text()}")


def _print(text: str, file: Any = None) -> None:
    print(text, file=file or sys.stdout)
