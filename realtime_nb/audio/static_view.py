"""A waveform as plain SVG: no script, no kernel, the same in a notebook, on GitHub and on paper."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from realtime_nb.audio.clip import AudioClip

COLOR = "#3b82c4"
REGION_COLOR = "#8a8f98"


class WaveformRegion(NamedTuple):
    """A stretch of the clip to shade behind the wave; a plain tuple in this order does as well."""

    start_ms: float
    end_ms: float
    label: str = ""
    color: str = REGION_COLOR


def waveform_svg(
    clip: AudioClip,
    *,
    width: int = 480,
    height: int = 64,
    color: str = COLOR,
    regions: Iterable[tuple[float, float] | tuple[float, float, str] | WaveformRegion] = (),
) -> str:
    """Return one `<svg>` element that draws the clip's loudest and quietest sample in every pixel column.

    Args:
        clip: what to draw; an empty clip gives a flat line.
        width: in CSS pixels; the drawing shrinks with a narrower container.
        height: in CSS pixels.
        color: of the wave, any CSS color (`var(--…)` too).
        regions: shaded stretches in ms of the clip, cut to the clip.
    """
    middle = height / 2
    shades = "".join(_region_rect(clip.duration_ms, WaveformRegion(*region), width, height) for region in regions)
    scale = (middle - 1) / 128
    columns = "".join(
        f"M{x + 0.5:g} {middle - high * scale:.1f}V{middle - low * scale + 0.5:.1f}"
        for x, (low, high) in enumerate(clip.peaks(width).tolist())
    )
    name = escape(f"Waveform of {clip.title or 'audio'}, {clip.duration_ms / 1000:.2f} s", quote=True)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{name}" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" preserveAspectRatio="none" style="max-width:100%;display:block">'
        f"<title>{name}</title>{shades}"
        f'<path d="M0 {middle:g}H{width}" stroke="{escape(color, quote=True)}" stroke-opacity=".35" fill="none"/>'
        f'<path d="{columns}" stroke="{escape(color, quote=True)}" stroke-width="1" fill="none"/></svg>'
    )


def _region_rect(duration_ms: float, region: WaveformRegion, width: int, height: int) -> str:
    start_ms, end_ms = max(0.0, region.start_ms), min(duration_ms, region.end_ms)
    if end_ms <= start_ms:
        return ""
    left, span = start_ms / duration_ms * width, (end_ms - start_ms) / duration_ms * width
    title = f"<title>{escape(region.label)}</title>" if region.label else ""
    return (
        f'<rect x="{left:.1f}" y="0" width="{span:.1f}" height="{height}" '
        f'fill="{escape(region.color, quote=True)}" fill-opacity=".18">{title}</rect>'
    )
