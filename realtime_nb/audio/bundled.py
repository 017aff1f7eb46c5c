"""The speech clips that come with the package: short, licensed, with known start and end of speech."""

from __future__ import annotations

import io
import json
import wave
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from realtime_nb.audio.clip import AudioClip
from realtime_nb.audio.pcm import pcm16_from_bytes
from realtime_nb.errors import AudioError


def manifest() -> dict[str, Any]:
    """Return the manifest as it is on disk: how the marks were measured, and one record a clip."""
    loaded: dict[str, Any] = json.loads((files("realtime_nb") / "clips" / "manifest.json").read_text("utf-8"))
    return loaded


@lru_cache(maxsize=1)
def _clips() -> MappingProxyType[str, AudioClip]:
    return MappingProxyType({record["id"]: _load(record) for record in manifest()["clips"]})


def _load(record: dict[str, Any]) -> AudioClip:
    data = (files("realtime_nb") / "clips" / f"{record['id']}.wav").read_bytes()
    with wave.open(io.BytesIO(data)) as file:
        samples = pcm16_from_bytes(file.readframes(file.getnframes()))
        rate_hz = file.getframerate()
    return AudioClip(
        samples,
        rate_hz,
        title=record["title"],
        speech_start_ms=record["speech_start_ms"],
        speech_end_ms=record["speech_end_ms"],
        origin=f"{record['origin']} ({record['licence']})",
        transcript=record["transcript"],
    )


def clips() -> dict[str, AudioClip]:
    """Return all bundled clips by id, in the manifest's order."""
    return dict(_clips())


def clip(clip_id: str) -> AudioClip:
    """Return one bundled clip.

    Raises:
        AudioError: there is no clip of that id; the message lists them.
    """
    known = _clips()
    if clip_id not in known:
        raise AudioError(f"There is no bundled clip {clip_id!r}.", what_now=f"Use one of: {', '.join(known)}.")
    return known[clip_id]
