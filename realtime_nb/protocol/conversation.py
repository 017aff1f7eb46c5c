"""The conversation: items in order. Both ends keep one, and for any legal script both end equal."""

from __future__ import annotations

from collections.abc import Iterator

from .items import Item, ItemStatus, item_text


class Conversation:
    """Items by id, in order.

    Order follows `previous_item_id`: None appends, "root" puts first. Unknown ids raise KeyError, which the machines
    turn into their own errors.
    """

    def __init__(self) -> None:
        self._items: dict[str, Item] = {}
        self._order: list[str] = []

    def __len__(self) -> int:
        return len(self._order)

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._items

    def __iter__(self) -> Iterator[Item]:
        return (self._items[item_id] for item_id in self._order)

    def __getitem__(self, item_id: str) -> Item:
        return self._items[item_id]

    def get(self, item_id: str) -> Item | None:
        """Return an item, None when it is unknown."""
        return self._items.get(item_id)

    @property
    def ids(self) -> list[str]:
        """The items' ids, in order."""
        return list(self._order)

    @property
    def last_id(self) -> str | None:
        """The id of the last item, None when empty."""
        return self._order[-1] if self._order else None

    def previous_id(self, item_id: str) -> str | None:
        """Return the id of the item before, None for the first."""
        position = self._order.index(item_id)
        return self._order[position - 1] if position else None

    def insert(self, item: Item, *, previous_item_id: str | None = None) -> str | None:
        """Insert an item and return the id of the item before it.

        Args:
            item: with its id set.
            previous_item_id: None or "" appends, "root" puts first.

        Raises:
            KeyError: `previous_item_id` is unknown, or the item's own id is taken.
        """
        item_id = str(item.id)
        if item_id in self._items:
            raise KeyError(item_id)
        if not previous_item_id:
            position = len(self._order)
        elif previous_item_id == "root":
            position = 0
        else:
            if previous_item_id not in self._items:
                raise KeyError(previous_item_id)
            position = self._order.index(previous_item_id) + 1
        self._items[item_id] = item
        self._order.insert(position, item_id)
        return self._order[position - 1] if position else None

    def replace(self, item: Item) -> None:
        """Put a newer version of an item in its place. KeyError when unknown."""
        item_id = str(item.id)
        if item_id not in self._items:
            raise KeyError(item_id)
        self._items[item_id] = item

    def delete(self, item_id: str) -> Item:
        """Remove and return an item. KeyError when unknown."""
        item = self._items.pop(item_id)
        self._order.remove(item_id)
        return item

    def digest(self) -> list[tuple[str, str, ItemStatus | None, str]]:
        """Return (id, kind, status, words) per item, what both ends must agree on."""
        return [
            (
                str(item.id),
                getattr(item, "role", str(item.__struct_config__.tag)),
                item.status if isinstance(item.status, str) else None,
                item_text(item),
            )
            for item in self
        ]
