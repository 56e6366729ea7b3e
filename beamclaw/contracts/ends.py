"""The end of a run in its three shapes, one made from the other.

:class:`~beamclaw.contracts.sessions.RunEnded` is told to whoever follows the run,
:class:`~beamclaw.contracts.ledger.EndRun` is kept for whoever asks later, and
:class:`~beamclaw.contracts.journal.RunOver` stands in the journal of its session.
"""

from beamclaw.contracts.journal import RunOver
from beamclaw.contracts.ledger import EndRun, RunRow
from beamclaw.contracts.sessions import RunEnded


def end_run(end: RunEnded, *, at: float) -> EndRun:
    """*end* as it is kept; *at* in seconds since the epoch."""
    return EndRun(
        run_id=end.run_id,
        at=at,
        outcome=end.outcome,
        stop_reason=end.stop_reason,
        text=end.text,
        usage=end.usage,
        error_kind=end.error_kind,
        error=end.error,
    )


def run_over(end: RunEnded) -> RunOver:
    """*end* as it stands in the journal."""
    return RunOver(
        outcome=end.outcome,
        stop_reason=end.stop_reason,
        error_kind=end.error_kind,
        error=end.error,
    )


def run_ended(row: RunRow) -> RunEnded | None:
    """The end as it was kept in *row*; None while the run is not over."""
    if row.state != "ended" or row.outcome is None:
        return None
    return RunEnded(
        run_id=row.run_id,
        outcome=row.outcome,
        stop_reason=row.stop_reason or "stop",
        text=row.text,
        usage=row.usage,
        error_kind=row.error_kind,
        error=row.error,
    )
