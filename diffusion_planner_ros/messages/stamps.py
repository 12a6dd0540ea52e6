"""Stamps of messages as whole nanoseconds."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from builtin_interfaces.msg import Time

NANOSECONDS = 1_000_000_000


def nanoseconds_from_stamp(stamp: 'Time') -> int:
    """Return a stamp in nanoseconds."""
    return stamp.sec * NANOSECONDS + stamp.nanosec
