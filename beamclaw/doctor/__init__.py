"""``beamclaw doctor``: what is not as it should be with a node, and what to do about it.

Each check is a decision about facts (`judging`) that others have looked up (`looking`).
Nothing here changes anything but what was asked for by name (`repairing`).
"""

from beamclaw.doctor.finding import Finding, Level
from beamclaw.doctor.repairing import REPAIRS, CannotRepair, repair

__all__ = ["REPAIRS", "CannotRepair", "Finding", "Level", "repair"]
