"""Figures with matplotlib. Every one carries its provenance line, counts what it leaves out, and describes itself."""

from __future__ import annotations

from realtime_nb.studies.figures.contours import contours
from realtime_nb.studies.figures.costs import costs
from realtime_nb.studies.figures.distributions import ecdf, turn_gaps
from realtime_nb.studies.figures.page import ProvenFigure, describe
from realtime_nb.studies.figures.paired import paired_differences
from realtime_nb.studies.figures.stages import stage_medians
from realtime_nb.studies.figures.waterfall import waterfall

__all__ = [
    "ProvenFigure",
    "contours",
    "costs",
    "describe",
    "ecdf",
    "paired_differences",
    "stage_medians",
    "turn_gaps",
    "waterfall",
]
