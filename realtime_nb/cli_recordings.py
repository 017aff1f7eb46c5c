"""`realtime-nb report` and `realtime-nb replay`: what becomes of a recording."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realtime_nb.cli_signals import stop_signal
from realtime_nb.cli_values import port

if TYPE_CHECKING:
    from realtime_nb.replay.pace import Pace, Speed


def report_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `report`."""
    parser.add_argument("recording", metavar="RECORDING", help="the folder that session.record() wrote")
    parser.add_argument("-o", "--output", metavar="FILE", help="the page (default: RECORDING.html)")
    parser.add_argument("--title", default="", help="of the page")
    parser.add_argument("--compare-with", metavar="RECORDING", help="print how another recording differs, and no page")


def report(chosen: argparse.Namespace) -> int:
    """Write a recording's page, or print how two differ.

    Raises:
        ConfigurationError: there is no recording, or the page cannot be written.
    """
    from realtime_nb.replay.reader import Recording

    recording = Recording.open(chosen.recording)
    if chosen.compare_with:
        from realtime_nb.replay.diff import diff

        print(diff(recording, Recording.open(chosen.compare_with)))
        return 0
    output = chosen.output or f"{recording.path.resolve().name}.html"
    page = recording.to_html(output, title=chosen.title)
    for note in recording.notes:
        print(f"note: {note}", file=sys.stderr)
    print(f"{page} ({page.stat().st_size / 1e6:.1f} MB), {len(recording.turns())} turns")
    return 0


def replay_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `replay`."""
    parser.add_argument("recording", metavar="RECORDING", help="the folder that session.record() wrote")
    parser.add_argument("--port", type=port, default=8766, help="0 for any free one (default: %(default)s)")
    parser.add_argument(
        "--speed", type=_speed, default=1.0, metavar="SPEED", help="a factor, fast, or step: Enter lets one event go"
    )


def _speed(text: str) -> Speed:
    if text in ("fast", "step"):
        return text  # type: ignore[return-value]
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no speed; give a factor, fast or step") from None


def replay(chosen: argparse.Namespace) -> int:
    """Serve a recording until SIGINT or SIGTERM.

    Raises:
        ConfigurationError: there is no recording, or the port is taken.
    """
    return asyncio.run(_serve(chosen))


async def _serve(chosen: argparse.Namespace) -> int:
    from realtime_nb.replay.reader import Recording
    from realtime_nb.replay.server import ReplayServer

    recording = await asyncio.to_thread(Recording.open, Path(chosen.recording))
    server = await ReplayServer.start(recording, port=chosen.port, speed=chosen.speed)
    stop = stop_signal()
    try:
        for note in recording.notes:
            print(f"note: {note}", file=sys.stderr)
        print(f"listening on {server.url}", flush=True)
        if chosen.speed == "step":
            loop = asyncio.get_running_loop()
            loop.add_reader(sys.stdin.fileno(), _enter, loop, server.pace)
        await stop.wait()
    finally:
        await server.aclose()
    return 0


def _enter(loop: Any, pace: Pace) -> None:
    """Take what was typed, a step for each line; the end of the input ends the steps."""
    typed = os.read(sys.stdin.fileno(), 4096)
    if typed:
        pace.step(typed.count(b"\n"))
    else:
        loop.remove_reader(sys.stdin.fileno())
