"""The ledger: everything that must survive, written one transaction at a time.

``Commit`` is the only way to write, apart from ``Accept`` (the edge's inbox row):
journal events, inbox, outbox, usage and run rows of one session in one transaction or
not at all. A claim carries the tenant's owner epoch and, for a run, the run's epoch;
either too old is refused. Bodies are JSON bytes that the ledger does not look into.

What is written beside the events is in `ledger_ops` and `ledger_session_ops`, what is
read in `ledger_reads` and `ledger_usage`, the rows in `ledger_rows`, the edge's way in
in `ledger_inbox`, and how the ledger refuses in `ledger_errors`.
"""

from typing import Protocol

import supervision
from beamclaw.contracts.ledger_ops import Op
from beamclaw.values import frozen


class Owned(Protocol):
    """The registry value of a ledger's name."""

    @property
    def owner_epoch(self) -> int:
        """Under which epoch this ledger writes."""
        ...


@frozen
class Claim:
    """Who writes. A session's own commits have no run."""

    tenant: str
    owner_epoch: int
    run_id: str | None = None
    run_epoch: int = 0


@frozen(kw_only=True)
class NewEvent:
    """A journal event to be; its seq is given at commit."""

    kind: str
    version: int
    at: float
    body: bytes
    run_id: str | None = None
    parent: int | None = None
    origin: str = "node"
    sender: str | None = None
    reply_to: str | None = None


@frozen(kw_only=True)
class Commit(supervision.Call[int]):
    """Write *events* and *ops* of one session; the reply is the journal's new seq.

    Events are numbered from ``expected_seq + 1``. If the claim has a run, the run must
    be open with exactly the claim's epoch (``ClaimRun``: with an older one). Without
    events ``expected_seq`` may be None: what is written does not depend on the journal.

    Raises (in the caller): a `beamclaw.contracts.ledger_errors.LedgerError`, most often
    its ``StaleClaim`` or ``SequenceConflict``. Any other failure ends the ledger.
    """

    claim: Claim
    session_key: str
    expected_seq: int | None
    events: tuple[NewEvent, ...] = ()
    ops: tuple[Op, ...] = ()


@frozen(kw_only=True)
class Erase(supervision.Call["Erased"]):
    """Erase a little of what deleted sessions held, and give room back to the disk.

    One step is small enough not to be noticed by the commits beside it.
    """

    at: float


@frozen(kw_only=True)
class Erased:
    """What a step has done; *more*: there is something for another one at once."""

    more: bool
    rows: int = 0
    pages: int = 0


@frozen
class ProveCommit(supervision.Call[bool]):
    """Commit something that changes nothing, and sync it: does the way still work?

    True: it is on the disk. A disk that refuses is an answer, too, and raises as for
    every commit; one that hangs gives none.
    """


@frozen
class GetLedgerStatus(supervision.Call["LedgerStatus"]):
    """How the ledger stands."""


@frozen(kw_only=True)
class LedgerStatus:
    """Figures of a ledger."""

    path: str
    schema: int
    owner_epoch: int
    sessions: int
    events: int
    inbox_depth: int
    open_runs: int
    commits: int
    transactions: int
