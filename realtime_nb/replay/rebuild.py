"""Turns, transcript and regions out of a recording, by the code that built them live, with audio left where it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from realtime_nb.errors import ConnectionLost, RealtimeError
from realtime_nb.protocol import client_events as ce
from realtime_nb.protocol import server_events as se
from realtime_nb.protocol.client import ClientProtocol
from realtime_nb.protocol.playback import PlaybackKey
from realtime_nb.protocol.session_config import AudioFormat, AudioPcm, bytes_per_ms
from realtime_nb.recording.format import Mark, RecordedEvent
from realtime_nb.recording.index import APPEND, AUDIO_DELTA
from realtime_nb.recording.lanes import JITTER_MS
from realtime_nb.session.event_log import LoggedEvent
from realtime_nb.session.observers import Observers
from realtime_nb.session.regions import Region
from realtime_nb.session.tool_runner import ToolResult
from realtime_nb.session.transcript import TranscriptLine
from realtime_nb.session.turn import Turn
from realtime_nb.session.turn_builder import TurnBuilder

from .recorded_turn import RecordedTape, RecordedTurn, SoundSource

if TYPE_CHECKING:
    from .reader import Recording


SAMPLES_PER_MS = 24


class Rebuilt(msgspec.Struct, kw_only=True):
    """What a recording tells."""

    turns: list[RecordedTurn]
    transcript: list[TranscriptLine]
    regions: list[Region]
    settings: dict[str, Any]
    began_ms: dict[str, float]
    tape: RecordedTape
    input_format: AudioFormat


class _Delta(msgspec.Struct):
    response_id: str = ""
    item_id: str = ""
    content_index: int = 0
    event_id: str = ""
    type: str = ""


class _DeltaLine(msgspec.Struct):
    sequence: int
    time_ns: int
    event: _Delta


_delta_decoder = msgspec.json.Decoder(_DeltaLine)


def rebuild(recording: Recording) -> Rebuilt:
    """Play a recording's events and marks to a `TurnBuilder`."""
    return _Rebuilder(recording).run()


