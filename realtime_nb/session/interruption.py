"""Stopping an answer, and telling the server the truth about what was heard."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from realtime_nb.errors import ServerRejected
from realtime_nb.protocol import client_events as ce
from realtime_nb.protocol import server_events as se
from realtime_nb.protocol.playback import CutKind

from .turn import Interruption

if TYPE_CHECKING:
    from .owner import SessionOwner


class Interrupter:
    """Interrupts one session's answers. On the session's loop."""

    def __init__(self, owner: SessionOwner) -> None:
        self._owner = owner
        self._under_way = 0
        self.settled = asyncio.Event()
        """Set while nothing is being interrupted: what was heard of the last answer is known."""
        self.settled.set()

    @contextlib.contextmanager
    def _unsettled(self) -> Iterator[None]:
        self._under_way += 1
        self.settled.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self.settled.set()

    async def cut(self, reason: Interruption) -> None:
        """Stop playback, and tell the server what was really heard.

        Nothing heard deletes the item, nothing unheard says nothing, else `conversation.item.truncate` carries the
        rendered milliseconds, floored.
        """
        with self._unsettled():
            await self._owner.output.stop()
            self._say_what_was_heard(reason)

    def _say_what_was_heard(self, reason: Interruption) -> None:
        owner = self._owner
        for cut in owner.output.settle():
            if cut.kind is CutKind.NOTHING:
                continue
            owner.turns.interrupted(cut.key, reason, cut.audio_end_ms, owner.now_ms())
            if cut.kind is CutKind.DELETE:
                owner.send(ce.ConversationItemDelete(item_id=cut.key.item_id))
            else:
                received_ms = owner.protocol.playback.received_ms(cut.key)
                truncate = ce.ConversationItemTruncate(
                    item_id=cut.key.item_id,
                    content_index=cut.key.content_index,
                    audio_end_ms=min(cut.audio_end_ms, received_ms),
                )
                owner.send(truncate)

    async def interrupt(self, reason: Interruption) -> bool:
        """Stop what is being generated and played; True when there was something to stop.

        The loudspeaker stops at once; the server is told what was heard when it has ended the response.
        """
        owner = self._owner
        active = owner.protocol.active_default
        if active is None and not owner.output.audible:
            if owner.protocol.creates_pending:
                owner.protocol.send(ce.ResponseCancel())
                return True
            return False
        if active is None:
            await self.cut(reason)
            return True
        with self._unsettled():
            outcomes = await asyncio.gather(self._cancel(active, reason), owner.output.stop(), return_exceptions=True)
            if owner.output.audible:  # begun meanwhile
                await owner.output.stop()
            self._say_what_was_heard(reason)
        for outcome in outcomes:
            if outcome is not None:
                raise outcome
        return True

    async def _cancel(self, response_id: str, reason: Interruption) -> None:
        turn = self._owner.turns.turns.get(response_id)
        if turn is not None:
            turn.interrupted = reason
        try:
            await self._owner.request(
                ce.ResponseCancel(response_id=response_id),
                lambda event: isinstance(event, se.ResponseDone) and event.response.id == response_id,
            )
        except ServerRejected as refused:
            if refused.code != "response_cancel_not_active":
                raise
