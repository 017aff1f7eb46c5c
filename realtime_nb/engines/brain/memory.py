"""What a conversation has noted so far: who speaks, what was eaten, what was ordered."""

from __future__ import annotations

from typing import Any

from realtime_nb.engines.brain.slots import Item, Utterance


class Memory:
    """The demo's notes.

    Attributes:
        person: the user's name, None until it is told.
        eaten: foods logged.
        ordered: things ordered.
    """

    def __init__(self) -> None:
        self.person: str | None = None
        self.eaten: tuple[Item, ...] = ()
        self.ordered: tuple[Item, ...] = ()
        self._latest: tuple[Item, ...] = ()

    def note(self, intent: str, values: dict[str, Any], said: str, *, correcting: bool, ordering: bool) -> None:
        """Note what an intent with these slots changes; what it takes off is added to them as `removed`.

        Args:
            intent: its name.
            values: of its slots.
            said: the user's words.
            correcting: what was noted last was wrong.
            ordering: the talk is of an order and not of food eaten.
        """
        if intent == "set_name":
            self.person = values.get("person")
        elif intent == "food_log":
            self.eaten = self._with(self.eaten, values, correcting=correcting)
        elif intent == "order_place":
            self.ordered = self._with(self.ordered, values, correcting=correcting)
        elif intent == "food_remove":
            before = self.ordered if ordering else self.eaten
            kept = _without(before, values.get("food"), said)
            values["removed"] = tuple(item for item in before if item not in kept)
            self.ordered, self.eaten = (kept, self.eaten) if ordering else (self.ordered, kept)

    def _with(self, before: tuple[Item, ...], values: dict[str, Any], *, correcting: bool) -> tuple[Item, ...]:
        """Return the notes and what was said; a correction replaces the same thing, else what was noted last."""
        items = tuple(values.get("items", ()))
        if correcting:
            same = {item.name for item in items} & {item.name for item in before}
            wrong = tuple(item for item in before if item.name in same) or self._latest
            before = tuple(item for item in before if item not in wrong)
        self._latest = items
        return before + items


def _without(items: tuple[Item, ...], wanted: str | None, said: str) -> tuple[Item, ...]:
    if wanted is not None:
        return tuple(item for item in items if item.name != wanted)
    return () if {"everything", "all", "clear", "empty"} & set(Utterance(said).words) else items[:-1]
