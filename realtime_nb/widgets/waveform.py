"""A clip's waveform with its regions; needs no kernel once shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import traitlets

from realtime_nb.audio import AudioClip
from realtime_nb.audio.static_view import waveform_svg
from realtime_nb.widgets.base import BundledWidget, bundled
from realtime_nb.widgets.messages import RegionRow

__all__ = ["ClipTraits", "Waveform", "region_rows"]

PEAKS_PER_S = 100
MAX_PEAKS = 12_000

Kind = Literal["speech", "hold", "response"]
RegionLike = RegionRow | tuple[float, float] | tuple[float, float, Kind] | Any


class ClipTraits(traitlets.HasTraits):
    """The traits that a drawn clip has: peaks, length, regions, title."""

    peaks = traitlets.Bytes(help="int8 pairs (lowest, highest) spread over the clip.").tag(sync=True)
    duration_ms = traitlets.Float(0.0).tag(sync=True)
    regions: traitlets.List[Any] = traitlets.List(help="Dicts of RegionRow.").tag(sync=True)
    title = traitlets.Unicode("").tag(sync=True)

    @staticmethod
    def traits_of(clip: AudioClip, regions: Iterable[RegionLike] | None, title: str) -> dict[str, Any]:
        """Return the traits' values for a clip; without `regions` its known speech is marked."""
        n_peaks = min(MAX_PEAKS, max(1, round(clip.duration_ms / 1000 * PEAKS_PER_S)))
        if regions is None:
            known = clip.speech_start_ms is not None and clip.speech_end_ms is not None
            regions = [(clip.speech_start_ms, clip.speech_end_ms)] if known else []
        return {
            "peaks": clip.peaks(n_peaks).tobytes() if clip.duration_ms else b"",
            "duration_ms": float(clip.duration_ms),
            "regions": region_rows(regions),
            "title": title or clip.title,
        }


class Waveform(BundledWidget, ClipTraits):
    """Draw a clip.

    Args:
        clip: what to draw.
        regions: spans in ms of the clip: `(start, end)`, `(start, end, "speech" | "hold" | "response")`, or regions of
            a session. Without them the clip's known start and end of speech are marked.
        title: shown above; the clip's own by default.
    """

    _esm = bundled("waveform.js")
    _css = bundled("waveform.css")

    def __init__(self, clip: AudioClip, regions: Iterable[RegionLike] | None = None, *, title: str = "") -> None:
        self._clip = clip
        super().__init__(**self.traits_of(clip, regions, title))

    def _static_html(self) -> str:
        return static_clip_html(self._clip, self.regions)


def region_rows(regions: Iterable[RegionLike]) -> list[dict[str, Any]]:
    """Return regions in whatever form as the dicts that the front end draws."""
    rows = []
    for number, region in enumerate(regions):
        if isinstance(region, tuple):
            start_ms, end_ms, *rest = region
            kind, lane = (rest[0] if rest else "speech"), "user"
        else:
            start_ms, end_ms, kind, lane = region.start_ms, region.end_ms, region.kind, region.lane
        rows.append(
            {
                "region_id": getattr(region, "region_id", f"region_{number}"),
                "lane": lane,
                "kind": kind,
                "start_ms": float(start_ms),
                "end_ms": None if end_ms is None else float(end_ms),
            }
        )
    return rows


def static_clip_html(clip: AudioClip, regions: Iterable[dict[str, Any]]) -> str:
    """Return the clip's waveform as SVG, for readers without a kernel."""
    spans = [
        (region["start_ms"], clip.duration_ms if region["end_ms"] is None else region["end_ms"], region["kind"])
        for region in regions
    ]
    return waveform_svg(clip, regions=spans)
