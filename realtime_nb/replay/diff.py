"""What differs between two recordings: settings, events, words, times."""

from __future__ import annotations

import difflib
import html
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from realtime_nb.recording.index import APPEND, AUDIO_DELTA
from realtime_nb.timing.marks import STAGE_NAMES

if TYPE_CHECKING:
    from .reader import Recording
    from .recorded_turn import RecordedTurn

PASSING = frozenset({"id", "object", "expires_at"})
"""Settings that differ in every session."""
SHOWN_BLOCKS = 40


class Changed(msgspec.Struct, frozen=True):
    """One value in both; None where one has none."""

    name: str
    a: Any
    b: Any


class EventBlock(msgspec.Struct, frozen=True):
    """A stretch of one turn's events in which the two differ: types in order, audio runs as one.

    Attributes:
        turn: which, from 0; None before the first one.
        op: "replace", "delete" (only in a) or "insert" (only in b).
    """

    turn: int | None
    op: Literal["replace", "delete", "insert"]
    a: tuple[str, ...]
    b: tuple[str, ...]


class TurnPair(msgspec.Struct, frozen=True, kw_only=True):
    """The n-th turn of both.

    Attributes:
        only_in: "a" or "b" where the other has no such turn.
        words: what was heard and said, where it differs.
        times_ms: voice-to-voice and every stage that both have measured.
    """

    number: int
    only_in: Literal["", "a", "b"] = ""
    status: Changed | None = None
    words: tuple[Changed, ...] = ()
    times_ms: tuple[Changed, ...] = ()


class Diff(msgspec.Struct, frozen=True, kw_only=True):
    """How recording b differs from recording a. Shows itself in a cell; `str()` is plain text.

    Attributes:
        provenance: what made the two, where it differs.
        settings: session settings by dotted name, where they differ.
        turns: the turns, paired by their order.
        events: stretches of the event sequence that differ.
    """

    a: str
    b: str
    provenance: tuple[Changed, ...]
    settings: tuple[Changed, ...]
    turns: tuple[TurnPair, ...]
    events: tuple[EventBlock, ...]

    @property
    def same(self) -> bool:
        """Whether nothing but times differs."""
        quiet = all(not pair.only_in and pair.status is None and not pair.words for pair in self.turns)
        return quiet and not self.settings and not self.events

    def __str__(self) -> str:
        return "\n".join(_lines(self))

    def __repr__(self) -> str:
        n = sum(bool(pair.only_in or pair.status or pair.words) for pair in self.turns)
        return (
            f"<Diff of {self.a} and {self.b}: {len(self.settings)} settings, {n} of {len(self.turns)} turns, "
            f"{len(self.events)} stretches of events differ>"
        )

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))

    def _repr_html_(self) -> str:
        return _html(self)


def diff(a: Recording, b: Recording) -> Diff:
    """Compare two recordings. Turns are paired by their order; ids and times of day are not compared."""
    provenance = ("endpoint", "engine", "model", "realtime_nb", "python", "machine")
    turns_a, turns_b = a.turns(), b.turns()
    changed = [Changed(name, getattr(a.manifest, name), getattr(b.manifest, name)) for name in provenance]
    return Diff(
        a=a.path.name,
        b=b.path.name,
        provenance=tuple(one for one in changed if one.a != one.b),
        settings=tuple(_changes(_flat(a.settings), _flat(b.settings))),
        turns=tuple(_pairs(turns_a, turns_b)),
        events=tuple(_blocks(a, b)),
    )


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {name: value}
    found: dict[str, Any] = {}
    for key, item in value.items():
        if name or key not in PASSING:
            found |= _flat(item, f"{name}.{key}" if name else key)
    return found


def _changes(a: dict[str, Any], b: dict[str, Any]) -> Iterator[Changed]:
    for name in dict.fromkeys([*a, *b]):
        if a.get(name) != b.get(name):
            yield Changed(name, a.get(name), b.get(name))


def _pairs(turns_a: list[RecordedTurn], turns_b: list[RecordedTurn]) -> Iterator[TurnPair]:
    for number in range(max(len(turns_a), len(turns_b))):
        if number >= len(turns_b):
            yield TurnPair(number=number, only_in="a")
        elif number >= len(turns_a):
            yield TurnPair(number=number, only_in="b")
        else:
            yield _pair(number, turns_a[number], turns_b[number])


def _pair(number: int, a: RecordedTurn, b: RecordedTurn) -> TurnPair:
    words = (
        Changed("heard", a.user_transcript, b.user_transcript),
        Changed("said", a.transcript, b.transcript),
        Changed("remembered", a.remembered, b.remembered),
        Changed("tools", _calls(a), _calls(b)),
        Changed("interrupted", a.interrupted, b.interrupted),
    )
    times = [Changed("voice_to_voice", a.timeline.voice_to_voice_ms, b.timeline.voice_to_voice_ms)]
    times += [Changed(name, a.timeline.stage_ms(name), b.timeline.stage_ms(name)) for name in STAGE_NAMES]
    return TurnPair(
        number=number,
        status=Changed("status", a.status, b.status) if a.status != b.status else None,
        words=tuple(one for one in words if one.a != one.b),
        times_ms=tuple(one for one in times if one.a is not None and one.b is not None),
    )


