# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""One axis of time for all messages of a recording, whose clock may jump back."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

APART = 3_600_000_000_000  # [ns] that a jump of the clock is wide on the axis: no gap is wider
NEAR = 1_000_000_000  # [ns] that other messages may be before or after the stamps of a part
NOWHERE = -1  # time of a message that is on no part of the clock


@dataclass(frozen=True)
class _Part:
    """What lies between two jumps of the clock."""

    begin: int
    """Position in the recording of its first message."""
    low: int
    """First stamp [ns]."""
    high: int
    """Last stamp [ns]."""
    shift: int
    """Time on the axis of stamp 0 [ns]."""


class Timeline:
    """
    Brings the messages of one topic into the order of their stamps, and others onto the same axis.

    A stamp that is older than the newest one by at most ``late`` came late: it is put where it
    belongs. If it is older still, the clock was set back, unless the very next stamp goes on from
    the newest one: then this message came too late. What lies behind a jump comes later on the
    axis, whatever its stamps.

    :param orders: position of every message in the recording, increasing, shape (n,).
    :param stamps: their stamps [ns], shape (n,); at least one.
    :param late: [ns].
    """

    def __init__(self, orders: NDArray, stamps: NDArray, late: int) -> None:
        part, is_late = _parts(stamps, late)
        self.n_too_late = int((part < 0).sum())
        """Messages that came too late."""
        self._parts: list[_Part] = []
        kept = np.flatnonzero(part >= 0)
        end = 0  # of the axis so far
        for of_part in np.split(kept, np.flatnonzero(np.diff(part[kept])) + 1):
            low, high = int(stamps[of_part].min()), int(stamps[of_part].max())
            shift = end + APART - low
            self._parts.append(_Part(int(orders[of_part[0]]), low, high, shift))
            end = high + shift
        shifts = np.array([p.shift for p in self._parts])
        times = np.where(part < 0, NOWHERE, stamps + shifts[part])
        kept = kept[np.argsort(times[kept], kind='stable')]
        is_new = np.diff(times[kept], prepend=NOWHERE) > 0
        self.n_repeated = int((~is_new).sum())
        """Messages with the stamp of one before them."""
        self.chosen = kept[is_new]
        """Messages in the order of time, by their place among all of the topic, shape (m,)."""
        self.times = times[self.chosen]
        """Their times on the axis [ns], increasing, shape (m,)."""
        self.is_late = is_late[self.chosen]
        """Which of them came late and were put in order, shape (m,)."""
        self.jumps = np.searchsorted(
            self.times, [p.low + p.shift for p in self._parts[1:]]).tolist()
        """Which of them are the first after the clock was set back."""

    @property
    def described(self) -> str:
        """The stamps in words."""
        return ' and '.join(f'{p.low / 1e9:.3f} to {p.high / 1e9:.3f} s' for p in self._parts[:3]
                            ) + (f' and {len(self._parts) - 3} more' if len(self._parts) > 3
                                 else '')

    def times_of(self, orders: NDArray, stamps: NDArray) -> NDArray:
        """
        Return where the messages of another topic are on the axis.

        Messages of several topics are recorded in no exact order, so that one that was stamped
        before a jump may come after it.

        :param orders: position of every message in the recording, shape (n,).
        :param stamps: their stamps [ns], shape (n,).
        :return: times [ns], shape (n,); ``NOWHERE`` for stamps far from those of this topic.
        """
        begins = [p.begin for p in self._parts]
        times = np.full(len(stamps), NOWHERE)
        own = np.searchsorted(begins, orders, side='right') - 1
        for i, (k, stamp) in enumerate(zip(own.tolist(), stamps.tolist(), strict=True)):
            for candidate in (k, k - 1, k + 1):
                if 0 <= candidate < len(self._parts):
                    part = self._parts[candidate]
                    if part.low - NEAR <= stamp <= part.high + NEAR:
                        times[i] = stamp + part.shift
                        break
        return times


def _parts(stamps: NDArray, late: int) -> tuple[NDArray, NDArray]:
    """Return the part of every message, -1 if it came too late, and whether it came late."""
    numbers = stamps.tolist()
    part = np.zeros(len(numbers), dtype=int)
    is_late = np.zeros(len(numbers), dtype=bool)
    number, newest = 0, numbers[0]
    for i, stamp in enumerate(numbers):
        if stamp < newest - late:
            if i + 1 < len(numbers) and numbers[i + 1] >= newest - late:
                part[i] = -1
                continue
            number, newest = number + 1, stamp
        is_late[i] = stamp < newest
        newest = max(newest, stamp)
        part[i] = number
    return part, is_late
