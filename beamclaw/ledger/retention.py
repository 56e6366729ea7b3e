"""How long is kept what grows with time: messages that were taken, outputs of tools."""

import attrs

from beamclaw.storage import Connection

KEPT = 7 * 24 * 3600.0
_STEP = 500
_PAUSE = 0.25
_REST = 3600.0

# The newest row stays whatever its age, so that no id is ever given twice.
_PRUNE = """
    DELETE FROM inbox
    WHERE id > ? AND id <= ? AND taken_at < ? AND id < (SELECT max(id) FROM inbox)
"""
_NEXT = "SELECT id, at FROM inbox WHERE id > ? ORDER BY id LIMIT 1"


@attrs.define(eq=False)
class Retention:
    """Goes through the inbox in small steps, inside transactions that write it anyway.

    Ids ascend with time, so a round ends at the first message that is young; the next
    one begins an hour later.
    """

    _kept: float = KEPT
    _after: int = 0
    _next: float = 0.0

    def step(self, connection: Connection, now: float) -> None:
        """Drop a few that are too old, if it is time."""
        if self._next > now + _REST:  # the clock was put back
            self._after, self._next = 0, now
        if now < self._next:
            return
        until, old = self._after + _STEP, now - self._kept
        connection.execute(_PRUNE, (self._after, until, old))
        after = connection.execute(_NEXT, (until,)).fetchone()
        if after is not None and after[1] < old:
            self._after, self._next = after[0] - 1, now + _PAUSE
        else:
            self._after, self._next = 0, now + _REST


OUTPUTS_KEPT = 30 * 24 * 3600.0

# Of the oldest pieces; ids ascend with time.
_DROP_OUTPUTS = """
    DELETE FROM outputs
    WHERE id IN (SELECT id FROM outputs ORDER BY id LIMIT ?1) AND at < ?2
"""


@attrs.define(eq=False)
class Outputs:
    """Drops outputs of tools that are too old, inside transactions that write some.

    Each time twice as many pieces as come, so that it keeps up with any pace.
    """

    _kept: float = OUTPUTS_KEPT

    def step(self, connection: Connection, now: float, coming: int) -> None:
        """Drop a few, where *coming* pieces are written."""
        connection.execute(_DROP_OUTPUTS, (2 * coming, now - self._kept))
