"""One turn of a session, spoken as a clip and followed to the end of the spoken answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import msgspec

from realtime_nb.errors import RealtimeError
from realtime_nb.protocol.playback import PlaybackKey
from realtime_nb.session.event_log import LoggedEvent
from realtime_nb.session.session import Session
from realtime_nb.session.tool_runner import ToolResult
from realtime_nb.session.turn import Turn
from realtime_nb.session.turn_timeline import rendered_moment
from realtime_nb.timing.clock import monotonic_ms

from .base import Status, ToolUse
from .speaking import Speaking
from .turn_pipeline import NO_SPEECH, NO_WORDS
from .turn_run import StageFailed, TurnRun

SPEECH_NOTICED_WITHIN_MS = 2_500
"""A detector somewhere else may be so late, network included."""
LONGEST_SILENCE_MS = 8_000
LOUDSPEAKER_GRACE_S = 3.0
TRANSCRIPT_GRACE_S = 1.5
"""The user's transcript often lands after the answer that it caused."""


class SessionTurn:
    """Watches a session while a clip is spoken into it. On the session's loop.

    Args:
        session: connected.
        turn: is told what happens.
        timeout_s: for the whole answer, from the end of the clip on.
        thinks_in_words: whether the server answers what its recogniser understood; else the transcript comes from a
            recogniser beside the model and explains nothing of the answer's time.
    """

    def __init__(self, session: Session, turn: TurnRun, *, timeout_s: float, thinks_in_words: bool) -> None:
        self._session = session
        self._turn = turn
        self._timeout_s = timeout_s
        self._thinks_in_words = thinks_in_words
        self._origin_ms = monotonic_ms() - session.now_ms()
        self._changed = asyncio.Event()
        self._speaking = self._committed = False
        self._transcript: str | None = None
        self._answer: Turn | None = None
        self._failure: StageFailed | None = None
        self._user_items: list[str] = []
        self._words: dict[str, str] = {}

    async def run(self, speaking: Speaking) -> tuple[Status, str | None]:
        """Speak, wait for the answer, and return how it went; `turn.finish` is the caller's.

        Raises:
            StageFailed: it did not complete.
        """
        remove = self._session.observe(self)
        try:
            if not await self._speak(speaking):
                return "no_speech", NO_SPEECH
            answer = await self._answered()
            await self._await_words()
            await self._await_sound(answer)
            if not self._thinks_in_words:
                self._turn.marks.parallel = ("transcript",)
            if self._transcript is not None and not self._transcript.strip() and not answer.audio.duration_ms:
                return "no_speech", NO_WORDS
            return "completed", None
        finally:
            remove()

    # --- the user's side ----------------------------------------------------------------------------------------

    async def _speak(self, speaking: Speaking) -> bool:
        marked = False
        async for frame in speaking.frames():
            if not marked:
                speaking.mark_end(self._turn.marks)
                marked = True
            self._check()
            await self._session.input_audio_buffer.append(frame)
            if speaking.after_ms < 0 or self._speaking:
                if speaking.after_ms > LONGEST_SILENCE_MS:
                    raise StageFailed(
                        "The server's detector did not find the end of the speech.",
                        what_now="Choose another clip, or a shorter silence_duration_ms.",
                    )
            elif self._committed:
                return True
            elif speaking.after_ms > SPEECH_NOTICED_WITHIN_MS:
                return False
        raise AssertionError("frames never end")

    # --- the answer ---------------------------------------------------------------------------------------------

    async def _answered(self) -> Turn:
        try:
            async with asyncio.timeout(self._timeout_s):
                while self._answer is None:
                    self._check()
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise StageFailed(
                f"The session with {self._session.endpoint} did not finish its answer within {self._timeout_s:g} s.",
                what_now="Try again, or allow more with timeouts=.",
                status="timed_out",
            ) from None
        return self._answer

    async def _await_words(self) -> None:
        if self._session.config.audio.input.transcription is None:
            return
        try:
            async with asyncio.timeout(TRANSCRIPT_GRACE_S):
                while len(self._words) < len(self._user_items):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            self._turn.marks.cannot("transcript", "the server's recogniser did not finish in time")
        if self._words:
            self._transcript = " ".join(self._words[item] for item in self._user_items if item in self._words)
            self._turn.heard(self._transcript)

    async def _await_sound(self, answer: Turn) -> None:
        """Where a player is attached, wait until it says when the first sound left the loudspeaker."""
        sample = self._turn.player.audible_sample
        if sample is None or not self._session.playback.attached:
            return
        found = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOUDSPEAKER_GRACE_S):
                while (found := rendered_moment(answer.rendered, sample)) is None:
                    self._changed.clear()
                    await self._changed.wait()
        if found is None:
            self._turn.marks.cannot("rendered", "the loudspeaker did not say in time what it rendered")
        else:
            self._turn.rendered(self._origin_ms + found.time_ms, found.error_ms)

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    # --- what the session tells, on its loop --------------------------------------------------------------------

    def on_event(self, logged: LoggedEvent) -> None:
        """Note the moments that wire events are."""
        handler = _HANDLERS.get(logged.event_type)
        if handler is not None and logged.direction == "received":
            handler(self, logged.event, self._origin_ms + logged.time_ms)
            self._changed.set()

    def on_assistant_audio(self, key: PlaybackKey, pcm16: bytes, now_ms: float, audible: bool) -> None:
        """Take the answer's audio."""
        self._turn.speaks_after_tools()
        self._turn.spoken(pcm16, self._origin_ms + now_ms)

    def on_rendered(self, *report: object) -> None:
        """A player said what it rendered."""
        self._changed.set()

    def on_tool_result(self, result: ToolResult) -> None:
        """Take a function's output, which was just sent."""
        failed = result.status != "completed"
        use = ToolUse(name=result.name, arguments=result.arguments, output=result.output, failed=failed)
        self._turn.tool_answered(use)

    def on_turn(self, turn: Turn) -> None:
        """Take a finished response: the answer, a step to it, or one that was cut. All of them were paid for."""
        if turn.usage is not None:
            self._turn.used("session", msgspec.to_builtins(turn.usage))
        if turn.out_of_band or turn.interrupted is not None or turn.tool_results:
            return
        if turn.status in ("completed", "incomplete"):
            self._answer = turn
        elif turn.status != "lost":
            why = str(turn.error) if turn.error is not None else f"The response ended as {turn.status}."
            self._failure = StageFailed(why)
        self._changed.set()

    def on_lost(self, error: RealtimeError) -> None:
        """The connection broke."""
        self._failure = StageFailed(
            f"The session broke: {error}", what_now="The next turn connects again, without the conversation so far."
        )
        self._changed.set()

    def on_ended(self, error: RealtimeError, now_ms: float) -> None:
        """The session ended."""
        self.on_lost(error)

    def _on_speech_started(self, event: dict[str, Any], time_ms: float) -> None:
        if self._committed:
            self._turn.start_over()
            self._answer = None
        self._speaking, self._committed = True, False

    def _on_speech_stopped(self, event: dict[str, Any], time_ms: float) -> None:
        self._turn.reach("speech_stopped", time_ms)

    def _on_committed(self, event: dict[str, Any], time_ms: float) -> None:
        self._speaking, self._committed = False, True
        self._user_items.append(str(event["item_id"]))
        self._turn.reach("committed", time_ms)

    def _on_words(self, event: dict[str, Any], time_ms: float) -> None:
        self._words[str(event["item_id"])] = str(event.get("transcript", ""))
        self._turn.used("transcription", event.get("usage"))
        if self._user_items and all(item in self._words for item in self._user_items):
            self._turn.reach("transcript", time_ms)

    def _on_item_done(self, event: dict[str, Any], time_ms: float) -> None:
        if event.get("item", {}).get("type") == "function_call":
            self._turn.tool_called(time_ms)

    def _on_text(self, event: dict[str, Any], time_ms: float) -> None:
        self._turn.speaks_after_tools()
        self._turn.said(str(event.get("delta", "")), time_ms)


_TRANSCRIPTION = "conversation.item.input_audio_transcription"
_HANDLERS: dict[str, Callable[[SessionTurn, dict[str, Any], float], None]] = {
    "input_audio_buffer.speech_started": SessionTurn._on_speech_started,
    "input_audio_buffer.speech_stopped": SessionTurn._on_speech_stopped,
    "input_audio_buffer.committed": SessionTurn._on_committed,
    f"{_TRANSCRIPTION}.completed": SessionTurn._on_words,
    f"{_TRANSCRIPTION}.failed": SessionTurn._on_words,
    "response.output_item.done": SessionTurn._on_item_done,
    "response.output_audio_transcript.delta": SessionTurn._on_text,
    "response.audio_transcript.delta": SessionTurn._on_text,
    "response.output_text.delta": SessionTurn._on_text,
}
