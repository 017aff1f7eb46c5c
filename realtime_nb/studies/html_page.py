"""A comparison as one HTML page that needs nothing else: tables, figures as SVG, provenance, and what is missing."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from html import escape
from typing import Any

from realtime_nb.errors import RealtimeError
from realtime_nb.studies.comparison import Comparison
from realtime_nb.studies.provenance import simulated_word
from realtime_nb.studies.statistics import Estimate
from realtime_nb.studies.table import Table

REFERENCE_PIPELINE = "realtime"
STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; }
th, td { border-bottom: 1px solid #8886; padding: .25rem .4rem; vertical-align: top; }
figure { margin: 2rem 0; background: #fff; color: #000; border-radius: 4px; }
figure svg { width: 100%; height: auto; }
"""
METHOD = (
    "Voice-to-voice is the time from the true end of the user's speech to the first sample of the answer that can be "
    "heard. Every clip was asked of every pipeline in randomised blocks, {order}. Averages are over runs "
    "that completed, were measured, and have no impossible span; all others are counted and listed below. Intervals "
    "are percentile bootstraps of the median with 9,999 resamples at 95 %, runs taken as independent: they speak of "
    "these clips on this machine at this hour. Ratios and differences are of pairs: the same clip in the same repeat."
)


def comparison_html(comparison: Comparison, *, title: str = "Voice-to-voice, compared") -> str:
    """Return the page.

    Raises:
        MissingExtra: SciPy is not installed.
    """
    simulated = simulated_word(comparison.rows)
    title = f"{title} ({simulated})" if simulated else title
    method = METHOD.format(order=comparison.provenance.at_once or "one run at a time")
    parts = [
        f"<h1>{escape(title)}</h1>",
        _wide(comparison.summary()),
        *(_section("Pairs", _list(estimates(comparison))) if len(comparison.pipelines) > 1 else ()),
        *_figures(comparison),
        *_section("What is in no average", _wide(comparison.missing())),
        *_section("How it was measured", f"<p>{escape(method)}</p>{_wide(_known(comparison))}"),
    ]
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def estimates(comparison: Comparison) -> list[Estimate]:
    """Return ratio and difference of every pipeline to the reference: "realtime", else the last one.

    Raises:
        MissingExtra: SciPy is not installed.
    """
    names = comparison.pipelines
    reference = REFERENCE_PIPELINE if REFERENCE_PIPELINE in names else names[-1]
    return [
        estimate
        for name in names
        if name != reference
        for estimate in (comparison.ratio(name, reference), comparison.difference(name, reference))
    ]


def _figures(comparison: Comparison) -> Iterator[str]:
    from realtime_nb.studies import figures

    drawn: list[tuple[str, Callable[[], Any]]] = [
        ("Where the time goes", lambda: figures.stage_medians(comparison)),
        ("How often it is how fast", lambda: figures.ecdf(comparison)),
        ("Against people's pauses", lambda: figures.turn_gaps(comparison)),
    ]
    if any(row.cost_usd is not None for row in comparison.rows):
        drawn.append(("What it costs", lambda: figures.costs(comparison)))
    if not any(row.measured_ms is not None for row in comparison.rows):
        return
    for heading, make in drawn:
        try:
            yield _svg(make())
        except RealtimeError as problem:  # a figure that cannot be drawn must not cost the page
            yield from _section(heading, f"<p>Not drawn: {escape(str(problem))}</p>")


def _svg(figure: Any) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", facecolor=figure.get_facecolor(), metadata={"Date": None, "Creator": None})
    drawing = buffer.getvalue()
    label = escape(str(getattr(figure, "alt_text", "")), quote=True)
    inner = drawing[drawing.index("<svg") :].replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
    return f"<figure>{inner}</figure>"


def _known(comparison: Comparison) -> Table:
    where = comparison.provenance
    facts = {
        "begun": where.created,
        "machine": where.machine,
        "load": where.load_line or "not known",
        "engines": "; ".join(where.engines),
        "models": "; ".join(where.models),
        "endpoints": "; ".join(where.endpoints),
        "simulated": "; ".join(where.simulated) or "nothing",
        "seed": str(where.seed),
        "repeats": str(where.repeats),
        "warm-up runs per pipeline, in no row": str(where.warmups),
        "ended early": where.stopped or "no",
        "versions": ", ".join(f"{name} {version}" for name, version in where.versions.items()),
    }
    return Table(("what", "value"), list(facts.items()))


def _list(lines: list[Estimate]) -> str:
    return f"<ul>{''.join(f'<li>{escape(str(line))}</li>' for line in lines)}</ul>"


def _wide(table: Table) -> str:
    return f'<div class="wide">{table.html()}</div>'


def _section(heading: str, html: str) -> tuple[str, ...]:
    return (f"<h2>{escape(heading)}</h2>", html)
