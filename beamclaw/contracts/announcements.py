"""What a turn has come to, in the words in which whoever has ordered it is told."""

from typing import Final

from beamclaw.contracts.ledger_rows import ChildRow
from beamclaw.contracts.messages import said
from beamclaw.contracts.sessions import Inbound, RunEnded
from beamclaw.contracts.subagents import ChildEnd, Parent, Spend
from beamclaw.contracts.tools import Output
from beamclaw.contracts.tracing import UNTRACED, Given
from beamclaw.values import frozen

SKIP: Final = "ANNOUNCE_SKIP"
"""An answer that is this and no more is not announced (OpenClaw's word for it)."""

SOURCE: Final = "agent"
"""Source and account of messages from a session; their conversation is its key."""


@frozen
class Place:
    """Which session of which tenant."""

    tenant: str
    session_key: str


def announced(
    end: RunEnded, parent: Parent, place: Place, spend: Spend, trace: Given = UNTRACED
) -> Inbound | None:
    """The message to who has ordered the turn; None: it is not told by a message.

    It belongs to the turn's *trace*. Without any words it only says that the turn is
    over: a sub-agent waits for those below it, also for one that keeps its answer quiet.
    """
    quiet = end.text.strip() == SKIP
    if parent.mode != "announce" or (quiet and parent.depth == 1):
        return None
    who = "The sub-agent" if parent.kind == "spawn" else "The session"
    words = f"[{who} {place.session_key} {_how(end.outcome, end.error)}]\n{end.text}".strip()
    return Inbound(
        tenant=place.tenant,
        source=SOURCE,
        account=SOURCE,
        conversation=place.session_key,
        # One end of a run, one message about it.
        external_id=end.run_id,
        session_key=parent.session_key,
        agent=parent.agent,
        messages=() if quiet else (said("user", words),),
        run_id=f"{end.run_id}:announced",
        sender=place.session_key,
        reply_to=None if quiet else parent.reply_to,
        # Who is in the middle of the turn that has ordered it takes it into that.
        queue="steer",
        child=ChildEnd(run_id=end.run_id, parent_run=parent.run_id, spend=spend),
        hops=parent.hops + 1,
        traceparent=trace.traceparent,
        tracestate=trace.tracestate,
    )


def result(row: ChildRow) -> Output:
    """The same as the result of the tool call that has waited for it."""
    if row.outcome == "ok":
        return Output(row.text, untrusted=row.tainted)
    words = f"[The sub-agent {_how(row.outcome or 'error', row.error)}]\n{row.text}"
    return Output(words.strip(), is_error=True, untrusted=row.tainted)


_HOW: Final = {
    "ok": "has answered",
    "limited": "has come to a limit",
    "error": "has failed",
    "aborted": "was stopped",
    "quarantined": "was put aside",
}


def _how(outcome: str, error: str | None) -> str:
    return f"{_HOW[outcome]}: {error}" if error else _HOW[outcome]
