"""A recording as it shows itself in a cell: where it comes from, what is odd about it, and its turns."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .reader import Recording
    from .recorded_turn import RecordedTurn

SHOWN_TURNS = 20
COLUMNS = ("", "you", "assistant", "how it went", "voice to voice")
CELL = "padding:2px 10px 2px 0;text-align:left;vertical-align:top"


def card_html(recording: Recording) -> str:
    """Return a small table; nothing of what was said is taken as HTML."""
    manifest, turns = recording.manifest, recording.turns()
    length = f"{recording.duration_ms / 1000:.1f} s"
    facts = (manifest.created, length + times_connected(recording), manifest.engine, manifest.model, manifest.endpoint)
    rows = "".join(_row(number, turn) for number, turn in enumerate(turns[:SHOWN_TURNS], 1))
    more = f"<p>… and {len(turns) - SHOWN_TURNS} more turns</p>" if len(turns) > SHOWN_TURNS else ""
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in recording.notes)
    head = "".join(f'<th style="{CELL}">{name}</th>' for name in COLUMNS)
    return (
        '<div style="font-family:system-ui,sans-serif">'
        f"<b>{html.escape(recording.path.name)}</b> · {html.escape(' · '.join(fact for fact in facts if fact))}"
        + (f"<ul>{notes}</ul>" if notes else "")
        + f'<table style="border-collapse:collapse"><tr>{head}</tr>{rows}</table>{more}'
        "<p style='opacity:.7'>recording.to_html(path) makes a page of it.</p></div>"
    )


def times_connected(recording: Recording) -> str:
    """Return " · 3 connections" where it broke and came back, "" where it did not."""
    n = len(recording.connections)
    return f" · {n} connections" if n > 1 else ""


def _row(number: int, turn: RecordedTurn) -> str:
    cut = f", interrupted after {turn.heard_ms or 0} ms" if turn.interrupted else ""
    spent_ms = turn.timeline.voice_to_voice_ms
    cells = (
        str(number),
        turn.user_transcript,
        turn.transcript,
        f"{turn.status}{cut}",
        "not measured" if spent_ms is None else f"{spent_ms:.0f} ms",
    )
    return "<tr>" + "".join(f'<td style="{CELL}">{html.escape(cell)}</td>' for cell in cells) + "</tr>"
