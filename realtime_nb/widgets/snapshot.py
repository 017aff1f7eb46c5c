"""Pictures of a conversation that need no kernel and no script: transcript, waveforms, event table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from realtime_nb.audio import AudioClip
from realtime_nb.audio.static_view import waveform_svg
from realtime_nb.widgets.messages import EventRow, TranscriptEntry

__all__ = ["Snapshot", "event_table_html", "transcript_html"]

USER_COLOR = "#3b82c4"
ASSISTANT_COLOR = "#2f9e6e"
WHO = {"user": "You", "assistant": "AI voice", "system": "System", "tool": "Tool"}
MAX_STATIC_EVENTS = 300
CELL = "padding:2px 8px;text-align:left;vertical-align:top"


class Snapshot:
    """A static view; shows itself in a cell and stays readable in a saved notebook.

    Args:
        html: the body, without script.
        text: the same in plain words.
    """

    def __init__(self, html: str, text: str) -> None:
        self.html = html
        self.text = text

    @classmethod
    def of(
        cls, title: str, lines: Sequence[TranscriptEntry], rows: Sequence[EventRow], turns: Iterable[Any]
    ) -> Snapshot:
        """Compose transcript, the turns' waveforms and the last events."""
        html = (
            f"<div><p><b>{escape(title)}</b></p>{transcript_html(lines)}{_waveforms_html(turns)}"
            f"<details><summary>{len(rows)} events</summary>{event_table_html(rows)}</details></div>"
        )
        text = "\n".join([title, *(f"{WHO[line.role]}: {line.text}" for line in lines), f"{len(rows)} events"])
        return cls(html, text)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/html": self.html, "text/plain": self.text}

    def __repr__(self) -> str:
        return self.text


def transcript_html(lines: Sequence[TranscriptEntry]) -> str:
    """Return the transcript as a table; what was not heard is struck through."""
    if not lines:
        return "<p><i>Nothing was said yet.</i></p>"
    rows = "".join(
        f'<tr><th scope="row" style="{CELL}">{WHO[line.role]}</th>'
        f'<td dir="auto" style="{CELL}">{_words_html(line)}</td></tr>'
        for line in lines
    )
    return f"<table><tbody>{rows}</tbody></table>"


def event_table_html(rows: Sequence[EventRow]) -> str:
    """Return the last 300 events as a table."""
    shown = rows[-MAX_STATIC_EVENTS:]
    head = "".join(f'<th scope="col" style="{CELL}">{name}</th>' for name in ("ms", "", "event", "what"))
    body = "".join(_event_html(row) for row in shown)
    left_out = f"<p>{len(rows) - len(shown)} earlier events are not shown.</p>" if len(shown) < len(rows) else ""
    return f"{left_out}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _event_html(row: EventRow) -> str:
    arrow = "→" if row.direction == "sent" else "←"
    cells = (f"{row.time_ms:.0f}", arrow, f"<code>{escape(row.event_type)}</code>", escape(row.summary))
    return "<tr>" + "".join(f'<td style="{CELL}">{cell}</td>' for cell in cells) + "</tr>"


def _words_html(line: TranscriptEntry) -> str:
    text = line.text or "…"
    if line.heard_characters is None or line.heard_characters >= len(text):
        return escape(text)
    return f"{escape(text[: line.heard_characters])}<s>{escape(text[line.heard_characters :])}</s>"


def _waveforms_html(turns: Iterable[Any]) -> str:
    drawn = []
    for turn in turns:
        for clip, color in ((turn.user_audio, USER_COLOR), (turn.audio, ASSISTANT_COLOR)):
            if isinstance(clip, AudioClip) and clip.duration_ms:
                drawn.append(waveform_svg(clip, color=color))
    return "".join(drawn)
