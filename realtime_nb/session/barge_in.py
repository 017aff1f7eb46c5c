"""When the user's speech interrupts an answer: at once, after a minimum duration, or never."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np

from realtime_nb.audio.format import WIRE_SAMPLE_RATE_HZ
from realtime_nb.audio.speech_bounds import speech_bounds_ms
from realtime_nb.errors import ConfigurationError, RealtimeError
from realtime_nb.protocol import client_events as ce
from realtime_nb.protocol import server_events as se

if TYPE_CHECKING:
    from .owner import SessionOwner


CHECK_MS = 40
BEFORE_ONSET_MS = 200
"""Heard along with speech, to know what silence sounds like here."""


class BargeIn(msgspec.Struct, frozen=True, kw_only=True):
    """The policy.

    Attributes:
        interrupt: "speech" lets speech interrupt; "off" does not, and while an answer sounds the microphone sends
            silence (half duplex: for rooms with loudspeakers, where the model would hear itself).
        min_speech_ms: speech that ends sooner ("uh-huh") interrupts nothing and is not answered. The server then no
            longer interrupts and answers by itself; this end does both.
    """

    interrupt: Literal["speech", "off"] = "speech"
    min_speech_ms: int = 0

    def __post_init__(self) -> None:
        if self.interrupt not in ("speech", "off"):
            raise ConfigurationError(f"interrupt={self.interrupt!r} is not known.", what_now='Use "speech" or "off".')
        if self.min_speech_ms < 0:
            raise ConfigurationError("min_speech_ms is negative.", what_now="Give milliseconds, 0 for at once.")

    @property
    def by_client(self) -> bool:
        """Whether this end, and not the server, decides."""
        return self.interrupt == "speech" and self.min_speech_ms > 0

    def detection(self, detection: dict[str, Any]) -> dict[str, Any]:
        """Return the server's turn detection as this policy needs it."""
        if self.interrupt == "off":
            return {**detection, "interrupt_response": False}
        if self.by_client:
            return {**detection, "interrupt_response": False, "create_response": False}
        return detection


class BargeInWatch:
    """Follows one session's speech under a policy. On the session's loop.

    Attributes:
        backchannels: ids of user items that were too short to interrupt and were not answered.
    """

    def __init__(self, owner: SessionOwner, policy: BargeIn) -> None:
        self.policy = policy
        self.backchannels: list[str] = []
        self._owner = owner
        self._waiting: asyncio.Task[None] | None = None
        self._over_an_answer = False
        self._interrupted = False
        self._due = False
        self._speech_id: str | None = None

    @property
    def muted(self) -> bool:
        """Whether the microphone must send silence now."""
        return self.policy.interrupt == "off" and self._owner.output.audible

    def take(self, event: object) -> None:
        """Follow one received event."""
        if isinstance(event, se.SpeechStarted):
            self._forget_speech()
            self._speech_id = event.item_id
            self._started(event.audio_start_ms)
        elif isinstance(event, se.TimeoutTriggered):
            self._speech_id, self._over_an_answer = event.item_id, False
        elif self.policy.by_client and isinstance(event, se.InputAudioBufferCommitted):
            self._committed(event.item_id)
        elif self._due and isinstance(event, se.ResponseDone):
            self._respond()
        elif isinstance(event, se.InputAudioBufferCleared) or (
            isinstance(event, se.SessionUpdated) and self._owner.protocol.config.audio.input.turn_detection is None
        ):
            self._forget_speech()  # nothing will end it

    def connection_lost(self) -> None:
        """What was being said, or waited to be answered, is gone."""
        self._due = self._interrupted = False
        self._forget_speech()

    def _forget_speech(self) -> None:
        self._speech_id = None
        if self._waiting is not None and not self._interrupted:
            self._waiting.cancel()

    def _started(self, audio_start_ms: float) -> None:
        owner = self._owner
        detection = owner.protocol.config.audio.input.turn_detection
        answering = owner.output.audible or owner.protocol.active_default is not None
        if self.policy.by_client:
            self._over_an_answer, self._interrupted = answering, False
            if answering:
                self._waiting = owner.chore(self._interrupt_if_it_lasts(audio_start_ms - BEFORE_ONSET_MS))
        elif detection is not None and detection.interrupt_response and owner.output.audible:
            owner.output.mute_open()
            owner.chore(owner.interrupter.cut("speech"))

    async def _interrupt_if_it_lasts(self, start_ms: float) -> None:
        started_ms = self._owner.now_ms()
        while True:
            await asyncio.sleep(min(CHECK_MS, self.policy.min_speech_ms) / 1000)
            if self._lasted_ms(start_ms, started_ms) >= self.policy.min_speech_ms:
                break
        self._interrupted = True
        await self._owner.interrupter.interrupt("speech")

    def _lasted_ms(self, start_ms: float, started_ms: float) -> float:
        """Return how long speech has lasted, by its sound: the server says that it has ended a whole hold later."""
        tape = self._owner.tape
        heard = np.frombuffer(tape.slice(start_ms, tape.end_ms), np.int16)
        bounds = speech_bounds_ms(heard, WIRE_SAMPLE_RATE_HZ)
        return self._owner.now_ms() - started_ms if bounds is None else bounds[1] - bounds[0]

    def _committed(self, item_id: str) -> None:
        if item_id != self._speech_id:  # by hand: who commits asks for the answer, too
            return
        if self._waiting is not None and not self._interrupted:
            self._waiting.cancel()
        if self._over_an_answer and not self._interrupted:
            self.backchannels.append(item_id)
            self._owner.turns.backchannel(item_id)
            return
        self._due = True
        self._respond()

    def _respond(self) -> None:
        protocol = self._owner.protocol
        if protocol.active_default is not None or protocol.creates_pending:
            return
        self._due = False
        try:
            self._owner.send(ce.ResponseCreate())
        except RealtimeError as error:
            self._owner.observers.tell("on_notice", "warning", error.message, error.what_now)
