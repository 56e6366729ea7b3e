"""The last lines of the node's log, for whoever looks from outside."""

from typing import Final

import supervision
from beamclaw.values import frozen

NAME: Final = "telemetry/log"


@frozen(kw_only=True)
class ReadLog(supervision.Call["LogRead"]):
    """Lines behind *cursor*; without one, the last.

    At most *lines* of them, and *size* bytes.
    """

    cursor: int | None = None
    lines: int = 500
    size: int = 250_000


@frozen(kw_only=True)
class LogRead:
    """A part of the log.

    Attributes:
        cursor: Behind the last of these lines, in bytes since the log began.
        size: Bytes that were written since.
        skipped: Bytes behind the cursor given that are not kept any more, or did not fit.
        reset: The log has begun anew since that cursor.
    """

    lines: tuple[str, ...]
    cursor: int
    size: int
    skipped: int = 0
    reset: bool = False
