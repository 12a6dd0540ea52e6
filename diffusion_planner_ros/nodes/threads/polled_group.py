# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Subscriptions that hand over their newest message when asked, and not every one that comes."""

from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.subscription import Subscription

from ..common.warning_executor import warning_of


class PolledGroup(ReentrantCallbackGroup):
    """
    Subscriptions that no executor serves; ``poll`` takes their newest messages.

    With a depth of 1 the middleware drops all others, and they cost Python nothing: what comes at
    125 Hz is handled at the pace of the polling.
    """

    def __init__(self) -> None:
        super().__init__()
        self._callbacks: dict[Subscription, Callable[[Any], None]] = {}

    # The group that it is a kind of says that it always can.
    def can_execute(self, entity: Any) -> bool:  # type: ignore[override]
        """Return that no executor may serve it."""
        del entity
        return False

    def serve(self, subscription: Subscription, callback: Callable[[Any], None]) -> None:
        """Hand over messages of a subscription of this group from now on."""
        self._callbacks[subscription] = callback

    def clear(self) -> None:
        """Serve no subscription any more."""
        self._callbacks.clear()

    def poll(self) -> None:
        """Call the callback of every subscription that has a new message."""
        for subscription, callback in self._callbacks.items():
            taken = None
            with warning_of(), subscription.handle:
                taken = subscription.handle.take_message(subscription.msg_type, False)
            if taken is not None:
                callback(taken[0])
