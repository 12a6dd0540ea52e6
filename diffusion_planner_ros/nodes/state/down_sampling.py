"""One state per control period out of a stream of any rate."""

SMOOTHING = 1 / 16  # weight of the newest spacing in its running mean
FASTER = 7 / 8  # share of a control period below which a stream counts as faster than ours
EARLY = 1 / 4  # share of a control period that a state may come before it is due


class Pace:
    """
    Tell which states of a stream are due, by their stamps alone.

    Of a stream at the control rate every state is due, whatever its jitter. Of a faster one the
    first state that is due in every control period is; the due times are a control period apart
    and locked to the stamps, so that 1 kHz gives exactly 125 Hz on average.

    :param period: control period [ns].
    """

    def __init__(self, period: int) -> None:
        self._period = period
        self._seen: int | None = None
        self._spacing = float(period)
        self._due: float | None = None  # earliest stamp to accept next [ns]

    def see(self, stamp: int) -> None:
        """Learn the spacing of the stream; call it once for every state that comes [ns]."""
        if self._seen is not None and stamp > self._seen:
            # After a gap the stream is as fast as before.
            spacing = min(stamp - self._seen, 2 * self._period)
            self._spacing += SMOOTHING * (spacing - self._spacing)
        self._seen = stamp

    def is_due(self, stamp: int) -> bool:
        """Return whether a state of this stamp [ns] is to be used."""
        is_faster = self._spacing < FASTER * self._period
        return self._due is None or not is_faster or stamp >= self._due

    def accept(self, stamp: int) -> None:
        """Go on to the next control period after a state of this stamp [ns] was used."""
        if self._due is None or abs(stamp - self._due) > FASTER * self._period:
            self._due = stamp - EARLY * self._period  # after a gap, a new phase
        self._due += self._period

    def align(self, stamp: int) -> None:
        """Go on from a state of this stamp [ns] that someone else chose: take over the phase."""
        self._due = stamp + self._period
