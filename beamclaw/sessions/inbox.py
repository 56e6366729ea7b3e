"""What waits for a session: its inbox in the ledger, as far as the session knows it."""

from collections.abc import Iterable

import supervision
from beamclaw.contracts.codec import decode
from beamclaw.contracts.ledger_inbox import InboxRow
from beamclaw.contracts.sessions import Inbound
from beamclaw.sessions.lane import Pending
from beamclaw.values import frozen


@frozen
class Quiet:
    """A while has passed since message number *count* came."""

    count: int


class Inbox:
    """See the module. Belongs to one session, whose process it tells of a `Quiet`.

    Attributes:
        pending: The messages by their ids, in their order: that in which they came.
        handed: Of those, what the run in progress was given.
        gathering: Messages came a moment ago, and more may follow.
    """

    def __init__(self, collect_seconds: float) -> None:
        self.pending: dict[int, Pending] = {}
        self.handed: set[int] = set()
        self.gathering = False
        self._collect_seconds = collect_seconds
        self._arrived = 0
        # Up to which id it was read; rings for these may still come.
        self._read_to = 0

    def ring(self, row: InboxRow) -> bool:
        """A message has come; False: it was read before its ring."""
        if row.id <= self._read_to:
            return False
        self._put(row)
        return True

    def add(self, rows: Iterable[InboxRow]) -> None:
        """What was read, and may be known."""
        for row in rows:
            self._read_to = max(self._read_to, row.id)
            if row.id not in self.pending:
                self._put(row)
        # What was written in silence is read behind a later one that has rung.
        self.pending = dict(sorted(self.pending.items()))

    def see(self, rows: tuple[InboxRow, ...]) -> None:
        """These are all there are: others were taken by a run."""
        self.drop(self.pending.keys() - {row.id for row in rows})
        self.add(rows)

    def drop(self, inbox_ids: Iterable[int]) -> None:
        """These have been taken."""
        for inbox_id in inbox_ids:
            self.pending.pop(inbox_id, None)

    def of_run(self, run_id: str) -> Pending | None:
        """The message that waits for this run."""
        waiting = self.pending.values()
        return next((each for each in waiting if each.inbound.run_id == run_id), None)

    def gather(self) -> None:
        """More may follow the message that has just come."""
        self._arrived += 1
        self.gathering = True
        quiet = Quiet(self._arrived)
        supervision.send_after(self._collect_seconds, supervision.self_pid(), quiet)

    def quiet(self, count: int) -> None:
        """A while has passed: nothing follows, unless something has come since."""
        self.gathering = self.gathering and count != self._arrived

    def _put(self, row: InboxRow) -> None:
        self.pending[row.id] = Pending(row.id, decode(row.body, Inbound))