class _Rebuilder:
    def __init__(self, recording: Recording) -> None:
        self.file = recording.event_file
        self.marks = sorted(recording.marks(), key=lambda mark: mark.time_ns)
        self.protocol = ClientProtocol(retrieve_after_truncate=False)
        self.formats: list[tuple[int, AudioFormat]] = [(0, AudioPcm())]
        self.appends = self.file.of_kind(APPEND)
        self.tape = self._tape()
        self.observers = Observers()
        self.observers.add(self)
        self.builder = TurnBuilder(self.observers, self.tape, turn_type=RecordedTurn)
        self.source = SoundSource(self.file, self.appends, self.tape, self._input_format)
        self.speech_end_ms: dict[str, float] = {}
        self.turns: list[RecordedTurn] = []
        self.settings: dict[str, Any] = {}
        self.greeted = False
        self.now_ms = 0.0
        self.begun: set[str] = set()
        self.regions: dict[str, Region] = {}
        self.received: dict[PlaybackKey, int] = {}
        self.complete: set[PlaybackKey] = set()
        self.with_player = any(mark.name == "rendered" for mark in self.marks)
        self.began_ms: dict[str, float] = {}

    # --- the user's audio, which is counted before anything is played --------------------------------------------

    def _tape(self) -> RecordedTape:
        entries = self.file.entries
        protocol = ClientProtocol()
        for number in self.file.of_type("session.created", "session.updated"):
            event = self.file.event(number)
            if event is not None and event.event is not None:
                protocol.receive(msgspec.json.encode(event.event))
                self.formats.append((number, protocol.config.audio.input.format))
        starts = np.array([number for number, _ in self.formats])
        per_ms = np.array([bytes_per_ms(audio_format) for _, audio_format in self.formats], float)
        which = np.searchsorted(starts, self.appends, side="right") - 1
        sent = entries[self.appends]
        return RecordedTape(sent["time_ns"] / 1e6, sent["audio_bytes"] / per_ms[which])

    def _input_format(self, number: int) -> AudioFormat:
        starts = [start for start, _ in self.formats]
        return self.formats[int(np.searchsorted(starts, number, side="right")) - 1][1]

    # --- playing ------------------------------------------------------------------------------------------------

    def run(self) -> Rebuilt:
        """Play everything in the order of time."""
        marks = iter(self.marks)
        mark = next(marks, None)
        kinds, times = self.file.entries["kind"].tolist(), self.file.entries["time_ns"].tolist()
        for number, (kind, time_ns) in enumerate(zip(kinds, times, strict=True)):
            while mark is not None and mark.time_ns < time_ns:
                self._take_mark(mark)
                mark = next(marks, None)
            if kind == APPEND:
                self.tape.n_sent += 1
            elif kind == AUDIO_DELTA:
                self._take_delta(number)
            elif (event := self.file.event(number)) is not None and event.event is not None:
                self._take(event, event.event, sent=event.direction == "sent")
        while mark is not None:
            self._take_mark(mark)
            mark = next(marks, None)
        self.builder.lose_current(ConnectionLost("The recording ends here."), times[-1] / 1e6 if times else 0.0)
        self._finish_turns()
        return Rebuilt(
            turns=self.turns,
            transcript=self.builder.transcript.lines,
            regions=list(self.regions.values()),
            settings=self.settings,
            began_ms=self.began_ms,
            tape=self.tape,
            input_format=self.formats[-1][1],
        )

    def on_turn(self, turn: Turn) -> None:
        """Collect what the builder finishes; its own history is bounded."""
        if isinstance(turn, RecordedTurn):
            self.turns.append(turn)

    def on_region(self, region: Region) -> None:
        """Keep it (the builder's own book is bounded), and note when speech and answers began."""
        self.regions[region.region_id] = region
        if region.kind != "hold":
            self.began_ms[region.region_id.partition("-")[2]] = region.start_ms

    def on_transcript(self, line: TranscriptLine) -> None:
        """Note when a line that has no sound appeared."""
        self.began_ms.setdefault(line.item_id, self.now_ms)

    def _take(self, line: RecordedEvent, content: dict[str, Any], *, sent: bool) -> None:
        self.now_ms = line.time_ns / 1e6
        kind, frame = str(content.get("type", "")), msgspec.json.encode(content).decode()
        logged = LoggedEvent(line.sequence, line.time_ns / 1e6, line.direction, kind, frame)
        if sent:
            self._take_sent(kind, content, logged)
            return
        event = self.protocol.receive(frame)
        if isinstance(event, se.SessionCreated):
            self._greet(logged.time_ms)
        if isinstance(event, se.SessionCreated | se.SessionUpdated):
            self.settings = event.session
        self.builder.take(event, logged, self.protocol.config)
        if isinstance(event, se.OutputAudioDone):
            self._complete(PlaybackKey(event.item_id, event.content_index), logged.time_ms)
        if isinstance(event, se.ResponseDone):
            self.builder.finish(event.response.id)

    def _take_sent(self, kind: str, content: dict[str, Any], logged: LoggedEvent) -> None:
        if kind == "input_audio_buffer.clear":
            self.builder.input_cleared()
        if kind not in ("input_audio_buffer.append", "session.update"):
            self.builder.take_sent(ce.ClientEventBase(), logged)

    def _take_delta(self, number: int) -> None:
        try:
            line = _delta_decoder.decode(self.file.line(number))
        except (msgspec.DecodeError, UnicodeError):
            self.file.event(number)
            return
        delta, n_bytes = line.event, int(self.file.entries[number]["audio_bytes"])
        time_ms = line.time_ns / 1e6
        told = msgspec.to_builtins(delta) | {"delta": f"‹{n_bytes} bytes of audio›"}
        frame = msgspec.json.encode(told).decode()
        logged = LoggedEvent(line.sequence, time_ms, "received", delta.type, frame, audio_left_out_bytes=n_bytes)
        if delta.item_id not in self.begun:
            self.begun.add(delta.item_id)
            event = se.OutputAudioDelta(
                response_id=delta.response_id, item_id=delta.item_id, content_index=delta.content_index, delta=b""
            )
            self.builder.take(event, logged, self.protocol.config)
        elif delta.response_id in self.builder.turns:
            self.builder.turns[delta.response_id].events.append(logged)
        turn = self.builder.turns.get(delta.response_id)
        if isinstance(turn, RecordedTurn):
            turn.deltas.append(number)
            turn.delta_bytes += n_bytes
            turn.audio_format = self.protocol.output_format(delta.response_id)
            key = PlaybackKey(delta.item_id, delta.content_index)
            n_samples = n_bytes * 24 // bytes_per_ms(turn.audio_format)
            self.received[key] = self.received.get(key, 0) + n_samples

    def _complete(self, key: PlaybackKey, now_ms: float) -> None:
        """All of a part was received: heard to its end when its last sample was, without a player at the latest now."""
        self.complete.add(key)
        if not self.with_player:
            duration_ms = self.received.get(key, 0) / SAMPLES_PER_MS
            self.builder.drained(key, max(now_ms, self.began_ms.get(key.item_id, now_ms) + duration_ms))

    def _greet(self, now_ms: float) -> None:
        """A further greeting is a new connection: what went on was lost."""
        if self.greeted:
            self._lose(ConnectionLost("The connection broke."), now_ms)
            self.protocol = ClientProtocol(retrieve_after_truncate=False)
        self.greeted = True

    def _lose(self, error: RealtimeError, now_ms: float) -> None:
        self.builder.lose_current(error, now_ms)
        self.tape.restart()
        self.builder.input_cleared()

    # --- marks --------------------------------------------------------------------------------------------------

    def _take_mark(self, mark: Mark) -> None:
        now_ms, details = mark.time_ns / 1e6, mark.details
        if mark.name in ("interrupted", "rendered"):
            key = PlaybackKey(str(details.get("item_id", "")), int(details.get("content_index", 0)))
            if mark.name == "interrupted":
                self.builder.interrupted(key, details.get("reason", "button"), int(details.get("heard_ms", 0)), now_ms)
            else:
                self._take_report(key, now_ms, details)
        elif mark.name in ("lost", "ended"):
            self.builder.lose_current(ConnectionLost(str(details.get("message", "It ended."))), now_ms)
        elif mark.name == "speech_end":
            self.speech_end_ms[str(details.get("response_id", ""))] = now_ms
        elif mark.name == "tool":
            self._take_tool(details)

    def _take_report(self, key: PlaybackKey, now_ms: float, details: dict[str, Any]) -> None:
        at, n_samples = details.get("at") or {}, int(details.get("samples", 0))
        time_ms = float(at.get("time_ms", now_ms)) + float(at.get("output_latency_ms", 0.0))
        self.builder.rendered(key, n_samples, time_ms, float(at.get("error_ms", JITTER_MS)))
        if key in self.complete and n_samples >= self.received.get(key, 0):
            self.builder.drained(key, now_ms)

    def _take_tool(self, details: dict[str, Any]) -> None:
        try:
            result = msgspec.convert(details, ToolResult)
        except msgspec.ValidationError:
            return
        for turn in self.builder.turns.values():
            if any(call.call_id == result.call_id for call in turn.tool_calls):
                turn.tool_results.append(result)

    def _finish_turns(self) -> None:
        for turn in self.turns:
            turn.source = self.source
            turn.marks.speech_end_ms = self.speech_end_ms.get(turn.response_id)
