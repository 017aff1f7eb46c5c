"""Colours and sizes: safe for colour-blind readers, told apart in grey, in light and dark, on paper and on a wall.

Colours are Okabe and Ito's (2008, "Color Universal Design") and lighter or darker relatives. Neighbours on a route
differ in luminance, so that a grey print keeps their border; hatching is kept for what is unattributed or simulated.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from realtime_nb.errors import ConfigurationError
from realtime_nb.timing.marks import StageName

Theme = Literal["light", "dark"]
Size = Literal["notebook", "projector"]

STAGE_WORDS: Mapping[StageName, str] = {
    "vad_hold": "VAD hold",
    "commit": "commit",
    "upload": "upload",
    "transcription": "transcription",
    "tool_choice": "tool choice",
    "tool": "tool",
    "first_text": "first text",
    "sentence": "sentence",
    "first_audio": "first audio",
    "leading_silence": "leading silence",
    "output": "output",
}


Dashes = Literal["-", "--", ":", "-."]


class Line(NamedTuple):
    """How one pipeline is drawn: told apart by colour, dashes and marker."""

    colour: str
    dashes: Dashes
    marker: str


_LINES = (
    Line("#0072B2", "-", "o"),
    Line("#E69F00", "--", "s"),
    Line("#CC79A7", ":", "^"),
    Line("#009E73", "-.", "D"),
    Line("#56B4E9", "-", "v"),
    Line("#D55E00", "--", "P"),
)
_ROUTES = ("chain", "chain-streaming", "chat-audio", "realtime")


FADES = 2.3
"""WCAG contrast with the paper below which a bar is edged: pale grey and yellow go first on a projector."""


class Look(NamedTuple):
    """What a figure looks like. Sizes of letters in points, of the page in inches."""

    theme: Theme
    paper: str
    ink: str
    muted: str
    grid: str
    band: str
    width_in: float
    row_in: float
    plot_in: float
    text_pt: float
    title_pt: float
    small_pt: float
    line_pt: float
    dpi: float
    unattributed_hatch: str
    simulated_hatch: str


_LIGHT = {"theme": "light", "paper": "#FFFFFF", "ink": "#1A1A1A", "muted": "#595959", "grid": "#D0D0D0"}
_DARK = {"theme": "dark", "paper": "#111318", "ink": "#EDEDED", "muted": "#B5B5B5", "grid": "#3A3D44"}
_BANDS = {"light": "#DCEBF5", "dark": "#22384A"}
_NOTEBOOK = {
    "width_in": 8.0,
    "row_in": 0.36,
    "plot_in": 2.9,
    "text_pt": 10.0,
    "title_pt": 12.0,
    "small_pt": 8.5,
    "line_pt": 1.8,
    "dpi": 110.0,
    "unattributed_hatch": "////",
    "simulated_hatch": "....",
}
_PROJECTOR = {
    "width_in": 16.0,
    "row_in": 0.62,
    "plot_in": 4.6,
    "text_pt": 20.0,
    "title_pt": 24.0,
    "small_pt": 18.0,
    "line_pt": 3.2,
    "dpi": 80.0,
    "unattributed_hatch": "//",
    "simulated_hatch": "..",
}


def look(theme: Theme = "light", size: Size = "notebook") -> Look:
    """Return a look.

    Args:
        theme: "light" or "dark"; a kernel cannot know which one the reader's page has.
        size: "projector" has no letter under 18 pt.

    Raises:
        ConfigurationError: another name.
    """
    if theme not in _BANDS or size not in ("notebook", "projector"):
        raise ConfigurationError(
            f"There is no theme {theme!r} in size {size!r}.",
            what_now="Themes are 'light' and 'dark'; sizes 'notebook' and 'projector'.",
        )
    colours = _DARK if theme == "dark" else _LIGHT
    sizes = _PROJECTOR if size == "projector" else _NOTEBOOK
    return Look(**colours, band=_BANDS[theme], **sizes)  # type: ignore[arg-type]


def lines(pipelines: Sequence[str]) -> dict[str, Line]:
    """Return how each pipeline is drawn: the four routes always alike, other names with what is left."""
    own = {name: _LINES[_ROUTES.index(name)] for name in pipelines if name in _ROUTES}
    others = [name for name in pipelines if name not in own]
    free = (line for line in _all_lines() if line not in own.values())
    return {**own, **dict(zip(others, free, strict=False))}


def _all_lines() -> Iterator[Line]:
    """Yield the six, then their colours with other dashes and markers: 24 in all, then again."""
    for turn in itertools.count():
        for index, line in enumerate(_LINES):
            shifted = _LINES[(index + turn) % len(_LINES)]
            yield Line(line.colour, _LINES[(index + turn) % 4].dashes, shifted.marker)


def luminance(colour: str) -> float:
    """Return WCAG's relative luminance of "#RRGGBB", 0 to 1."""
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def ink_on(colour: str) -> str:
    """Return black or white, whichever reads better on a colour."""
    return "#000000" if luminance(colour) > 0.18 else "#FFFFFF"


def edge_of(colour: str, style: Look) -> str:
    """Return the edge of a bar: the paper's colour, or a darker one where the bar would fade into the paper."""
    lights = sorted((luminance(colour), luminance(style.paper)))
    return style.muted if (lights[1] + 0.05) / (lights[0] + 0.05) < FADES else style.paper


def milliseconds(value: float) -> str:
    """Return a duration as people read it."""
    return f"{value:.1f} ms" if abs(value) < 10 else f"{value:,.0f} ms"
