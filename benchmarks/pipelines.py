"""What the framework adds to each stage, and how chain and speech-to-speech compare on the offline engines.

The first table has engines that need no time: what is left is ours (and the detector's hold). The second asks all
bundled clips on the same offline engines, once as they are and once with hosted services' stage delays simulated.

    python benchmarks/pipelines.py [--runs 15] [--repeats 2] [--clips 6] [--only overhead|ratio]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
from datetime import date

from realtime_nb.audio.bundled import clip, clips
from realtime_nb.pipelines.base import PipelineTurn, collect
from realtime_nb.pipelines.factory import pipelines
from realtime_nb.studies.compare import compare
from realtime_nb.timing.marks import STAGE_NAMES

SHORT = "hello"
ALLOWED_MS = 10.0


def after_hold_ms(turn: PipelineTurn) -> float:
    """From the detector's word to the first byte of the answer's sound."""
    moments = turn.marks.moments
    return moments["first_audio"].time_ms - moments["speech_stopped"].time_ms


def spread(values: list[float]) -> str:
    ordered = sorted(values)
    return f"{statistics.median(ordered):7.1f} ({ordered[0]:.1f} to {ordered[-1]:.1f})"


async def overhead(runs: int) -> None:
    made = pipelines(url="embedded", engine="scripted")
    turns: dict[str, list[PipelineTurn]] = {each.route: [] for each in made}
    try:
        for each in made:
            await each.start()
        for _ in range(runs + 1):
            for each in made:
                turns[each.route].append(await collect(each, clip(SHORT)))
    finally:
        for each in made:
            await each.aclose()
    print(f"Engines without delay, {runs} runs after one of warm-up, interleaved: median (least to most) in ms")
    for route, found in turns.items():
        print(f"\n  {route}")
        lines = [turn.timeline for turn in found[1:]]
        for name in STAGE_NAMES:
            values = [at for line in lines if (at := line.stage_ms(name)) is not None]
            if values:
                print(f"    {name:16s}{spread(values)}")
        print(f"    {'end of hold to first audio':28s}{spread([after_hold_ms(turn) for turn in found[1:]])}")
    ours_ms = statistics.median(after_hold_ms(turn) for turn in turns["realtime"][1:])
    print(f"\n  realtime adds {ours_ms:.1f} ms after the hold; {ALLOWED_MS:g} ms are allowed")
    if ours_ms > ALLOWED_MS:
        raise SystemExit(1)


async def ratio(engine: str, n_clips: int, repeats: int) -> None:
    asked = list(clips())[:n_clips]
    comparison = await compare(asked, repeats=repeats, seed=1, url="embedded", engine=engine, progress=False)
    provenance = comparison.provenance
    simulated = f"; simulated: {', '.join(provenance.simulated)}" if provenance.simulated else ""
    print(f"\n{engine}: {len(asked)} clips x {repeats}{simulated}")
    print(comparison.summary())
    for first in ("chain", "chain-streaming", "chat-audio"):
        print(f"  {comparison.ratio(first, 'realtime')}")
    for row in comparison.missing():
        print(f"  left out: {row}")


async def main(options: argparse.Namespace) -> None:
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    print(f"{machine}, load {os.getloadavg()[0]:.1f}, {date.today()}")
    if options.only != "ratio":
        await overhead(options.runs)
    if options.only != "overhead":
        for engine in ("offline", "offline+hosted-typical"):
            await ratio(engine, options.clips, options.repeats)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--clips", type=int, default=6)
    parser.add_argument("--only", choices=("overhead", "ratio"))
    asyncio.run(main(parser.parse_args()))
