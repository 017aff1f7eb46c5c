"""What the page of a recording shows, as plain data."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from realtime_nb.recording.format import SAMPLE_RATE_HZ
from realtime_nb.recording.index import APPEND, AUDIO_DELTA
from realtime_nb.session.transcript import TranscriptLine
from realtime_nb.timing.marks import STAGES, Timeline

from .card import times_connected
from .summary import summary

if TYPE_CHECKING:
    from .connections import Connection
    from .reader import Recording
    from .recorded_turn import RecordedTurn

PEAKS_PER_SECOND = 50
MAX_EVENT_CHARACTERS = 20_000
MAX_HEADLINE_CHARACTERS = 160
LEFT_OUT = "‹{} bytes of audio›"
WHO = {"user": "You", "assistant": "Assistant", "system": "System", "tool": "Tool"}


def page_data(recording: Recording) -> dict[str, Any]:
    """Return everything but the sound. All of it is text or numbers; the page shows it as text."""
    turns = recording.turns()
    manifest = recording.manifest
    gaps = [_gap_row(*gap) for gap in _gaps(recording)]
    packages = ", ".join(f"{name} {version}" for name, version in manifest.packages.items())
    who = " · ".join(part for part in (manifest.engine, manifest.model, manifest.endpoint) if part)
    return {
        "duration_ms": recording.duration_ms,
        "facts": f"{manifest.created} · {who} · {len(turns)} turns{times_connected(recording)}",
        "notes": [
            *recording.notes,
            *(f"Left out on purpose: {what}." for what in manifest.redacted),
            *(f"The connection broke after {row['time_ms'] / 1000:.1f} s: {row['summary']}." for row in gaps),
        ],
        "footer": f"realtime_nb {manifest.realtime_nb}, Python {manifest.python}, {packages} · {manifest.machine} · "
        f"schema {manifest.schema_version} · {manifest.ended or 'cut off'}",
        "peaks": _peaks(recording),
        "regions": _regions(recording),
        "transcript": [_line(line, recording) for line in recording.transcript],
        "turns": [_turn(turn) for turn in turns],
        "events": sorted(_events(recording) + gaps, key=lambda row: float(row["time_ms"])),
    }


def _peaks(recording: Recording) -> dict[str, Any]:
    stereo = recording.stereo()
    step = SAMPLE_RATE_HZ // PEAKS_PER_SECOND
    whole = np.asarray(stereo[: len(stereo) - len(stereo) % step]).reshape(-1, step, 2)
    lanes = (np.ascontiguousarray(whole[:, :, lane]) for lane in (0, 1))
    pairs = (np.stack([lane.min(axis=1) >> 8, lane.max(axis=1) >> 8], axis=1).astype(np.int8) for lane in lanes)
    user, assistant = (base64.b64encode(pair.tobytes()).decode() for pair in pairs)
    return {"per_second": PEAKS_PER_SECOND, "user": user, "assistant": assistant}


def _regions(recording: Recording) -> list[tuple[int, str, float, float]]:
    regions: list[tuple[int, str, float, float]] = [
        (int(region.lane == "assistant"), region.kind, region.start_ms, region.end_ms)
        for region in recording.regions
        if region.end_ms is not None
    ]
    for start_ms, end_ms, _ in _gaps(recording):
        regions += [(lane, "gap", start_ms, end_ms) for lane in (0, 1)]
    return regions


def _gaps(recording: Recording) -> list[tuple[float, float, Connection]]:
    """Return when there was no connection, and which one broke."""
    found = recording.connections
    backs_ms = [connection.began_ms for connection in found[1:]] + [recording.duration_ms]
    return [(one.lost_ms, back, one) for one, back in zip(found, backs_ms, strict=False) if one.lost_ms is not None]


def _line(line: TranscriptLine, recording: Recording) -> dict[str, Any]:
    heard = len(line.text) if line.heard_characters is None else line.heard_characters
    return {
        "role": line.role,
        "who": WHO.get(line.role, line.role),
        "heard": line.text[:heard] or ("" if line.text else "(no words)"),
        "unheard": line.text[heard:],
        "status": line.status,
        "start_ms": recording.began_ms(line.item_id),
    }


def _turn(turn: RecordedTurn) -> dict[str, Any]:
    found = turn.timeline
    spans = [
        {
            "name": stage.name,
            "label": stage.name.replace("_", " "),
            "meaning": f"{STAGES[stage.name]} ({stage.source}, ± {stage.error_ms:.1f} ms)",
            "start_ms": stage.start_ms,
            "end_ms": stage.end_ms,
        }
        for stage in found.stages
    ]
    nothing = "no stage explains this"
    spans += [
        {"name": "", "label": "unattributed", "meaning": nothing, "start_ms": start_ms, "end_ms": end_ms}
        for start_ms, end_ms in found.unattributed
    ]
    spans.sort(key=lambda span: float(str(span["start_ms"])))
    asked = turn.user_transcript or ("(goes on after a tool)" if turn.cause is not None else "(no words)")
    starts = (turn.marks.speech_started_ms, turn.marks.response_created_ms)
    return {
        "headline": _short(f"{asked} → {turn.transcript or '(no words)'}"),
        "seek_ms": next((ms for ms in starts if ms is not None), 0.0),
        "start_ms": min((float(str(span["start_ms"])) for span in spans), default=0.0),
        "end_ms": max((float(str(span["end_ms"])) for span in spans), default=0.0),
        "spans": spans,
        "total": _total(turn, found),
        "remarks": _remarks(turn, found),
        "flags": [*found.flags, *([str(turn.error)] if turn.error else [])],
    }


def _total(turn: RecordedTurn, found: Timeline) -> str:
    facts: list[str] = [turn.status]
    if found.voice_to_voice_ms is not None:
        where = "left the loudspeaker" if found.ends_at == "rendered" else "was due at the player"
        error_ms = sum(found.moments[name].error_ms for name in ("speech_end", found.ends_at) if name is not None)
        facts.append(f"{found.voice_to_voice_ms:.0f} ms (± {error_ms:.0f}) until the first sound {where}")
    if turn.interrupted:
        facts.append(f"interrupted by {turn.interrupted} after {turn.heard_ms or 0} ms")
    facts.append(f"{turn.audio_duration_ms / 1000:.1f} s of audio")
    if turn.usage is not None:
        facts.append(f"{turn.usage.total_tokens} tokens")
    return " · ".join(facts)


def _remarks(turn: RecordedTurn, found: Timeline) -> list[str]:
    remarks = [
        _short(
            f"{result.name}({result.arguments}) → {result.error or result.output} · {result.status}, {_took(result)}"
        )
        for result in turn.tool_results
    ]
    why: dict[str, list[str]] = {}
    for name, reason in found.unmeasured.items():
        why.setdefault(reason, []).append(name.replace("_", " "))
    return remarks + [f"Not measured: {', '.join(names)} ({reason})." for reason, names in why.items()]


def _took(result: Any) -> str:
    return "unfinished" if result.ended_ms is None else f"{result.ended_ms - result.started_ms:.0f} ms"


def _short(text: str) -> str:
    return text if len(text) <= MAX_HEADLINE_CHARACTERS else text[: MAX_HEADLINE_CHARACTERS - 1] + "…"


def _events(recording: Recording) -> list[dict[str, Any]]:
    """One row an event; audio that was sent or received between two other events is one row for each direction."""
    file = recording.event_file
    rows: list[dict[str, Any]] = []
    runs: dict[int, tuple[dict[str, Any], int, int]] = {}
    columns = zip(*(file.entries[name].tolist() for name in ("time_ns", "audio_bytes", "kind")), strict=True)
    for number, (time_ns, audio_bytes, kind) in enumerate(columns):
        if kind in (APPEND, AUDIO_DELTA):
            row, n, total = runs.get(kind, ({}, 0, 0))
            if not row:
                name = "input_audio_buffer.append" if kind == APPEND else "response.output_audio.delta"
                row = {"time_ms": time_ns / 1e6, "direction": "sent" if kind == APPEND else "received", "type": name}
                rows.append(row)
            runs[kind] = (row, n + 1, total + audio_bytes)
            continue
        _close(runs)
        event = file.event(number)
        if event is not None:
            rows.append(_row(event.time_ns / 1e6, event.direction, event.event, event.raw))
    _close(runs)
    return rows


def _gap_row(lost_ms: float, back_ms: float, connection: Connection) -> dict[str, Any]:
    said = f" ({connection.reason})" if connection.reason else ""
    return {
        "time_ms": lost_ms,
        "direction": "received",
        "type": "(connection broke)",
        "summary": f"code {connection.code}{said}, nothing for {(back_ms - lost_ms) / 1000:.1f} s",
        "json": msgspec.json.encode(connection).decode(),
    }


def _close(runs: dict[int, tuple[dict[str, Any], int, int]]) -> None:
    for row, n, total in runs.values():
        row["summary"] = f"{n} × {total / n:.0f} bytes of audio"
        row["json"] = msgspec.json.encode({"type": row["type"], "events": n, "bytes_of_audio": total}).decode()
    runs.clear()


def _row(time_ms: float, direction: str, event: dict[str, Any] | None, raw: str | None) -> dict[str, Any]:
    if event is None:
        return {
            "time_ms": time_ms,
            "direction": direction,
            "type": "(no event)",
            "summary": "",
            "json": (raw or "")[:2000],
        }
    text = msgspec.json.encode(_elided(event)).decode()
    if len(text) > MAX_EVENT_CHARACTERS:
        text = f"{text[:MAX_EVENT_CHARACTERS]}… ({len(text)} characters)"
    kind = str(event.get("type", ""))
    return {"time_ms": time_ms, "direction": direction, "type": kind, "summary": summary(event), "json": text}


def _elided(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: LEFT_OUT.format(len(item) * 3 // 4) if key == "audio" and isinstance(item, str) else _elided(item)
            for key, item in value.items()
        }
    return [_elided(item) for item in value] if isinstance(value, list) else value
