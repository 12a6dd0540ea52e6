# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Down-sample a stream of states of any rate to one state per control period."""

SMOOTHING = 1 / 16  # weight of the newest spacing in its running mean
FASTER = 7 / 8  # of a control period: a stream of smaller spacing is down-sampled
EARLY = 1 / 4  # of a control period: how much earlier than due a state may come


class DownSampler:
    """
    Choose the states to use, by their stamps only.

    Of a stream at the control rate, every state is used, whatever its jitter. Of a faster one, the
    first state after each due time is used. Due times are one control period apart and follow the
    stamps, so that 1 kHz becomes exactly 125 Hz on average.

    :param period: control period [ns].
    """

    def __init__(self, period: int) -> None:
        self._period = period
        self._seen: int | None = None
        self._spacing = float(period)
        self._due: float | None = None  # earliest stamp to accept next [ns]

    def see(self, stamp: int) -> None:
        """Measure the spacing of the stream; to be called once for every state [ns]."""
        if self._seen is not None and stamp > self._seen:
            # A gap hardly changes the mean: after it, the stream is as fast as before.
            spacing = min(stamp - self._seen, 2 * self._period)
            self._spacing += SMOOTHING * (spacing - self._spacing)
        self._seen = stamp

    def is_due(self, stamp: int) -> bool:
        """Return whether a state of this stamp [ns] is to be used."""
        is_faster = self._spacing < FASTER * self._period
        return self._due is None or not is_faster or stamp >= self._due

    def accept(self, stamp: int) -> None:
        """Set the next due time after a state of this stamp [ns] was used."""
        if self._due is None or abs(stamp - self._due) > FASTER * self._period:
            self._due = stamp - EARLY * self._period  # after a gap, due times start anew
        self._due += self._period

    def align(self, stamp: int) -> None:
        """Set the next due time after a state of this stamp [ns] that another node has used."""
        self._due = stamp + self._period
