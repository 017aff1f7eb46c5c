"""A session as people use it: two verbs, the wire's own names below them, and awaitable from any loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import weakref
from collections.abc import AsyncIterator, Callable
from typing import Any

from realtime_nb.audio import AudioClip
from realtime_nb.errors import AudioError, RealtimeError
from realtime_nb.protocol import client_events as ce
from realtime_nb.protocol import server_events as se
from realtime_nb.protocol.items import InputAudio, Message
from realtime_nb.protocol.session_config import SessionConfig
from realtime_nb.recording.redaction import Redaction
from realtime_nb.recording.writer import RecordingWriter

from .event_log import EventLog
from .namespaces import (
    ConversationNamespace,
    InputAudioBufferNamespace,
    ResponseNamespace,
    SessionNamespace,
    as_item,
)
from .owner import SessionOwner, State
from .owner_loop import on_owner_loop, set_soon
from .playback_report import PlaybackReport
from .player import Player
from .reconnect import StateRestored
from .recorder import record
from .regions import Region
from .speech_input import Pace, SpeechInput, spoken_level_is_silent
from .tool_runner import ToolResult
from .tools import Toolbox
from .transcript import TranscriptLine
from .turn import Interruption, Turn
from .turn_stream import TurnQueue, TurnStream

TRANSCRIPT_GRACE_S = 1.5
DISK_PATIENCE_S = 5.0
"""How long closing waits for a recording's last bytes; a disk that hangs holds up nobody for ever."""


