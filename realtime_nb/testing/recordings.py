"""Recordings of conversations that never took place, of any length, for tests, benchmarks and demonstrations."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from realtime_nb.protocol import client_events as ce
from realtime_nb.protocol.codec import encode
from realtime_nb.protocol.ids import IdFactory
from realtime_nb.protocol.server import ServerProtocol
from realtime_nb.protocol.session_config import SessionConfig
from realtime_nb.recording.writer import RecordingWriter, manifest_for

FRAME_MS = 20
DELTA_MS = 100
REPORT_MS = 60
SPEECH_MS = 3_000
HOLD_MS = 500
ANSWER_MS = 4_800
TURN_MS = 12_000
MAX_WAITING = 10_000

Pcm16 = npt.NDArray[np.int16]


def make_recording(
    path: Path, *, turns: int, seed: int = 0, answer: str = "one two three four five", question: str = "(recognised)"
) -> Path:
    """Write a recording of an open microphone, a question and an answer of 4.8 s every 12 s, and return its folder.

    The question ends 3.0 s into its turn, the detector waits 500 ms, the answer's audio begins 200 ms later with 40 ms
    of silence and reaches the loudspeaker 30 ms after its arrival. All is simulated, and the manifest says so.
    """
    return _Made(path, seed=seed, answer=answer, question=question).run(turns)


class _Made:
    def __init__(self, path: Path, *, seed: int, answer: str, question: str) -> None:
        manifest = manifest_for(endpoint="http://example.org/v1", engine="simulated", model="simulated", version="-")
        manifest.notes.append("Simulated: nobody said this.")
        self.path, self.answer, self.question = path, answer, question
        self.writer = RecordingWriter(path, manifest)
        config = SessionConfig(id="sess_made", model="simulated", expires_at=4_000_000_000)
        self.protocol = ServerProtocol(config, ids=IdFactory(seed))
        self.sequence = 0
        self.item_id = self.response_id = ""
        chance = np.random.default_rng(seed)
        self.spoken, self.quiet = _voice(SPEECH_MS, 140, chance), _voice(TURN_MS, 0, chance)
        self.reply = np.concatenate([np.zeros(40 * 24, np.int16), _voice(ANSWER_MS - 40, 220, chance)])

    def run(self, turns: int) -> Path:
        """Write it all."""
        self.protocol.open()
        self._received(0.0)
        for turn in range(turns):
            self._turn(float(turn * TURN_MS))
        ended_ms = float(turns * TURN_MS)
        self.writer.mark("ended", int(ended_ms * 1e6), {"message": "The session was closed."})
        self.writer.close("The session was closed.")
        return self.path

    def _turn(self, start_ms: float) -> None:
        plan = sorted(self._plan(start_ms), key=lambda step: step[0])
        for frame in range(TURN_MS // FRAME_MS):
            end_ms = start_ms + (frame + 1) * FRAME_MS
            self._say(frame, end_ms)
            while plan and plan[0][0] <= end_ms:
                at_ms, act, *arguments = plan.pop(0)
                act(*arguments)
                self._received(at_ms)
        self._breathe()

    def _plan(self, start_ms: float) -> list[tuple[Any, ...]]:
        speech_end_ms = start_ms + SPEECH_MS
        stopped_ms = speech_end_ms + HOLD_MS
        answer_ms = stopped_ms + 200
        n = len(self.reply) // (DELTA_MS * 24)
        words = self.answer.split() or [""]
        plan: list[tuple[Any, ...]] = [
            (start_ms + 200, self.protocol.speech_started, int(start_ms)),
            (stopped_ms, self._stop, int(start_ms), int(stopped_ms)),
            (stopped_ms + 120, self._transcribe),
            (answer_ms - 150, self._answer),
        ]
        for delta in range(n):
            said = words[delta * len(words) // n : (delta + 1) * len(words) // n]
            plan.append((answer_ms + delta * DELTA_MS / 2, self._speak, delta, [f" {word}" for word in said]))
        plan.append((answer_ms + n * DELTA_MS / 2 + 10, self._end, speech_end_ms))
        for report in range(1, ANSWER_MS // REPORT_MS + 1):
            plan.append((answer_ms + report * REPORT_MS + 4, self._rendered, answer_ms, report))
        return plan

    # --- acts ---------------------------------------------------------------------------------------------------

    def _say(self, frame: int, end_ms: float) -> None:
        source = self.spoken if frame * FRAME_MS < SPEECH_MS else self.quiet
        samples = source[frame * FRAME_MS * 24 : (frame + 1) * FRAME_MS * 24]
        sent = encode(ce.InputAudioBufferAppend(audio=samples.tobytes()))
        self.protocol.receive(sent)
        self._event("sent", end_ms, "input_audio_buffer.append", sent)
        self.writer.audio(0, int((end_ms - FRAME_MS) * 24), samples.tobytes())

    def _stop(self, start_ms: int, end_ms: int) -> None:
        self.committed = self.protocol.speech_stopped(end_ms, start_ms=start_ms)

    def _transcribe(self) -> None:
        self.protocol.transcribed(str(self.committed.item.id), self.question, seconds=SPEECH_MS / 1000)

    def _answer(self) -> None:
        self.response = self.protocol.create_response()
        self.response.begin_message()

    def _speak(self, delta: int, words: list[str]) -> None:
        for word in words:
            self.response.transcript(word)
        self.response.audio(self.reply[delta * DELTA_MS * 24 : (delta + 1) * DELTA_MS * 24].tobytes())

    def _end(self, speech_end_ms: float) -> None:
        self.response.end_message()
        self.response.complete()
        self.writer.mark("speech_end", int(speech_end_ms * 1e6), {"response_id": self.response_id})

    def _rendered(self, began_ms: float, report: int) -> None:
        samples, at_ms = report * REPORT_MS * 24, began_ms + 20 + report * REPORT_MS
        at = {"time_ms": at_ms, "error_ms": 0.5, "output_latency_ms": 10.0, "clock_offset_ms": 0.0}
        details = {"item_id": self.item_id, "content_index": 0, "samples": samples, "at": at}
        self.writer.mark("rendered", int(at_ms * 1e6), details)
        piece = self.reply[samples - REPORT_MS * 24 : samples]
        self.writer.audio(1, round((at_ms + 10 - REPORT_MS) * 24), piece.tobytes())

    # --- writing ------------------------------------------------------------------------------------------------

    def _received(self, at_ms: float) -> None:
        for frame in self.protocol.data_to_send():
            event = msgspec.json.decode(frame)
            if event["type"] == "response.output_item.added":
                self.item_id = event["item"]["id"]
            elif event["type"] == "response.created":
                self.response_id = event["response"]["id"]
            self._event("received", at_ms, event["type"], frame)

    def _event(self, direction: Any, at_ms: float, event_type: str, frame: str) -> None:
        self.writer.event(self.sequence, int(at_ms * 1e6), direction, event_type, frame)
        self.sequence += 1

    def _breathe(self) -> None:
        while self.writer.waiting > MAX_WAITING:
            time.sleep(0.005)


def _voice(duration_ms: int, pitch_hz: float, chance: np.random.Generator) -> Pcm16:
    """Return something with syllables (or, at 0 Hz, the hiss of a quiet room)."""
    times = np.arange(duration_ms * 24) / 24_000
    hiss = chance.normal(0, 12, len(times))
    if pitch_hz == 0:
        return hiss.astype(np.int16)
    tones = sum(np.sin(2 * np.pi * pitch_hz * k * times) / k for k in range(1, 9))
    return np.asarray(2500 * tones * (0.55 + 0.45 * np.sin(2 * np.pi * 4 * times)) + hiss).astype(np.int16)
