"""A conversation made shorter by order: ``sessions.compact``.

The order is a turn in which no answer is asked for: the same inbox, the same caps and
reservations, and after a death it goes on like any other.
"""

from contextlib import aclosing
from typing import Annotated, Any, Final

from beamclaw.arguments import Range
from beamclaw.contracts import lifecycle, names
from beamclaw.contracts.follow import follow
from beamclaw.contracts.journal import Compacted, read
from beamclaw.contracts.ledger_reads import ReadJournal
from beamclaw.contracts.sessions import PIECES, Inbound, RunEnded
from beamclaw.gateway.auth.scopes import ADMIN
from beamclaw.gateway.errors import invalid, unavailable
from beamclaw.gateway.methods import _talking as talking
from beamclaw.gateway.methods._method import Context, Text, method
from beamclaw.gateway.methods._sessions import find, key_of, ledger_of
from beamclaw.values import frozen

SOURCE: Final = "compact"


@frozen(kw_only=True)
class CompactParams:
    """Which session. How much of it stays is ``sessions.keep_tokens``."""

    key: Text
    agent_id: Text | None = None
    max_lines: Annotated[int, Range(1, 2**53 - 1)] | None = None


@method("sessions.compact", scope=ADMIN, params=CompactParams)
async def compact(context: Context, params: CompactParams) -> object:
    """Have a summary take the place of what was said first; the journal keeps it all."""
    if params.max_lines is not None:
        raise invalid(
            "a conversation is not cut by lines here; leave maxLines out "
            "(sessions.keep_tokens says how much of it stays)"
        )
    key = key_of(context, params.key, params.agent_id, new=True)
    row = await find(context, key)
    if row.open_run is not None:
        raise unavailable(
            f"a turn is in progress in {key}; ask again when it is over",
            retry_after=1.0,
            reason="turn-in-progress",
        )
    answer: dict[str, Any] = {"ok": True, "key": key}
    if not row.seq:
        return {**answer, "compacted": False, "reason": "no transcript"}
    end = await _carried_out(context, key, row.agent)
    if end.outcome != "ok":
        words = end.error or f"the turn that writes the summary was {end.outcome}"
        return {**answer, "ok": False, "compacted": False, "reason": words}
    summary = await _summary(context, key, end.run_id)
    if summary is None:
        why = "all of it stays (sessions.keep_tokens)"
        return {**answer, "compacted": False, "reason": why}
    lifecycle.tell_changed(context.bus, context.tenant, key, "compact")
    result = {"tokensBefore": summary.before, "summary": summary.summary}
    return {**answer, "compacted": True, "result": result}


async def _carried_out(context: Context, key: str, agent: str) -> RunEnded:
    run_id = f"compact-{context.outside.new_id()}"
    inbound = Inbound(
        tenant=context.tenant,
        source=SOURCE,
        account=context.principal.account,
        conversation=key,
        external_id=run_id,
        session_key=key,
        agent=agent,
        messages=(),
        run_id=run_id,
        sender=context.principal.account,
        queue="followup",
        compacts=True,
        traceparent=context.trace.traceparent,
        tracestate=context.trace.tracestate,
    )
    topic = names.topic(context.tenant, key)
    with context.bus.subscribe(topic, without=PIECES) as subscription:
        await talking.hand_in(context, inbound)
        run = follow(context.bus, context.tenant, run_id, subscription)
        async with aclosing(run) as values:
            async for value in values:
                if isinstance(value, RunEnded):
                    return value
    msg = "a run that is followed ends"
    raise AssertionError(msg)


async def _summary(context: Context, key: str, run_id: str) -> Compacted | None:
    """What the run has written; None: there was nothing to be made shorter."""
    events = await context.bus.call(ledger_of(context), ReadJournal(key), timeout=None)
    for event in reversed(events):
        if event.run_id == run_id and event.kind == "compacted":
            body = read(event)
            assert isinstance(body, Compacted)
            return body
    return None


METHODS: Final = (compact,)
