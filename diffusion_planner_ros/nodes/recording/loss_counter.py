# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Count messages that got lost on their way."""

from collections.abc import Mapping
from typing import Any


class LossCounter:
    """
    Counts the gaps in the numbers that DDS gives to the messages of every publisher.

    It sees what was lost anywhere between publisher and callback, an overflowing queue included,
    but not what came before the first message. Where rclpy does not tell the publisher (Jazzy),
    nothing is counted.
    """

    def __init__(self) -> None:
        self.n_lost = 0
        self._newest: dict[bytes, int] = {}  # number of the newest message, by publisher

    def see(self, info: Mapping[str, Any]) -> None:
        """Take what rclpy tells about a message."""
        number, publisher = info['publication_sequence_number'], info.get('publisher_gid')
        if number is None or publisher is None:
            return
        newest = self._newest.get(publisher['data'], number - 1)
        self.n_lost += max(0, number - newest - 1)
        self._newest[publisher['data']] = max(number, newest)
