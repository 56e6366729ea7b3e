"""How long a message that was taken is kept, to recognise a repeat of it."""

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
        if now < self._next:
            return
        until, old = self._after + _STEP, now - self._kept
        connection.execute(_PRUNE, (self._after, until, old))
        after = connection.execute(_NEXT, (until,)).fetchone()
        if after is not None and after[1] < old:
            self._after, self._next = after[0] - 1, now + _PAUSE
        else:
            self._after, self._next = 0, now + _REST
