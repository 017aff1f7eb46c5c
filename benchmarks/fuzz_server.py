"""A million generated client frames against the server machine, every invariant checked on every step.

    python benchmarks/fuzz_server.py [--frames 1000000] [--seed 1] [--client-frames 200000]

Prints what was covered: client and server events by type, error codes, ends of responses, and the memory held. Client
frames are valid, at their limits, mutated or nonsense, in any order, between a driver's moves (speech, transcripts,
response progress). A second run gives spoiled server frames to client machines.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections import Counter
from pathlib import Path

from realtime_nb.protocol.server_events import SERVER_EVENT_TYPES
from realtime_nb.testing.fuzz import ServerFuzz
from realtime_nb.testing.fuzz_client import ClientFuzz
from realtime_nb.testing.invariants import INVARIANTS

LEG = 100_000


def rss_mib() -> float:
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return int(next(line for line in status.read_text().splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


def table(title: str, counts: Counter[str]) -> None:
    print(f"\n{title}")
    for name, count in counts.most_common():
        print(f"  {count:>11,}  {name}")


def fuzz_server(frames: int, seed: int) -> None:
    fuzz = ServerFuzz(seed)
    print(f"server machine: {len(INVARIANTS)} invariants, seed {seed}")
    print(f"{'frames in':>12} {'frames out':>12} {'sessions':>9} {'frames/s':>9} {'RSS MiB':>8}")
    done = 0
    while done < frames:
        leg, started_s = min(LEG, frames - done), time.perf_counter()
        report = fuzz.run(leg)
        done += leg
        rate = leg / (time.perf_counter() - started_s)
        print(f"{report.frames_in:>12,} {report.frames_out:>12,} {report.sessions:>9,} {rate:>9,.0f} {rss_mib():>8.0f}")
        sys.stdout.flush()
    print(
        f"\n{report.frames_in:,} client frames ({report.steps:,} steps with the driver's) in {report.seconds:.0f} s, "
        f"{report.frames_in / report.seconds:,.0f}/s; {report.frames_out:,} server frames judged; no invariant broken; "
        f"at most {report.most_items} items in one conversation"
    )
    table("client events", report.client_types)
    table("server events", report.server_types)
    table("error codes", report.error_codes)
    table("ends of responses", report.statuses)
    missing = sorted(SERVER_EVENT_TYPES.keys() - report.server_types.keys())
    print(f"\nserver events that this server never sends: {', '.join(missing)}")


def fuzz_client(frames: int, seed: int) -> None:
    fuzz = ClientFuzz(seed)
    fuzz.run(frames)
    print(
        f"\nclient machine: {fuzz.frames:,} server frames, 30 % of them lost, late, repeated, mutated or nonsense, in "
        f"{fuzz.seconds:.0f} s; {fuzz.kinds['(unknown)']:,} unreadable; no exception, nothing inconsistent"
    )


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--frames", type=int, default=1_000_000)
    arguments.add_argument("--client-frames", type=int, default=200_000)
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    fuzz_server(given.frames, given.seed)
    fuzz_client(given.client_frames, given.seed)


if __name__ == "__main__":
    main()
