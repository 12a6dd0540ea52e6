"""Hand the latest value from one thread to another."""

import threading
from typing import Generic, TypeVar

Item = TypeVar('Item')


class Mailbox(Generic[Item]):
    """Holds one value; a newer one replaces it, so the reader never works through a backlog."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._item: Item | None = None
        self._is_closed = False

    def put(self, item: Item) -> bool:
        """Leave a value; return whether it replaced one that nobody had taken."""
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
        """Drop what nobody has taken."""
        with self._condition:
            self._item = None

    def close(self) -> None:
        """Wake the reader for the last time."""
        with self._condition:
            self._is_closed = True
            self._condition.notify()
