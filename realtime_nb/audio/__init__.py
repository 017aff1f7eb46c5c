"""Audio as arrays: clips, formats, codecs and sample rates. Imports numpy and nothing heavier."""

from __future__ import annotations

from realtime_nb.audio.clip import AudioClip

__all__ = ["AudioClip"]
