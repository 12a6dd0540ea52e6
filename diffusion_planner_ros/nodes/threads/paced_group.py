"""Subscriptions that hand over their newest message when asked, and not every one that comes."""

from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup


class PacedGroup(ReentrantCallbackGroup):
    """
    Lets every subscription in it handle one message after each call of ``begin_turn``.

    With a depth of 1 that is the newest one: the middleware drops the others, and they cost Python
    nothing. What comes at 125 Hz is handled at the pace of the turns.
    """

    def __init__(self) -> None:
        super().__init__()
        self._served: set[Any] = set()  # in this turn

    def begin_turn(self) -> None:
        """Let every subscription handle a message again."""
        self._served.clear()

    def can_execute(self, entity: Any) -> bool:
        """Return whether it has handled no message in this turn; the executor asks."""
        return entity not in self._served and super().can_execute(entity)

    def beginning_execution(self, entity: Any) -> bool:
        """Note that it handles a message; the executor calls this."""
        self._served.add(entity)
        return super().beginning_execution(entity)
