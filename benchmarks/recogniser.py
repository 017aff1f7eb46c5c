"""The offline recogniser fed in real time: word errors, and how long a hypothesis takes after speech ended.

    python benchmarks/recogniser.py [--folder DIR] [--limit N]

Speech: the bundled clips and, with the flite program, three voices reading tutorial sentences (both are in the domain
model's own text), new sentences from the same words, and unrelated English; with --folder also DIR/*.wav beside
DIR/*.txt (your own recordings). Audio goes in as 20 ms frames at the pace of speech through the real turn detector; at
`SilenceBegan` the hypothesis is asked for, as the server does.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from realtime_nb.audio import AudioClip, bundled
from realtime_nb.engines import pocketsphinx_engine, vad
from realtime_nb.engines.base import Pcm16
from realtime_nb.engines.spoken_text import spoken_words
from realtime_nb.engines.turn_detector import SilenceBegan, SpeechDetector, SpeechStopped

TUTORIAL = [
    "what can you do for me",
    "where is my order number four two one seven",
    "i would like to order two large pizzas",
    "how many calories did i eat today",
    "look up the customer maria garcia",
    "no wait i changed my mind",
]
PARAPHRASED = [
    "is it warm in paris this evening",
    "can you add a coffee to my order",
    "i ate a burger and french fries for lunch today",
    "please tell me about the weather next week in new york",
    "how much is a slice of pizza",
]
UNRELATED = [
    "the committee published its annual report on renewable energy",
    "she walked along the river until the sun went down",
    "he bought a second hand bicycle from his neighbor",
]
VOICES = ["slt", "rms", "awb"]


class Item(NamedTuple):
    group: str
    text: str
    samples: Pcm16


class Result(NamedTuple):
    group: str
    errors: int
    words: int
    answer_ms: float
    ready_ms: float
    """From the end of speech, as the detector found it, to the transcript."""
    first_partial_ms: float | None
    in_domain: bool | None
    confidence: float


def flite(text: str, voice: str) -> Pcm16:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(path)], check=True)
        return AudioClip.load(path).resampled(16_000).samples


def items(folder: Path | None) -> list[Item]:
    found = [
        Item("bundled", clip.transcript, clip.resampled(16_000).samples)
        for clip in bundled.clips().values()
        if clip.transcript
    ]
    if shutil.which("flite"):
        for group, texts in (("tutorial", TUTORIAL), ("paraphrased", PARAPHRASED), ("unrelated", UNRELATED)):
            found += [Item(group, text, flite(text, VOICES[n % len(VOICES)])) for n, text in enumerate(texts)]
    if folder is not None:
        for path in sorted(folder.glob("*.wav")):
            text = path.with_suffix(".txt").read_text("utf-8")
            found.append(Item("own", text, AudioClip.load(path).resampled(16_000).samples))
    return found


def word_errors(said: tuple[str, ...], heard: tuple[str, ...]) -> int:
    row = list(range(len(heard) + 1))
    for n, word in enumerate(said, 1):
        previous, row[0] = row[0], n
        for m, other in enumerate(heard, 1):
            previous, row[m] = row[m], min(row[m] + 1, row[m - 1] + 1, previous + (word != other))
    return row[-1]


async def measure(transcriber: pocketsphinx_engine.PocketsphinxTranscriber, item: Item) -> Result:
    detector = SpeechDetector(vad.create(), sample_rate_hz=16_000)
    first_partial: list[float] = []
    started = time.perf_counter()
    stream = await transcriber.open(on_partial=lambda _: first_partial.append((time.perf_counter() - started) * 1000))
    samples = np.concatenate([item.samples, np.zeros(16_000, np.int16)])
    answer_ms = ready_ms = 0.0
    for n, start in enumerate(range(0, len(samples) - 319, 320)):
        await asyncio.sleep(max(0.0, started + (n + 1) * 0.02 - time.perf_counter()))
        frame = samples[start : start + 320]
        stream.feed(frame)
        signals = detector.feed(frame)
        pause = next((signal for signal in signals if isinstance(signal, SilenceBegan)), None)
        if pause is not None:
            asked = time.perf_counter()
            await stream.hypothesis()
            answer_ms = (time.perf_counter() - asked) * 1000
            ready_ms = (time.perf_counter() - started) * 1000 - pause.true_end_ms
        if any(isinstance(signal, SpeechStopped) for signal in signals):
            break
    transcript = await stream.finish()
    said = spoken_words(item.text)
    errors = word_errors(said, spoken_words(transcript.text))
    first = first_partial[0] if first_partial else None
    return Result(
        item.group, errors, len(said), answer_ms, ready_ms, first, transcript.in_domain, transcript.confidence
    )


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="your own recordings: *.wav beside *.txt")
    parser.add_argument("--limit", type=int, default=1_000, help="at most this many clips")
    options = parser.parse_args()
    transcriber = pocketsphinx_engine.create()
    began = time.perf_counter()
    await transcriber.start()
    start_ms = (time.perf_counter() - began) * 1000
    results = [await measure(transcriber, item) for item in items(options.folder)[: options.limit]]
    memory_mb = await transcriber.worker.request("memory_mb")
    await transcriber.aclose()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"{platform.machine()}, {os.cpu_count()} CPUs, load {load:.1f}, Python {platform.python_version()}")
    print(f"start {start_ms:.0f} ms; recogniser process {memory_mb:.0f} MB")
    head = f"{'speech':12} {'n':>3} {'words':>5} {'WER %':>6} {'domain':>7} {'conf.':>5}"
    print(f"{head}  hypothesis ms p50/p95  after true end ms p50/p95  first partial ms p50")
    for group in [*dict.fromkeys(result.group for result in results), "all"]:
        rows = [result for result in results if group in (result.group, "all")]
        answer, ready = [row.answer_ms for row in rows], [row.ready_ms for row in rows]
        partial = [row.first_partial_ms for row in rows if row.first_partial_ms is not None]
        words = sum(row.words for row in rows)
        print(
            f"{group:12} {len(rows):3} {words:5} {100 * sum(row.errors for row in rows) / words:6.1f} "
            f"{sum(bool(row.in_domain) for row in rows):3}/{len(rows):<3} "
            f"{np.median([row.confidence for row in rows]):5.2f}  "
            f"{np.median(answer):9.1f} / {np.percentile(answer, 95):<9.1f} "
            f"{np.median(ready):12.0f} / {np.percentile(ready, 95):<9.0f} {np.median(partial):12.0f}"
        )


if __name__ == "__main__":
    asyncio.run(main())
