"""The user's voice on its way to the server: a microphone, push-to-talk, or a clip at the pace of speech."""

from __future__ import annotations

import asyncio
from typing import Literal

import numpy as np

from realtime_nb.audio import AudioClip
from realtime_nb.errors import AudioError, RealtimeError, SessionError
from realtime_nb.protocol import client_events as ce
from realtime_nb.protocol import server_events as se

from .event_log import LoggedEvent
from .output_audio import WireAudioEncoder
from .owner import SessionOwner

FRAME_MS = 20
FRAME_BYTES = FRAME_MS * 48
MICROPHONE_BOUND_MS = 10_000
MAX_TRAILING_SILENCE_MS = 8_000
SETTLE_MS = 400
"""Silence sent after a clip whose turn ended within it, and after a microphone that is closed: a last word that the
detector is late with still counts."""

Pace = Literal["realtime", "fast"]


class _Heard:
    """What the server's detector said since this began to listen."""

    def __init__(self) -> None:
        self.speaking = False
        self.committed = False
        self.silence_ms = 0

    @property
    def ended(self) -> bool:
        return self.committed and not self.speaking

    def on_event(self, logged: LoggedEvent) -> None:
        if logged.event_type == "input_audio_buffer.speech_started":
            self.speaking = True
        elif logged.event_type == "input_audio_buffer.committed":
            self.speaking, self.committed = False, True
        elif logged.event_type == "input_audio_buffer.cleared":
            self.speaking = False

    def on_lost(self, error: RealtimeError) -> None:
        self.speaking = False


