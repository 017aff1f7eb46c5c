"""What a load run measured: distributions, counters, the load generator's own lag, and the server's memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    """Some measured times, in milliseconds; percentiles by nearest rank, None without samples."""

    n: int
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    max: float | None = None

    @classmethod
    def of(cls, samples: Sequence[float]) -> Distribution:
        """Return the distribution of samples in any order."""
        ordered = sorted(samples)
        if not ordered:
            return cls(n=0)
        p50, p95, p99 = (round(ordered[max(0, -(-len(ordered) * rank // 100) - 1)], 2) for rank in (50, 95, 99))
        return cls(n=len(ordered), p50=p50, p95=p95, p99=p99, max=round(ordered[-1], 2))

    def row(self, name: str) -> str:
        """Return a line of the table."""
        cells = (
            f"{value:>9.1f}" if value is not None else f"{'-':>9}" for value in (self.p50, self.p95, self.p99, self.max)
        )
        return f"{name:<46} {self.n:>7} {' '.join(cells)}"


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """Resident memory of a server on this machine, child processes included.

    Attributes:
        pid: of the process that listens.
        before_mb: before the first connection.
        peak_mb: the most that was seen during the run.
        cpu_cores: processor time of the server over the run's time.
        waited_cores: share of the run that its main thread was ready to run and had no processor (Linux): somebody
            else's load, which makes the run's latencies worthless when it is large.
    """

    pid: int
    before_mb: float
    peak_mb: float
    cpu_cores: float
    waited_cores: float = 0.0


class LoadReport(msgspec.Struct, kw_only=True):
    """One run.

    Attributes:
        url: the server's base URL.
        sessions: users asked for.
        connected: sessions that opened.
        duration_s: of talking, connecting not counted.
        frame_ms: audio in one append.
        hold_ms: `silence_duration_ms` of the sessions' turn detection.
        connect: from opening the socket to `session.created`.
        stop_to_audio: `speech_stopped` → first audio delta, both as they arrive.
        end_to_audio: true end of the user's speech → first audio delta; holds the hold.
        turn: true end of the user's speech → `response.done`.
        mark_error: how far `speech_stopped.audio_end_ms` is from the true end plus the hold, absolute. Input audio that
            a server loses shows here.
        late_by: of audio deltas that came after the moment at which a player without a buffer needed them.
        pacing_slip: how late this load generator sent its frames; its own fault, and part of the times above.
        loop_lag: how late its loop woke up.
        turns: spoken.
        answered: of them, with a completed response.
        deltas: audio deltas received.
        late_deltas: of them, late.
        missing_audio_ms: audio that an item holds (by retrieving each session's last one) beyond what was received.
        frames_sent: appends.
        errors: `error` events by code, closes as "close CODE", turns without an answer, responses by odd status.
        client_cpu_cores: processor time of this load generator over the run's time.
        memory: None for a server elsewhere, or without psutil.
    """

    url: str
    sessions: int
    connected: int
    duration_s: float
    frame_ms: int
    hold_ms: int
    connect: Distribution
    stop_to_audio: Distribution
    end_to_audio: Distribution
    turn: Distribution
    mark_error: Distribution
    late_by: Distribution
    pacing_slip: Distribution
    loop_lag: Distribution
    turns: int
    answered: int
    deltas: int
    late_deltas: int
    missing_audio_ms: float
    frames_sent: int
    errors: dict[str, int]
    client_cpu_cores: float
    memory: Memory | None = None

    @property
    def clean(self) -> bool:
        """Whether every session opened, every turn was answered, and nothing was lost or refused."""
        return (
            self.connected == self.sessions
            and self.answered == self.turns
            and not self.errors
            and self.missing_audio_ms == 0
        )

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return {"clean": self.clean, **plain}

    def lines(self) -> list[str]:
        """Return the report as text."""
        lines = [
            f"{self.url}: {self.connected} of {self.sessions} sessions, {self.duration_s:.1f} s, appends of "
            f"{self.frame_ms} ms, hold {self.hold_ms} ms",
            f"{'milliseconds':<46} {'n':>7} {'p50':>9} {'p95':>9} {'p99':>9} {'max':>9}",
            self.connect.row("connect → session.created"),
            self.stop_to_audio.row("speech_stopped → first audio delta"),
            self.end_to_audio.row("true end of speech → first audio delta"),
            self.turn.row("true end of speech → response.done"),
            self.mark_error.row("|audio_end_ms − true end − hold|"),
            self.late_by.row("audio deltas late by"),
            self.pacing_slip.row("load generator: frames sent late by"),
            self.loop_lag.row("load generator: loop lag"),
            f"turns {self.turns}, answered {self.answered}; audio deltas {self.deltas}, late {self.late_deltas}, "
            f"missing {self.missing_audio_ms:.0f} ms; frames sent {self.frames_sent}",
            f"errors: {', '.join(f'{name} × {count}' for name, count in sorted(self.errors.items())) or 'none'}",
            f"load generator: {self.client_cpu_cores:.2f} cores",
        ]
        if self.memory is not None:
            memory = self.memory
            grown = (memory.peak_mb - memory.before_mb) / max(1, self.connected)
            lines.append(
                f"server (pid {memory.pid}): {memory.cpu_cores:.2f} cores, waited for one {memory.waited_cores:.2f}, "
                f"{memory.before_mb:.0f} MB before, {memory.peak_mb:.0f} MB at most, {grown:.2f} MB a session"
            )
        return lines