class Session:
    """One conversation with a Realtime server.

    Every coroutine may be awaited from any event loop (a cell, a script, a widget's callback): it runs on the loop
    that owns the session. When the last reference to a session goes, its connection is closed.
    """

    def __init__(self, owner: SessionOwner, *, endpoint: str, engine: str, secrets: tuple[str, ...] = ()) -> None:
        self._owner = owner
        self._secrets = secrets
        self.recordings: list[RecordingWriter] = []
        self._speech = SpeechInput(owner)
        self.endpoint = endpoint
        self.engine = engine
        self.session = SessionNamespace(owner)
        self.input_audio_buffer = InputAudioBufferNamespace(owner, self._speech)
        self.conversation = ConversationNamespace(owner)
        self.response = ResponseNamespace(owner)
        self._playback = PlaybackReport(owner)
        self._finalizer = weakref.finalize(self, set_soon, owner.loop, owner.closing)  # must not keep the owner

    # --- what it is ---------------------------------------------------------------------------------------------

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that owns the session."""
        return self._owner.loop

    @property
    def state(self) -> State:
        """One of "connecting", "connected", "reconnecting", "closed", "failed"."""
        return self._owner.state

    @property
    def closed_reason(self) -> RealtimeError | None:
        """Why it ended, None while it runs."""
        return self._owner.ended

    @property
    def state_restored(self) -> StateRestored | None:
        """What the last reconnection rebuilt, None when there was none."""
        return self._owner.restored

    @property
    def model(self) -> str:
        """The model as the server announced it."""
        return str(self._owner.protocol.session.get("model", ""))

    @property
    def config(self) -> SessionConfig:
        """The effective settings, typed."""
        return self._owner.protocol.config

    @property
    def events(self) -> EventLog:
        """Every wire event so far, bounded (audio of old ones goes first); readable after the end too."""
        return self._owner.log

    @property
    def history(self) -> list[Turn]:
        """Finished turns, oldest first: the last 200, with at most 256 MiB of audio. A recording keeps them all."""
        return list(self._owner.turns.history)

    @property
    def transcript(self) -> list[TranscriptLine]:
        """The running transcript of both sides."""
        return self._owner.turns.transcript.lines

    @property
    def regions(self) -> list[Region]:
        """Speech, hold and response spans on the session's clock."""
        return self._owner.turns.regions.regions

    @property
    def playback(self) -> PlaybackReport:
        """Where a player reports what it rendered."""
        return self._playback

    def now_ms(self) -> float:
        """Return the session's clock: milliseconds since it began."""
        return self._owner.now_ms()

    # --- the two verbs ------------------------------------------------------------------------------------------

    @on_owner_loop
    async def ask(self, what: AudioClip | str, *, pace: Pace = "realtime") -> Turn:
        """Say or type something and wait for the whole answer.

        What is still playing is interrupted first.

        Args:
            what: a text, or a clip of speech. With server VAD the clip is followed by silence until the server's
                detector ends the turn; in push-to-talk it is committed.
            pace: "realtime" sends a clip at the speed of speech (so that latencies mean something), "fast" at once.

        Returns:
            The finished turn; look at its `status`.

        Raises:
            AudioError: the clip is empty or silent; nothing was sent.
            SessionError: no speech was heard in it, or the session ended.
            ConnectionLost: the connection broke; what was received is in `history[-1]`.
        """
        self._owner.check_open()
        if isinstance(what, AudioClip):
            self._check_audible(what)
        await self._owner.interrupter.interrupt("text" if isinstance(what, str) else "speech")
        async with self._collect() as turns:
            start_ms = self._owner.tape.end_ms
            if isinstance(what, AudioClip):
                await self._speech.speak(what, pace=pace)
            else:
                self._owner.send(ce.ConversationItemCreate(item=as_item(what)))
                self._owner.send(ce.ResponseCreate())
            turn = await self._answered(turns)
        await self._owner.interrupter.settled.wait()
        if isinstance(what, AudioClip) and what.speech_end_ms is not None and pace == "realtime":
            turn.marks.speech_end_ms = self._owner.tape.spoken_by_ms(start_ms + what.speech_end_ms)
            self._owner.observers.tell("on_speech_end", turn.response_id, turn.marks.speech_end_ms)
        await self._await_transcript(turn)
        return turn

    def turns(self) -> AsyncIterator[Turn]:
        """Iterate over turns as they finish, until the session ends. Usable from any loop; breaking off is safe.

        Raises:
            ConnectionLost: the connection broke (a session that was closed ends the loop silently).
        """
        return TurnStream(self, self._owner)

    # --- talking ------------------------------------------------------------------------------------------------

    @on_owner_loop
    async def talk_start(self) -> None:
        """Push-to-talk pressed: stop what plays and send what `feed_microphone` gives from now on."""
        await self._speech.talk_start()

    @on_owner_loop
    async def talk_end(self) -> None:
        """Push-to-talk released: commit and ask for the answer.

        Raises:
            LocalProtocolError: less than 100 ms were spoken.
        """
        self._speech.talk_end()

    @on_owner_loop
    async def microphone_open(self) -> None:
        """Send what `feed_microphone` gives; the server's detector finds the turns."""
        await self._speech.set_turn_detection("server_vad")
        self._speech.microphone = "open"

    @on_owner_loop
    async def microphone_close(self) -> None:
        """Stop sending the microphone; silence follows until the turn that was being spoken has ended."""
        self._speech.microphone_close()

    def feed_microphone(self, pcm16: bytes) -> None:
        """Give a frame of 24 kHz PCM16. Thread-safe, never blocks; counted in `microphone_dropped_ms` when refused."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._feed, pcm16)

    @property
    def microphone_dropped_ms(self) -> float:
        """Microphone audio thrown away because the network was too slow."""
        return self._speech.dropped_ms

    @on_owner_loop
    async def interrupt(self, reason: Interruption = "button") -> bool:
        """Stop the answer that is being generated or played; True when there was one."""
        return await self._owner.interrupter.interrupt(reason)

    # --- tools --------------------------------------------------------------------------------------------------

    @property
    def tools(self) -> Toolbox:
        """The functions that the model may call."""
        return self._owner.tools.toolbox

    @property
    def tool_calls(self) -> list[ToolResult]:
        """The calls of these functions so far, oldest first, the last 2000; they fill while they run."""
        return list(self._owner.tools.results.values())

    def tool(self, function: Callable[..., Any] | None = None, **options: Any) -> Any:
        """Offer a function to the model; a decorator, plain or with options.

        The signature becomes the JSON schema, the docstring the descriptions. The function may be sync (it runs in a
        thread) or async (it runs on the session's loop). Its result, or its error, goes to the model as JSON, and the
        model is asked to go on when every call of its response is answered.

        Args:
            function: with annotated, named parameters.
            options: `name`, `description`, `timeout_s`, `approval` ("never", "always" or a function of the request),
                `approval_timeout_s`, `filler` (said when the call is slow) and `filler_after_s`.

        Raises:
            ConfigurationError: the signature cannot be a JSON schema.
        """
        if function is None:
            return lambda real: self.tool(real, **options)
        made = self.tools.add(function, **options)
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._offer_tools)
        return made.function

    def _offer_tools(self) -> None:
        if self.state == "connected":
            self._owner.chore(self._owner.offer_tools())

    @on_owner_loop
    async def approve(self, call_id: str, *, approved: bool = True) -> bool:
        """Let a call that waits for approval run, or decline it; False when no such call waits."""
        return self._owner.tools.approve(call_id, approved=approved)

    @on_owner_loop
    async def cancel_tool(self, call_id: str | None = None) -> int:
        """Stop one running call, or all of them; the model is told. Returns how many were stopped."""
        return self._owner.tools.cancel(call_id)

    # --- attaching ----------------------------------------------------------------------------------------------

    def observe(self, observer: object) -> Callable[[], None]:
        """Tell `observer` what happens (`on_event`, `on_turn`, …; see `Observers`) and return how to stop that."""
        return self._owner.observers.add(observer)

    def record(self, path: str | os.PathLike[str], *, redact: tuple[Redaction, ...] = ()) -> RecordingWriter:
        """Write this session into a new folder, from now on (events from the beginning of `events`), until it ends.

        The folder holds a manifest, every wire event, marks, and a stereo WAV: left the user, right the assistant as
        heard. It is readable at any moment, also after a crash. Keys and tokens never enter it.

        Args:
            path: a folder that is not there or empty.
            redact: "audio" leaves out sound, "transcripts" leaves out words.

        Returns:
            The writer; its `close()` ends the recording before the session does.

        Raises:
            ConfigurationError: nothing can be written there. When the disk fails later, observers get a warning and the
                session goes on.
        """
        return record(self, path, owner=self._owner, redact=redact, secrets=self._secrets)

    def attach_player(self, player: Player) -> Callable[[], None]:
        """Play output audio on `player` from now on, and return how to detach it."""
        output = self._owner.output
        self.loop.call_soon_threadsafe(output.attach, player)

        def detach() -> None:
            if output.player is player and not self.loop.is_closed():
                self.loop.call_soon_threadsafe(output.attach, None)

        return detach

    # --- the end ------------------------------------------------------------------------------------------------

    @on_owner_loop
    async def aclose(self) -> None:
        """Close the connection and wait until nothing of it is left and recordings are written. Twice is fine."""
        self._owner.request_close()
        await self._owner.finished.wait()
        for writer in self.recordings:
            if not writer.writing:
                await asyncio.to_thread(writer.thread.join, DISK_PATIENCE_S)

    def close(self) -> None:
        """Close without waiting, from any thread."""
        self._owner.request_close()

    async def __aenter__(self) -> Session:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        ended = f": {self.closed_reason}" if self.closed_reason is not None else ""
        return (
            f"<Session {self.state}{ended} · {self.endpoint} · {self.engine or self.model} · {len(self.history)} turns>"
        )

    # --- inside -------------------------------------------------------------------------------------------------

    def _feed(self, pcm16: bytes) -> None:
        with contextlib.suppress(RealtimeError):
            self._speech.feed_microphone(pcm16)

    @contextlib.asynccontextmanager
    async def _collect(self) -> AsyncIterator[TurnQueue]:
        queue = TurnQueue(self._owner)
        remove = self._owner.observers.add(queue)
        try:
            yield queue
        finally:
            remove()

    async def _answered(self, turns: TurnQueue) -> Turn:
        """Wait for the turn, and through the turns that only call tools for the one that speaks of their results."""
        first = turn = await turns.get(in_conversation=True)
        results = list(turn.tool_results)
        while self._owner.tools.pending(turn.response_id) or (turn.calls_tools and turn.status == "completed"):
            calls, turn = turn.tool_results, await turns.get(in_conversation=True)
            while not _began_after(turn, calls):  # it answers somebody who spoke while they ran
                turn = await turns.get(in_conversation=True)
            results += turn.tool_results
        if turn is not first and not turn.user_item_ids:
            turn.tool_calls = [*first.tool_calls, *turn.tool_calls]
            turn.tool_results = results
            turn.user_item_ids, turn.user_transcript = first.user_item_ids, first.user_transcript
            turn.add_user_audio(first.user_audio.pcm16_bytes() if first.user_audio else b"")
            turn.marks.speech_stopped_ms = first.marks.speech_stopped_ms
        return turn

    async def _await_transcript(self, turn: Turn) -> None:
        """Give the user's transcript a moment: it often lands after the answer that it caused."""
        conversation = self._owner.protocol.conversation
        for item_id in turn.user_item_ids:
            item = conversation.get(item_id)
            spoken = isinstance(item, Message) and any(isinstance(part, InputAudio) for part in item.content)
            line = self._owner.turns.transcript.get(item_id)
            if not spoken or self.config.audio.input.transcription is None or (line is not None and line.final):
                continue
            with contextlib.suppress(RealtimeError):
                await self._owner.requests.wait("", _transcribed(item_id), timeout_s=TRANSCRIPT_GRACE_S)

    @staticmethod
    def _check_audible(clip: AudioClip) -> None:
        if len(clip.samples) == 0 or spoken_level_is_silent(clip):
            what = "holds no audio" if len(clip.samples) == 0 else "is silent"
            raise AudioError(f"The clip {what}.", what_now="Record again or choose another clip.")


def _began_after(turn: Turn, calls: list[ToolResult]) -> bool:
    began_ms = turn.marks.response_created_ms or 0.0
    return all(call.ended_ms is not None and call.ended_ms <= began_ms for call in calls)


def _transcribed(item_id: str) -> Callable[[object], bool]:
    return lambda event: (
        isinstance(event, se.TranscriptionCompleted | se.TranscriptionFailed) and event.item_id == item_id
    )


__all__ = ["Session"]
