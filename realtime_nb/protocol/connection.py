"""What both machines share: an outbox, a conversation, identifiers. No I/O, no clock, no asyncio.

The caller's duty, for both machines: give every received frame to `receive`, act on what it returns, and then send
everything that `data_to_send` returns, in order. The same after every other call.
"""

from __future__ import annotations

from .client_events import ClientEventBase
from .codec import encode
from .conversation import Conversation
from .ids import IdFactory
from .server_events import ServerEventBase


class Connection:
    """Base of `ClientProtocol` and `ServerProtocol`.

    Args:
        ids: where identifiers come from; seeded in tests.
    """

    def __init__(self, *, ids: IdFactory | None = None) -> None:
        self.ids = ids or IdFactory()
        self.conversation = Conversation()
        self._outbox: list[ClientEventBase | ServerEventBase] = []

    def _queue(self, event: ClientEventBase | ServerEventBase) -> None:
        if not event.event_id:
            event.event_id = self.ids.new("event")
        self._outbox.append(event)

    def events_to_send(self) -> list[ClientEventBase | ServerEventBase]:
        """Return and forget the events waiting to be sent, in order. Use this or `data_to_send`, not both."""
        events, self._outbox = self._outbox, []
        return events

    def data_to_send(self) -> list[str]:
        """Return and forget the text frames waiting to be sent, in order."""
        return [encode(event) for event in self.events_to_send()]
