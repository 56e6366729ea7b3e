"""Tells time that has passed from time that was only put on."""

from typing import Final

from beamclaw.values import frozen

# Seconds. Less than this nobody sets a clock by hand, and a turn's limit is not so exact.
TOLERANCE: Final = 1.0


@frozen
class Clock:
    """What two clocks showed at one moment.

    Attributes:
        wall: The wall's, in seconds since the epoch: it is set, and jumps.
        steady: Trio's, in seconds: it goes on evenly, and stands while the machine sleeps.
    """

    wall: float
    steady: float

    def moved(self, wall: float, steady: float) -> float:
        """By how many seconds the wall's clock was put on since then; 0: it was not.

        Below nothing, where it was put back.
        """
        by = (wall - self.wall) - (steady - self.steady)
        return by if abs(by) >= TOLERANCE else 0.0
