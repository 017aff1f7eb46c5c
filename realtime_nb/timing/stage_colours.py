"""One colour a stage, in figures, widgets and pages.

Colours are Okabe and Ito's (2008, "Color Universal Design") and lighter or darker relatives. Neighbours on a route
differ in luminance, so that a grey print keeps their border.
"""

from __future__ import annotations

from collections.abc import Mapping

STAGE_COLOURS: Mapping[str, str] = {
    "vad_hold": "#D9D9D9",
    "commit": "#E69F00",
    "upload": "#4D4D4D",
    "transcription": "#CC79A7",
    "tool_choice": "#8C510A",
    "tool": "#7FBC41",
    "first_text": "#0072B2",
    "sentence": "#56B4E9",
    "first_audio": "#F0E442",
    "leading_silence": "#009E73",
    "output": "#EBC6DD",
}
