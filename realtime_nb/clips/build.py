"""Make the bundled clips again: `python -m realtime_nb.clips.build --human POCKETSPHINX_SOURCE/test/data`.

Synthetic clips are spoken by flite (needs `libflite1`). Human ones come from the source distribution of pocketsphinx
5.1.1 on PyPI; without `--human` those already here are kept.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from realtime_nb.audio.clip import AudioClip
from realtime_nb.audio.format import WIRE_SAMPLE_RATE_HZ
from realtime_nb.audio.pcm import pcm16_from_bytes
from realtime_nb.audio.speech_bounds import METHOD, speech_bounds_ms

HERE = Path(__file__).parent
LEAD_MS, TAIL_MS = 250, 300
MAX_TOTAL_BYTES = 1_500_000

FLITE_ORIGIN = "Synthetic speech by flite 2.2, Carnegie Mellon University"
FLITE_LICENCE = "CMU flite licence (BSD-like: free use and redistribution, with attribution)"
SPHINX = "pocketsphinx 5.1.1 source distribution, test/data"


class Synthetic(NamedTuple):
    """A sentence for flite to speak."""

    clip_id: str
    title: str
    text: str
    preset: str


class Human(NamedTuple):
    """A recording of a person, in pocketsphinx's test data."""

    clip_id: str
    title: str
    text: str
    file: str
    origin: str
    licence: str


SYNTHETIC = (
    Synthetic("hello", "Hello", "Hello.", "sage"),
    Synthetic("what_can_you_do", "What can you do?", "What can you do?", "echo"),
    Synthetic("order_status", "Where is my order?", "Where is my order number four two seven one?", "alloy"),
    Synthetic("weather", "The weather in Paris", "What is the weather in Paris today?", "coral"),
    Synthetic("breakfast", "Two eggs and a banana", "I had two eggs and a banana for breakfast.", "coral"),
    Synthetic("joke", "Tell me a joke", "Tell me a joke.", "echo"),
    Synthetic("human_agent", "A human agent, please", "Please connect me to a human agent.", "ballad"),
    Synthetic("stop", "Stop", "Stop.", "echo"),
    Synthetic("wait", "Wait, another question", "Wait, I have another question.", "alloy"),
    Synthetic(
        "long_request",
        "A long request",
        "Hello, my name is Maria. I ordered a keyboard last week. Can you tell me when it will arrive?",
        "echo",
    ),
)

HUMAN = (
    Human(
        "go_forward",
        "Go forward ten meters (a person)",
        "Go forward ten meters.",
        "goforward.raw",
        f"Human speech, goforward.raw of the {SPHINX}",
        "BSD-2-Clause, Carnegie Mellon University",
    ),
    Human(
        "book_reading",
        "A line of Sense and Sensibility (a person)",
        "He was not an ill disposed young man.",
        "librivox/sense_and_sensibility_01_austen_64kb-0880.wav",
        f"Human speech, a LibriVox reading of Jane Austen's Sense and Sensibility, by way of the {SPHINX}",
        "Public domain (LibriVox)",
    ),
)


def framed(clip: AudioClip) -> AudioClip:
    """Return the clip with 250 ms of silence before and 300 ms after its speech."""
    silence = AudioClip.silence(1_000)
    between = silence + clip + silence
    bounds = speech_bounds_ms(between.samples, between.sample_rate_hz)
    if bounds is None:
        raise ValueError(f"no speech in {clip.title!r}")
    return AudioClip.silence(LEAD_MS) + between.trimmed(*bounds) + AudioClip.silence(TAIL_MS)


async def _synthesize() -> list[tuple[dict[str, Any], AudioClip]]:
    from realtime_nb.engines import flite_engine

    voices = flite_engine.create()
    made = []
    try:
        for clip_id, title, text, preset in SYNTHETIC:
            chunks = [chunk.pcm16 async for chunk in voices.speak(text, voice=preset)]
            voice = f"flite cmu_us_{flite_engine.PRESETS[preset].library}, preset {preset!r}"
            record = {"id": clip_id, "title": title, "transcript": text, "voice": voice, "synthetic": True}
            record |= {"origin": FLITE_ORIGIN, "licence": FLITE_LICENCE}
            made.append((record, framed(AudioClip(np.concatenate(chunks), title=title))))
    finally:
        await voices.aclose()
    return made


def _recorded(source: Path) -> list[tuple[dict[str, Any], AudioClip]]:
    made = []
    for clip_id, title, text, file, origin, licence in HUMAN:
        path = source / file
        raw = path.suffix == ".raw"
        clip = AudioClip(pcm16_from_bytes(path.read_bytes()), 16_000) if raw else AudioClip.load(path)
        record = {"id": clip_id, "title": title, "transcript": text, "voice": "human", "synthetic": False}
        record |= {"origin": f"{origin}; resampled to 24 kHz, else unchanged", "licence": licence}
        made.append((record, clip.resampled(WIRE_SAMPLE_RATE_HZ)))
    return made


def _record(record: dict[str, Any], clip: AudioClip) -> dict[str, Any]:
    path = clip.save(HERE / f"{record['id']}.wav")
    bounds = speech_bounds_ms(clip.samples, clip.sample_rate_hz)
    assert bounds is not None
    marks = {"speech_start_ms": bounds[0], "speech_end_ms": bounds[1], "duration_ms": round(clip.duration_ms, 2)}
    return record | marks | {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def main() -> None:
    """Write the WAV files and `manifest.json` beside this module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--human", type=Path, help="the test/data folder of pocketsphinx's source distribution")
    human = parser.parse_args().human
    manifest = HERE / "manifest.json"
    records = [_record(*made) for made in asyncio.run(_synthesize())]
    if human is not None:
        records += [_record(*made) for made in _recorded(human)]
    else:
        records += [old for old in json.loads(manifest.read_text("utf-8"))["clips"] if not old["synthetic"]]
    total = sum((HERE / f"{record['id']}.wav").stat().st_size for record in records)
    if total > MAX_TOTAL_BYTES:
        raise SystemExit(f"{total:,} bytes of clips are over the limit of {MAX_TOTAL_BYTES:,}")
    document = {"format": "24 kHz mono PCM16 WAV", "boundary_method": METHOD, "clips": records}
    manifest.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
