"""Spans on the waveforms: speech, hold and response, in milliseconds on the session's clock."""

from __future__ import annotations

from typing import Literal

import msgspec


class Region(msgspec.Struct, frozen=True, kw_only=True):
    """A span; `end_ms` None while it is open. The same `region_id` again updates it.

    Attributes:
        kind: "speech" is the user speaking, "hold" the silence that the server waited for, "response" an answer's
            audio.
    """

    region_id: str
    lane: Literal["user", "assistant"]
    kind: Literal["speech", "hold", "response"]
    start_ms: float
    end_ms: float | None = None


class RegionBook:
    """The session's regions, bounded to the last 500."""

    def __init__(self, *, max_regions: int = 500) -> None:
        self._regions: dict[str, Region] = {}
        self._max_regions = max_regions

    @property
    def regions(self) -> list[Region]:
        """All regions held, oldest first."""
        return list(self._regions.values())

    def __contains__(self, region_id: object) -> bool:
        return region_id in self._regions

    def open(self, region: Region) -> Region:
        """Add or replace a region and return it."""
        self._regions[region.region_id] = region
        while len(self._regions) > self._max_regions:
            del self._regions[next(iter(self._regions))]
        return region

    def close(self, region_id: str, end_ms: float) -> Region | None:
        """End a region and return it; None when it is unknown or already ended."""
        region = self._regions.get(region_id)
        if region is None or region.end_ms is not None:
            return None
        return self.open(msgspec.structs.replace(region, end_ms=max(end_ms, region.start_ms)))
