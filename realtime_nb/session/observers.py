"""Who is told what happens in a session, and that a broken observer hurts nobody."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

logger = logging.getLogger(__name__)


class Observers:
    """Calls `on_state`, `on_event`, `on_transcript`, `on_turn`, `on_recording`, `on_notice`, … on whoever has them.

    Calls are made on the session's loop and must not block. An observer that raises is logged and stays.
    """

    def __init__(self) -> None:
        self._observers: list[Any] = []

    def add(self, observer: object) -> Callable[[], None]:
        """Add an observer and return the call that removes it (twice is fine)."""
        self._observers.append(observer)

        def remove() -> None:
            if observer in self._observers:
                self._observers.remove(observer)

        return remove

    def tell(self, what: str, *args: object) -> None:
        """Call `what` on every observer that has it."""
        for observer in tuple(self._observers):
            method = getattr(observer, what, None)
            if method is None:
                continue
            try:
                method(*args)
            except Exception:
                logger.exception("An observer of the session failed in %s", what)
