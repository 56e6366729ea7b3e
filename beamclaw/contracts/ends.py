"""The end of a run in its three shapes, one made from the other.

:class:`~beamclaw.contracts.sessions.RunEnded` is told to whoever follows the run,
:class:`~beamclaw.contracts.ledger_ops.EndRun` is kept for whoever asks later, and
:class:`~beamclaw.contracts.journal.RunOver` stands in the journal of its session.
"""

import attrs

from beamclaw.contracts.announcements import Place, announced
from beamclaw.contracts.journal import RunOver
from beamclaw.contracts.ledger_ops import EndRun
from beamclaw.contracts.ledger_rows import Outcome, RunRow
from beamclaw.contracts.open_turn import OpenTurn
from beamclaw.contracts.sessions import Inbound, RunEnded, accept
from beamclaw.contracts.subagents import Parent, Spend
from beamclaw.contracts.tracing import UNTRACED, Given


def end_run(
    end: RunEnded,
    *,
    at: float,
    place: Place,
    parent: Parent | None,
    spend: Spend = Spend(),
    seconds: float = 0.0,
    tainted: bool = False,
    trace: Given = UNTRACED,
) -> EndRun:
    """*end*, of a turn in *place*, as it is kept; *at* in seconds since the epoch.

    Where *parent* wants that, the result is announced to it in the same commit.
    *seconds*: how long the turn has worked itself; *tainted*: words of strangers are in
    the conversation; *trace*: the turn's.
    """
    message = None if parent is None else announced(end, parent, place, spend, trace)
    if message is not None:
        message = attrs.evolve(message, tainted=tainted)
    return EndRun(
        run_id=end.run_id,
        at=at,
        outcome=end.outcome,
        stop_reason=end.stop_reason,
        text=end.text,
        usage=end.usage,
        error_kind=end.error_kind,
        error=end.error,
        calls=end.calls,
        spend=spend,
        seconds=seconds,
        tainted=tainted,
        announce=None if message is None else accept(message, at=at),
    )


def trace_of(of: OpenTurn | Inbound) -> Given:
    """To whose trace a turn or a message belongs."""
    return Given(of.traceparent, of.tracestate)


def concerned(turn: OpenTurn, outcome: Outcome) -> tuple[str, ...]:
    """The sessions that have to look, when *turn* has ended so."""
    above = () if turn.parent is None else (turn.parent.session_key,)
    if outcome == "ok":
        return above
    return (*above, *(child.begun.session_key for child in turn.open_children))


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
        calls=row.calls,
    )