class SpeechInput:
    """Sends user audio for one session. Called on the session's loop.

    Attributes:
        dropped_ms: microphone audio that was thrown away because the network was too slow.
        microphone: whether frames fed are sent on: "closed", "open" or "talk" (push-to-talk).
    """

    def __init__(self, owner: SessionOwner) -> None:
        self._owner = owner
        self._encoder = WireAudioEncoder()
        self._clip_running = asyncio.Lock()
        self._heard = _Heard()
        owner.observers.add(self._heard)
        self.microphone: Literal["closed", "open", "talk"] = "closed"
        self.dropped_ms = 0.0

    def send(self, pcm16: bytes, *, spoken_ms: float | None = None) -> None:
        """Send audio now (24 kHz PCM16) and keep it on the tape; `spoken_ms`: when it ended, where that is known."""
        owner = self._owner
        audio = self._encoder.encode(pcm16, owner.protocol.config.audio.input.format)
        owner.send(ce.InputAudioBufferAppend(audio=audio))
        owner.hear(pcm16, spoken_ms=spoken_ms)  # what was refused is not on the server's count

    def feed_microphone(self, pcm16: bytes) -> None:
        """Take a microphone frame: sent when the microphone is open or the user talks, else ignored."""
        if self.microphone == "closed" or self._clip_running.locked():
            return
        if self._owner.state == "reconnecting":
            audio_format = self._owner.protocol.config.audio.input.format
            self._owner.keep_for_later(pcm16, self._encoder.encode(pcm16, audio_format))
        if self._owner.state != "connected":
            return
        if self._owner.barge_in.muted:
            pcm16 = bytes(len(pcm16))
        if self._owner.waiting_ms() > MICROPHONE_BOUND_MS:
            self.dropped_ms += len(pcm16) / 48
            return
        self.send(pcm16)

    async def set_turn_detection(self, kind: Literal["server_vad", "none"]) -> None:
        """Switch between server VAD and push-to-talk when it is not already so; settings of the detector are kept."""
        current = self._owner.protocol.config.audio.input.turn_detection
        if (kind == "none") == (current is None):
            return
        detection = None if kind == "none" else self._owner.barge_in.policy.detection({"type": "server_vad"})
        update = {"type": "realtime", "audio": {"input": {"turn_detection": detection}}}
        await self._owner.request(ce.SessionUpdate(session=update), lambda event: isinstance(event, se.SessionUpdated))

    def microphone_close(self) -> None:
        """Stop sending the microphone.

        Silence follows until the server's detector ends the turn: without any it would wait for its end for ever.
        """
        if self.microphone == "open":
            self._owner.chore(self._fall_silent())
        self.microphone = "closed"

    async def _fall_silent(self) -> None:
        for sent_ms in range(0, MAX_TRAILING_SILENCE_MS, FRAME_MS):
            await asyncio.sleep(FRAME_MS / 1000)
            settled = sent_ms >= SETTLE_MS and not self._heard.speaking
            taken = self.microphone != "closed" or self._clip_running.locked()
            by_hand = self._owner.protocol.config.audio.input.turn_detection is None
            if settled or taken or by_hand or self._owner.state != "connected":
                return
            self.send(bytes(FRAME_BYTES))

    async def talk_start(self) -> None:
        """Push-to-talk pressed: interrupt what plays, empty the buffer, send what the microphone gives.

        The buffer is emptied first: who presses begins to speak, and does not wait for the server.
        """
        self.clear()
        self.microphone = "talk"
        await asyncio.gather(self._owner.interrupter.interrupt("speech"), self.set_turn_detection("none"))

    def clear(self) -> None:
        """Throw away what the server's buffer holds."""
        self._owner.send(ce.InputAudioBufferClear())
        self._owner.turns.input_cleared()

    def talk_end(self) -> None:
        """Push-to-talk released: commit and ask for the answer.

        Raises:
            LocalProtocolError: less than 100 ms were spoken; the buffer is emptied and nothing is asked.
        """
        self.microphone = "closed"
        try:
            self._owner.send(ce.InputAudioBufferCommit())
        except Exception:
            self.clear()
            raise
        self._owner.send(ce.ResponseCreate())

    async def speak(self, clip: AudioClip, *, pace: Pace) -> None:
        """Send a clip as speech. With server VAD, silence follows until the server says that speech stopped.

        Raises:
            AudioError: the clip is empty.
            SessionError: the server's detector heard no speech in it.
        """
        if len(clip.samples) == 0:
            raise AudioError("The clip holds no audio.", what_now="Record again or choose another clip.")
        async with self._clip_running:
            detection = self._owner.protocol.config.audio.input.turn_detection
            pcm16 = clip.resampled(24_000).samples.astype("<i2").tobytes()
            if detection is None:
                self.clear()
                await self._pump(pcm16, pace)
                self._owner.send(ce.InputAudioBufferCommit())
                self._owner.send(ce.ResponseCreate())
                return
            await self._speak_to_vad(pcm16, pace)

    async def _speak_to_vad(self, pcm16: bytes, pace: Pace) -> None:
        heard = _Heard()
        remove = self._owner.observers.add(heard)
        try:
            await self._pump(pcm16, pace)
            for _ in range(MAX_TRAILING_SILENCE_MS // FRAME_MS):
                if heard.ended and heard.silence_ms >= SETTLE_MS:
                    return
                heard.silence_ms += FRAME_MS
                await self._pump(bytes(FRAME_BYTES), "realtime")
        finally:
            remove()
        raise SessionError(
            "The server's voice detector heard no speech in the clip.",
            what_now="Choose a louder clip, lower turn_detection.threshold, or use push-to-talk.",
        )

    async def _pump(self, pcm16: bytes, pace: Pace) -> None:
        started_ms = self._owner.now_ms()
        for position in range(0, len(pcm16), FRAME_BYTES):
            frame = pcm16[position : position + FRAME_BYTES]
            due_ms = started_ms + (position + len(frame)) / 48
            if pace == "realtime":
                await asyncio.sleep(max(0.0, due_ms - self._owner.now_ms()) / 1000)
            elif position % (FRAME_BYTES * 50) == 0:
                await asyncio.sleep(0)
            self.send(frame, spoken_ms=due_ms)


def spoken_level_is_silent(clip: AudioClip) -> bool:
    """Whether a clip is so quiet (peak below −60 dBFS) that no detector will hear it."""
    return bool(np.max(np.abs(clip.samples.astype(np.int32)), initial=0) < 33)


__all__ = ["Pace", "SpeechInput", "spoken_level_is_silent"]
