"""Timelines for the widgets' tests: every kind of thing that can be shown."""

from __future__ import annotations

from realtime_nb.timing.marks import Marks, Route, Timeline, timeline


def marks(**times_ms: float) -> Marks:
    found = Marks()
    for name, time_ms in times_ms.items():
        found.set(name, time_ms)  # type: ignore[arg-type]
    return found


def realtime_turn(zero_ms: float = 5_000.0) -> Timeline:
    """A transcript beside the answer, a derived end, no loudspeaker."""
    found = marks(
        speech_end=zero_ms,
        speech_stopped=zero_ms + 520.0,
        committed=zero_ms + 523.5,
        first_text=zero_ms + 560.0,
        first_audio=zero_ms + 590.0,
        transcript=zero_ms + 640.0,
    )
    found.set("first_audible", zero_ms + 612.0, error_ms=5.0, source="derived")
    found.cannot("rendered", "no loudspeaker was attached that says what it rendered")
    return timeline(found, "realtime")


def chain_turn(zero_ms: float = 9_000.0, route: Route = "chain") -> Timeline:
    """One moment is unknown, so a span is unattributed."""
    found = marks(
        speech_end=zero_ms,
        speech_stopped=zero_ms + 520.0,
        uploaded=zero_ms + 540.0,
        transcript=zero_ms + 840.0,
        first_text=zero_ms + 1_290.0,
        first_audio=zero_ms + 1_900.0,
        first_audible=zero_ms + 1_960.0,
        rendered=zero_ms + 2_004.0,
    )
    found.cannot("text_ready", "the voice did not say when it was given its text")
    return timeline(found, route)


def wrong_turn() -> Timeline:
    """An impossible order."""
    return timeline(
        marks(speech_end=0.0, speech_stopped=500.0, committed=480.0, first_audio=700.0, first_audible=720.0), "realtime"
    )
