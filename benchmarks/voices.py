"""How soon each offline voice is heard and how fast it computes: `python benchmarks/voices.py [flite|espeak] [--n 20]`.

First chunk: from the call to the first chunk in this process, the worker warm. RTF: seconds of computing per second of
audio. The sentence has twelve words.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import time
from importlib import import_module

import numpy as np

from realtime_nb.engines.worker_synthesizer import WorkerSynthesizer

SENTENCE = "Your order is on its way and should arrive on Tuesday morning."


async def measure(synthesizer: WorkerSynthesizer, voice: str, n: int) -> tuple[list[float], list[float]]:
    """Return the times to the first chunk in ms and the real-time factors of `n` utterances."""
    first_ms, factors = [], []
    for _ in range(n):
        started = time.perf_counter()
        samples = 0
        async for chunk in synthesizer.speak(SENTENCE, voice=voice):
            if not samples:
                first_ms.append((time.perf_counter() - started) * 1000)
            samples += len(chunk.pcm16)
        factors.append((time.perf_counter() - started) / (samples / 24_000))
    return first_ms, factors


async def main() -> None:
    """Print one table an engine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engines", nargs="*", default=["flite", "espeak"])
    parser.add_argument("--n", type=int, default=20)
    arguments = parser.parse_args()
    print(
        f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}; a sentence of twelve words"
    )
    for name in arguments.engines:
        module = import_module(f"realtime_nb.engines.{name}_engine")
        if not module.available():
            print(f"\n{name}: not installed here")
            continue
        synthesizer = module.create()
        started = time.perf_counter()
        await synthesizer.start()
        print(f"\n{name}: start (spawn, load, warm) {(time.perf_counter() - started) * 1000:.0f} ms (n 1)")
        print("| voice | n | first chunk median ms | p95 ms | RTF median | p95 |\n|---|---|---|---|---|---|")
        try:
            for voice in synthesizer.capabilities.voices:
                first_ms, factors = await measure(synthesizer, voice, arguments.n)
                (first, first_95), (factor, factor_95) = (np.percentile(x, [50, 95]) for x in (first_ms, factors))
                print(f"| {voice} | {arguments.n} | {first:.1f} | {first_95:.1f} | {factor:.4f} | {factor_95:.4f} |")
        finally:
            await synthesizer.aclose()


if __name__ == "__main__":
    asyncio.run(main())
