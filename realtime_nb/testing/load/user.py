"""One speaking user: a microphone that never stops, an ear at the speed of speech, and a stopwatch."""

from __future__ import annotations

import asyncio
import base64
import itertools
import random
from collections import Counter
from typing import Any

import msgspec
import numpy as np

from realtime_nb.audio import AudioClip
from realtime_nb.errors import ConnectionLost, RemoteProtocolError
from realtime_nb.transport.websocket import WebSocketTransport

BYTES_PER_MS = 48
ROOM_NOISE = 8.0
"""Standard deviation of the quiet room's samples, -72 dBFS."""
ROOM_FRAMES = 50
TURN_PATIENCE_S = 15.0
SETTLE_S = 5.0


class Voice(msgspec.Struct, frozen=True):
    """What a user says, encoded once for all users.

    Attributes:
        frames: `input_audio_buffer.append` messages of one utterance.
        silence: messages of a quiet room, to be sent in turn; digital silence would flatter a server's detector.
        frame_ms: audio in each.
        speech_end_ms: the true end of speech in the utterance.
    """

    frames: list[str]
    silence: list[str]
    frame_ms: int
    speech_end_ms: float

    @classmethod
    def of(cls, clip: AudioClip, frame_ms: int) -> Voice:
        """Encode a clip at 24 kHz whose end of speech is known."""
        assert clip.speech_end_ms is not None
        size = frame_ms * BYTES_PER_MS
        audio = clip.samples.astype("<i2").tobytes()
        audio += bytes(-len(audio) % size)
        frames = [_append(audio[start : start + size]) for start in range(0, len(audio), size)]
        room = np.random.default_rng(1).normal(0, ROOM_NOISE, (ROOM_FRAMES, size // 2)).round().astype("<i2")
        return cls(frames, [_append(frame.tobytes()) for frame in room], frame_ms, clip.speech_end_ms)


def _append(audio: bytes) -> str:
    event = {"type": "input_audio_buffer.append", "audio": base64.b64encode(audio).decode()}
    return msgspec.json.encode(event).decode()


class _Event(msgspec.Struct):
    """What is read of an event; the rest is skipped."""

    type: str
    delta: Any = None
    item_id: str = ""
    audio_end_ms: int = 0
    response: Any = None
    error: Any = None
    item: Any = None


_decode = msgspec.json.Decoder(_Event).decode


class _Turn(msgspec.Struct):
    ended_at: float
    """When the speech truly ended, by the schedule of its frames."""
    end_mark_ms: float
    """The same in milliseconds of all audio appended."""
    stopped_at: float = 0.0
    first_audio_at: float = 0.0
    item_id: str = ""
    audio_ms: float = 0.0


class Tally(msgspec.Struct):
    """What all users of one run measured, in milliseconds unless named otherwise; shared by them."""

    connect: list[float] = []
    stop_to_audio: list[float] = []
    end_to_audio: list[float] = []
    turn: list[float] = []
    mark_error: list[float] = []
    late_by: list[float] = []
    pacing_slip: list[float] = []
    turns: int = 0
    answered: int = 0
    deltas: int = 0
    frames_sent: int = 0
    missing_audio_ms: float = 0.0
    errors: Counter[str] = msgspec.field(default_factory=Counter)


class User:
    """Talks, listens to the answer to its end, pauses, and talks again.

    Args:
        voice: what is said.
        tally: where measurements go.
        hold_ms: `silence_duration_ms` to ask for.
        seed: of its pauses.
    """

    def __init__(self, voice: Voice, tally: Tally, *, hold_ms: int, seed: int) -> None:
        self._voice = voice
        self._tally = tally
        self._hold_ms = hold_ms
        self._random = random.Random(seed)
        self._turn: _Turn | None = None
        self._last: _Turn | None = None
        self._speak_at = float("inf")
        self._retrieved: asyncio.Future[int] | None = None
        self._lost = False

    async def open(self, transport: WebSocketTransport, began: float) -> None:
        """Take an open connection and wait for the session.

        Raises:
            RemoteProtocolError: the server refuses it.
            ConnectionLost: it closes instead.
            msgspec.DecodeError: it says something else.
        """
        self._transport = transport
        first = _decode(await transport.receive())
        if first.type == "error":
            error = first.error or {}
            raise RemoteProtocolError(str(error.get("message")), code=error.get("code"))
        self._tally.connect.append((self._now() - began) * 1000)
        detection = {"type": "server_vad", "silence_duration_ms": self._hold_ms}
        session = {"type": "realtime", "audio": {"input": {"turn_detection": detection}}}
        await transport.send(msgspec.json.encode({"type": "session.update", "session": session}).decode())

    async def talk(self, until: float, begin: float) -> None:
        """Send and listen from `begin` to `until`, loop times; a turn under way is ended first. Never raises."""
        self._speak_at = begin
        listening = asyncio.create_task(self._listen(), name="load-listen")
        try:
            await self._send_until(until, begin)
            await self._compare_last_item()
        except ConnectionLost as lost:
            self._lose(lost)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            await self._transport.aclose()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    # --- speaking -----------------------------------------------------------------------------------------------

    async def _send_until(self, until: float, begin: float) -> None:
        voice, tally = self._voice, self._tally
        frame_s, sent_ms = voice.frame_ms / 1000, 0
        utterance: list[str] = []
        room = itertools.cycle(voice.silence)
        at = begin
        while not self._lost and (at < until or (self._turn is not None and at < until + SETTLE_S)):
            now = self._now()
            if now < at:
                await asyncio.sleep(at - now)
                now = self._now()
            tally.pacing_slip.append((now - at) * 1000)
            if not utterance and self._turn is None and at >= self._speak_at and at < until:
                utterance = voice.frames[::-1]
                tally.turns += 1
                self._turn = _Turn(at - frame_s + voice.speech_end_ms / 1000, sent_ms + voice.speech_end_ms)
            await self._transport.send(utterance.pop() if utterance else next(room))
            tally.frames_sent += 1
            sent_ms += voice.frame_ms
            at += frame_s
            if self._turn is not None and at > self._turn.ended_at + TURN_PATIENCE_S:
                self._end_turn("turn without an answer")
        if self._turn is not None:
            self._end_turn("turn without an answer")

    def _end_turn(self, problem: str = "") -> None:
        turn, self._turn = self._turn, None
        if problem:
            self._tally.errors[problem] += 1
        listened_s = 0.0
        if turn is not None and turn.first_audio_at:
            self._last = turn
            listened_s = max(0.0, turn.first_audio_at + turn.audio_ms / 1000 - self._now())
        self._speak_at = self._now() + listened_s + self._random.uniform(0.3, 1.2)

    async def _compare_last_item(self) -> None:
        """Count audio that the server holds of the last answer and that never came."""
        if self._last is None or self._lost:
            return
        self._retrieved = asyncio.get_running_loop().create_future()
        event = {"type": "conversation.item.retrieve", "item_id": self._last.item_id}
        await self._transport.send(msgspec.json.encode(event).decode())
        try:
            async with asyncio.timeout(SETTLE_S):
                held = await self._retrieved
        except TimeoutError:
            self._tally.errors["item not retrieved"] += 1
            return
        missing_ms = held / BYTES_PER_MS - self._last.audio_ms
        if missing_ms > 1:
            self._tally.missing_audio_ms += missing_ms

    # --- listening ----------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        try:
            while True:
                self._take(_decode(await self._transport.receive()))
        except ConnectionLost as lost:
            self._lose(lost)
        except msgspec.DecodeError:
            self._tally.errors["unreadable event"] += 1
            self._lost = True

    def _take(self, event: _Event) -> None:
        turn = self._turn
        match event.type:
            case "input_audio_buffer.speech_stopped" if turn is not None and not turn.stopped_at:
                turn.stopped_at = self._now()
                self._tally.mark_error.append(abs(event.audio_end_ms - self._hold_ms - turn.end_mark_ms))
            case "response.output_audio.delta" if turn is not None:
                self._audio(turn, event)
            case "response.done" if turn is not None:
                self._done(turn, (event.response or {}).get("status"))
            case "conversation.item.retrieved" if self._retrieved is not None and not self._retrieved.done():
                content = (event.item or {}).get("content") or [{}]
                self._retrieved.set_result(_decoded_size(content[0].get("audio") or ""))
            case "error":
                self._tally.errors[str((event.error or {}).get("code"))] += 1

    def _audio(self, turn: _Turn, event: _Event) -> None:
        now, tally = self._now(), self._tally
        tally.deltas += 1
        if not turn.first_audio_at:
            turn.first_audio_at, turn.item_id = now, event.item_id
            tally.end_to_audio.append((now - turn.ended_at) * 1000)
            if turn.stopped_at:
                tally.stop_to_audio.append((now - turn.stopped_at) * 1000)
        late_ms = (now - turn.first_audio_at) * 1000 - turn.audio_ms
        if late_ms > 0 and turn.audio_ms:
            tally.late_by.append(late_ms)
        if event.item_id == turn.item_id:
            turn.audio_ms += _decoded_size(str(event.delta)) / BYTES_PER_MS

    def _done(self, turn: _Turn, status: str | None) -> None:
        if status == "completed" and turn.first_audio_at:
            self._tally.answered += 1
            self._tally.turn.append((self._now() - turn.ended_at) * 1000)
            self._end_turn()
        else:
            self._end_turn(f"response {status}" if status != "completed" else "response without audio")

    def _lose(self, lost: ConnectionLost) -> None:
        if not self._lost:
            self._lost = True
            self._tally.errors[f"close {lost.code}"] += 1


def _decoded_size(base64_text: str) -> int:
    return len(base64_text) * 3 // 4 - base64_text.count("=", -2)
