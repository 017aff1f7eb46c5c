"""No answer is waited for without end: a server that falls silent in the middle of one is given up, and told so."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from realtime_nb.errors import ResponseFailed

from .turn import Turn

if TYPE_CHECKING:
    from .owner import SessionOwner

ANSWER_TIMEOUT_S = 60.0


class AnswerWatch:
    """Ends what a server never ended: a lost `response.done`, or a `response.create` that nobody answers.

    Every event of the server begins the wait anew, whatever it is about. On the session's loop.

    Args:
        owner: the session's.
        timeout_s: how long the server may send nothing while a response is asked for or in progress.
    """

    def __init__(self, owner: SessionOwner, timeout_s: float) -> None:
        self._owner = owner
        self._timeout_s = timeout_s
        self._timer: asyncio.TimerHandle | None = None
        self._heard_s = 0.0
        self._last_event = ""

    def heard(self, event_type: str) -> None:
        """The server sent something."""
        self._heard_s, self._last_event = self._owner.loop.time(), event_type

    def look(self) -> None:
        """Begin to wait when an answer is awaited."""
        if self._timer is None and self._awaited:
            self._heard_s = self._owner.loop.time()
            self._wait(self._timeout_s)

    def stop(self) -> None:
        """Nothing is awaited any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def _awaited(self) -> bool:
        protocol = self._owner.protocol
        return self._owner.state == "connected" and bool(protocol.active or protocol.creates_pending)

    def _wait(self, seconds: float) -> None:
        self._timer = self._owner.loop.call_later(seconds, self._check)

    def _check(self) -> None:
        self._timer = None
        if not self._awaited:
            return
        left_s = self._heard_s + self._timeout_s - self._owner.loop.time()
        if left_s > 0:
            self._wait(left_s)
        else:
            self._give_up()

    def _give_up(self) -> None:
        owner = self._owner
        silent = f"{owner.where} has sent nothing for {self._timeout_s:g} s"
        for response_id in owner.protocol.active:
            turn = owner.turns.turns.get(response_id)
            owner.protocol.give_up(response_id)
            owner.tools.forget(response_id)
            if turn is not None:
                error = ResponseFailed(
                    f"{silent} in the middle of an answer. Received until then: {_received(turn)}; "
                    f"the last event was {self._last_event}.",
                    what_now="What was received is in the turn. Ask again, or connect again if it stays silent.",
                )
                self._end(turn, error)
        if owner.protocol.creates_pending:
            owner.protocol.give_up_creates()
            unanswered = ResponseFailed(
                f"{silent} and has not begun to answer; the last event was {self._last_event}.",
                what_now="Ask again, or connect again if it stays silent.",
            )
            owner.observers.tell("on_unanswered", unanswered)
            self._notice(unanswered)

    def _end(self, turn: Turn, error: ResponseFailed) -> None:
        owner = self._owner
        for key in owner.output.give_up(turn.item_ids):
            if owner.output.player is None:
                owner.turns.drained(key, owner.now_ms())
        if turn.status == "in_progress":
            turn.status, turn.error = "lost", error
            owner.turns.finish(turn.response_id)
            self._notice(error)

    def _notice(self, error: ResponseFailed) -> None:
        self._owner.observers.tell("on_notice", "error", error.message, error.what_now)


def _received(turn: Turn) -> str:
    words = len(turn.transcript.split())
    return f"{words} words, {turn.audio.duration_ms / 1000:.1f} s of audio, {len(turn.tool_calls)} tool calls"
