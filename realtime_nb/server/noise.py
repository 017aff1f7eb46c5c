"""`noise_reduction`: user audio cleaned before anybody hears or keeps it."""

from __future__ import annotations

import asyncio
import logging

import numpy as np

from realtime_nb.engines.base import NoiseSuppressor, Pcm16
from realtime_nb.errors import RealtimeError
from realtime_nb.server.input_audio import InputDecoder
from realtime_nb.server.wire import Wire

logger = logging.getLogger(__name__)

SLICES_PER_SECOND = 10
"""Long audio is cleaned in slices of 100 ms; other tasks get the loop in between."""


class Cleaner:
    """The suppressor of one connection, made when the first audio needs it."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._suppressor: NoiseSuppressor | None = None
        self._broken = False

    def reset(self) -> None:
        """Begin anew with the next audio: the settings changed."""
        self._suppressor = None
        self._broken = False

    async def clean(self, decoder: InputDecoder, pcm16: Pcm16) -> Pcm16:
        """Return as much audio, cleaned.

        Args:
            decoder: knows the rate.
            pcm16: at the wire's rate.
        """
        suppressor = self._suppressor or await self._make(decoder.sample_rate_hz)
        if suppressor is None:
            return pcm16
        step = decoder.sample_rate_hz // SLICES_PER_SECOND
        cleaned = []
        for start in range(0, len(pcm16), step):
            if start:
                await asyncio.sleep(0)
            cleaned.append(suppressor.process(pcm16[start : start + step]))
        return np.concatenate(cleaned) if cleaned else pcm16

    async def _make(self, sample_rate_hz: int) -> NoiseSuppressor | None:
        reduction = self._wire.protocol.config.audio.input.noise_reduction
        make = self._wire.engines.noise_suppressor
        if reduction is None or make is None or self._broken:
            return None
        try:
            self._suppressor = await asyncio.to_thread(make, reduction.type, sample_rate_hz)
        except RealtimeError as problem:
            logger.warning("noise is not reduced: %s", problem)
            self._broken = True
        return self._suppressor
