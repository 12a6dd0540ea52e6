"""Hand the latest value from one thread to another."""

import threading
from typing import Generic, TypeVar

Item = TypeVar('Item')


class Mailbox(Generic[Item]):
    """Holds one value; a newer one replaces it, so that the reader always gets the latest."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._item: Item | None = None
        self._is_closed = False

    def put(self, item: Item) -> bool:
        """Store a value; return whether it replaced one that was not taken."""
        with self._condition:
            replaced = self._item is not None
            self._item = item
            self._condition.notify()
        return replaced

    def take(self) -> Item | None:
        """Wait for a value and take it; ``None`` once the mailbox is closed."""
        with self._condition:
            self._condition.wait_for(lambda: self._item is not None or self._is_closed)
            item, self._item = self._item, None
        return None if self._is_closed else item

    def clear(self) -> None:
        """Drop the value, if there is one."""
        with self._condition:
            self._item = None

    def close(self) -> None:
        """Let ``take`` return ``None``, now and from here on."""
        with self._condition:
            self._is_closed = True
            self._condition.notify()