def _calls(turn: RecordedTurn) -> list[str]:
    return [f"{call.name}({call.arguments})" for call in turn.tool_calls]


def _types(recording: Recording) -> list[list[str]]:
    """Return event types turn by turn (the first list is before any turn); runs of audio count as one."""
    file = recording.event_file
    groups: list[list[str]] = [[]]
    for number, kind in enumerate(file.entries["kind"].tolist()):
        if kind in (APPEND, AUDIO_DELTA):
            continue  # how audio is cut into pieces, and when, says nothing about what happened
        event = file.event(number)
        if event is None:
            continue
        event_type = str((event.event or {}).get("type", "(no event)"))
        if event_type == "response.created":
            groups.append([])
        if event_type.endswith(".delta") and groups[-1] and groups[-1][-1].endswith(event_type):
            continue
        groups[-1].append(f"{'→' if event.direction == 'sent' else '←'} {event_type}")
    return groups


def _blocks(a: Recording, b: Recording) -> Iterator[EventBlock]:
    groups_a, groups_b = _types(a), _types(b)
    for number in range(max(len(groups_a), len(groups_b))):
        first = groups_a[number] if number < len(groups_a) else []
        second = groups_b[number] if number < len(groups_b) else []
        for op, a0, a1, b0, b1 in difflib.SequenceMatcher(None, first, second, autojunk=False).get_opcodes():
            if op != "equal":
                turn = number - 1 if number else None
                yield EventBlock(turn, op, tuple(first[a0:a1]), tuple(second[b0:b1]))


def _lines(found: Diff) -> Iterator[str]:
    yield f"a: {found.a}    b: {found.b}"
    for title, changes in (("Made by", found.provenance), ("Settings", found.settings)):
        if changes:
            yield f"{title}:"
            yield from (f"  {one.name}: {one.a!r} → {one.b!r}" for one in changes)
    for pair in found.turns:
        yield f"Turn {pair.number + 1}: {_says(pair)}"
        yield from (f"  {one.name}: {one.a!r} → {one.b!r}" for one in pair.words)
        if pair.times_ms:
            yield "  " + ", ".join(_time(one) for one in pair.times_ms)
    if found.events:
        yield "Events:"
    yield from _event_lines(found)
    if found.same:
        yield "Nothing but times differs."


def _event_lines(found: Diff) -> Iterator[str]:
    for block in found.events[:SHOWN_BLOCKS]:
        where = "before the first turn" if block.turn is None else f"turn {block.turn + 1}"
        yield f"  {where}:"
        yield from (f"    - {event}" for event in block.a)
        yield from (f"    + {event}" for event in block.b)
    if len(found.events) > SHOWN_BLOCKS:
        yield f"  … and {len(found.events) - SHOWN_BLOCKS} more stretches"


def _says(pair: TurnPair) -> str:
    if pair.only_in:
        return f"only in {pair.only_in}"
    if pair.status is not None:
        return f"{pair.status.a} → {pair.status.b}"
    return "differs" if pair.words else "the same words"


def _html(found: Diff) -> str:
    rows = []
    for pair in found.turns:
        words = "<br>".join(f"{one.name}: {_cell(one.a)} → {_cell(one.b)}" for one in pair.words)
        times = "<br>".join(_time(one) for one in pair.times_ms)
        rows.append(f"<tr><td>{pair.number + 1}</td><td>{_cell(_says(pair))}</td><td>{words}</td><td>{times}</td></tr>")
    changes = "".join(
        f"<tr><td>{_cell(one.name)}</td><td>{_cell(one.a)}</td><td>{_cell(one.b)}</td></tr>"
        for one in (*found.provenance, *found.settings)
    )
    events = "\n".join(_event_lines(found))
    style = "border-collapse:collapse;text-align:left;vertical-align:top"
    return (
        f'<div style="font-family:system-ui,sans-serif"><p>a: <b>{_cell(found.a)}</b> · b: <b>{_cell(found.b)}</b></p>'
        + (f'<table style="{style}"><tr><th>setting</th><th>a</th><th>b</th></tr>{changes}</table>' if changes else "")
        + f'<table style="{style}"><tr><th>turn</th><th></th><th>words</th><th>times</th></tr>{"".join(rows)}</table>'
        + f"<details><summary>{len(found.events)} stretches of events differ</summary><pre>{html.escape(events)}</pre>"
        "</details></div>"
    )


def _time(change: Changed) -> str:
    return f"{change.name} {change.a:.0f} → {change.b:.0f} ms ({change.b - change.a:+.0f})"


def _cell(value: Any) -> str:
    return html.escape(str(value))
