"""Import time, memory of a kernel with the embedded server, and installed size.

python benchmarks/footprint.py [--engine offline] [--imports 9]
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import platform
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import psutil

import realtime_nb

IMPORT = "import time; t = time.process_time(); import realtime_nb; print(time.process_time() - t)"
KERNEL = "import time; t = time.process_time(); import ipykernel.ipkernel; print(time.process_time() - t)"
EXTRA = re.compile(r"extra\s*==\s*[\"']([^\"']+)[\"']")


def cpu_seconds(program: str, n: int) -> list[float]:
    command = [sys.executable, "-c", program]
    return [float(subprocess.run(command, capture_output=True, text=True, check=True).stdout) for _ in range(n)]


def installed(extras: set[str]) -> dict[str, int]:
    """Return bytes on disk per distribution that the base and these extras bring, dependencies included."""
    sizes: dict[str, int] = {}
    todo = [("realtime-nb", extras)]
    while todo:
        name, wanted = todo.pop()
        if name in sizes:
            continue
        try:
            found = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        files = (Path(str(found.locate_file(file))) for file in found.files or [])
        sizes[name] = sum(file.stat().st_size for file in files if file.is_file())
        for requirement in found.requires or []:
            extra = EXTRA.search(requirement)
            if extra is None or extra.group(1) in wanted:
                needed = re.split(r"[ ;<>=!~\[(]", requirement)[0].lower()
                todo.append((needed, set()))
    if "realtime-nb" in sizes:
        package = Path(realtime_nb.__file__).parent
        sizes["realtime-nb"] = sum(
            file.stat().st_size
            for file in package.rglob("*")
            if file.is_file() and not {"frontend", "__pycache__"} & set(file.parts)
        )
    return sizes


def resident_mib() -> list[tuple[str, float]]:
    process = psutil.Process()
    rows = [("this process", process.memory_info().rss)]
    for number, child in enumerate(process.children(recursive=True), start=1):
        rows.append((f"worker process {number}", child.memory_info().rss))
    return [(name, size / 2**20) for name, size in rows]


async def memory(engine: str) -> None:
    import ipykernel.ipkernel  # noqa: F401  # what a kernel holds anyway

    idle = resident_mib()[0][1]
    async with realtime_nb.connect(engine=engine, quiet=True) as session:
        for name in ("hello", "order_status", "weather"):
            await session.ask(realtime_nb.clip(name))
        rows = resident_mib()
    print(f"\nResident memory, MiB, kernel modules + embedded server + {session.engine}, after 3 spoken turns:")
    print(f"  {'ipykernel alone, imported':<62}{idle:>8.0f}")
    for name, size in rows:
        print(f"  {name:<62}{size:>8.0f}")
    print(f"  {'all processes':<62}{sum(size for _, size in rows):>8.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", default="offline")
    parser.add_argument("--imports", type=int, default=9)
    options = parser.parse_args()
    print(f"{platform.platform()}, Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}")
    print(f"\nCPU seconds of an import in a fresh interpreter, n = {options.imports} (min / median / max):")
    for name, program in (("import realtime_nb", IMPORT), ("import ipykernel.ipkernel (for scale)", KERNEL)):
        figures = cpu_seconds(program, options.imports)
        print(f"  {name:<42}{min(figures):>8.3f}{statistics.median(figures):>8.3f}{max(figures):>8.3f}")
    for label, extras in (("base", set()), ("base + offline engines", {"embedded"})):
        sizes = installed(extras)
        largest = sorted(sizes.items(), key=lambda row: -row[1])[:6]
        names = ", ".join(f"{name} {size / 1e6:.0f}" for name, size in largest)
        print(f"\nInstalled size, {label}: {sum(sizes.values()) / 1e6:.0f} MB in {len(sizes)} packages ({names})")
    asyncio.run(memory(options.engine))


if __name__ == "__main__":
    main()
