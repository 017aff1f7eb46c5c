"""Finished turns as a stream: for `ask`, and for `async for turn in session.turns()`."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

from realtime_nb.errors import RealtimeError, SessionClosed

from .owner import SessionOwner, State
from .owner_loop import on_owner_loop
from .turn import Turn

if TYPE_CHECKING:
    from .session import Session

TURN_QUEUE = 100


class TurnQueue:
    """Finished turns of a session, bounded (the oldest go first), and its end."""

    def __init__(self, owner: SessionOwner) -> None:
        self._owner = owner
        self._turns: list[Turn] = []
        self._changed = asyncio.Event()
        self._told = False
        self.lost: RealtimeError | None = None

    def on_turn(self, turn: Turn) -> None:
        self._turns.append(turn)
        if len(self._turns) > TURN_QUEUE:
            del self._turns[0]
            self._tell_once()
        self._changed.set()

    def _tell_once(self) -> None:
        if not self._told:
            self._told = True
            slow = f"More than {TURN_QUEUE} turns wait for a loop over session.turns(): the oldest are passed over."
            self._owner.observers.tell("on_notice", "warning", slow, "session.history has the last 200.")

    def on_lost(self, error: RealtimeError) -> None:
        self.lost = error
        self._changed.set()

    def on_unanswered(self, error: RealtimeError) -> None:
        """A response was asked for and will not come."""
        self.on_lost(error)

    def on_state(self, state: State) -> None:
        self._changed.set()

    async def get(self, *, in_conversation: bool = False) -> Turn:
        """Wait for the next turn. Raises what ended the session.

        `in_conversation` is for who waits for one answer: out-of-band turns are passed over; a cut raises, and so does
        a request that nobody answers.
        """
        while True:
            if in_conversation and self.lost is not None:
                raise self.lost
            if in_conversation:
                self._turns = [turn for turn in self._turns if not turn.out_of_band]
            ended = self._owner.ended
            if ended is not None and not (self._turns and self._turns[0].status != "lost"):
                raise ended
            if self._turns:
                return self._turns.pop(0)
            self._changed.clear()
            await self._changed.wait()


class TurnStream:
    """The iterator of `Session.turns`, for any loop."""

    def __init__(self, session: Session, owner: SessionOwner) -> None:
        self._session: Session | None = session
        self._owner = owner
        self.loop = session.loop
        self._queue: TurnQueue | None = None
        self._remove: Callable[[], None] | None = None

    def __aiter__(self) -> TurnStream:
        return self

    async def __anext__(self) -> Turn:
        turn = await self._next()
        if turn is None:
            raise StopAsyncIteration
        return turn

    @on_owner_loop
    async def _next(self) -> Turn | None:
        if self._queue is None:
            self._queue = TurnQueue(self._owner)
            self._remove = self._owner.observers.add(self._queue)
            weakref.finalize(self, self._remove)
        try:
            return await self._queue.get()
        except SessionClosed:
            return None
