"""What each event makes of the turn in progress, one case per kind."""

from hashlib import blake2b
from typing import Any

from beamclaw.contracts.journal import (
    Answered,
    Asked,
    AttemptFailed,
    Body,
    ClockMoved,
    Compacted,
    InboundTaken,
    Noted,
    Revived,
    RunStarted,
    ToolBegun,
    ToolEnded,
    WaitBegun,
    WaitOver,
)
from beamclaw.contracts.messages import ToolCall, Usage
from beamclaw.contracts.open_turn import (
    Begun,
    Call,
    Child,
    Did,
    OpenTurn,
    Reserved,
    Wait,
    told,
)
from beamclaw.contracts.subagents import ChildEnd
from beamclaw.values import evolve

# A turn remembers the tool calls of so many answers, to tell a loop.
REMEMBERED = 32


def started(
    turn: OpenTurn | None, body: RunStarted, run_id: str | None, at: float, depth: int
) -> OpenTurn:
    """The turn after its run was begun, or taken over by a successor."""
    if turn is not None and turn.run_id == run_id:
        # Below nothing, where the wall's clock was put back meanwhile.
        away = at - turn.touched_at
        return evolve(
            turn,
            epoch=body.epoch,
            asking=False,
            touched_at=at,
            **_put_on(turn, away),
            # How far a call had come that a death has cut nobody knows.
            **_paid(turn, _total(turn.reserved.bound), turn.reserved.cost),
        )
    return OpenTurn(
        run_id=run_id or "",
        epoch=body.epoch,
        agent=body.agent,
        definition=body.definition,
        params=body.params,
        retractable=body.retractable,
        started_at=at,
        touched_at=at,
        parent=body.parent,
        depth=depth,
        hops=body.hops,
        reply_to=body.reply_to,
        ordered=body.ordered,
        compacts=body.compacts,
        traceparent=body.traceparent,
        tracestate=body.tracestate,
        wanted=body.wanted,
    )


def _put_on(turn: OpenTurn, by: float) -> dict[str, Any]:
    """What is otherwise had it begun so many seconds later: nobody worked in them."""
    since = None if turn.waiting_since is None else turn.waiting_since + by
    return {"started_at": turn.started_at + by, "waiting_since": since}


def goes_on(turn: OpenTurn, body: Body, at: float) -> OpenTurn:  # noqa: C901, PLR0911, PLR0912 -- a table
    """The open turn after an event of its own, one case per kind."""
    match body:
        case Revived():
            return evolve(turn, progress=0)
        case Asked():
            unanswered = turn.unanswered or body.purpose == "answer"
            return evolve(
                turn,
                attempt=body.attempt,
                asking=True,
                unanswered=unanswered,
                reserved=Reserved(body.bound, body.cost),
            )
        case Compacted():
            return evolve(
                turn,
                **_paid(turn, _total(body.usage), body.cost),
                asking=False,
                overflow=False,
                compactions=turn.compactions + 1,
                usage=turn.usage + body.usage,
            )
        case AttemptFailed():
            return evolve(
                turn,
                **_paid(turn, _total(body.usage), body.cost),
                asking=False,
                overflow=body.kind == "context_length",
                failed=turn.failed + 1,
                failed_in_a_row=turn.failed_in_a_row + 1
                if body.link == turn.link
                else 0,
                link=body.link,
            )
        case Answered():
            return _answered(turn, body)
        case ToolBegun():
            return _begun(turn, body, at)
        case ToolEnded():
            return _ended(turn, body, at)
        case InboundTaken():
            if body.messages:
                # What the model has said before is not its answer to this.
                turn = evolve(turn, answer=None, last=False)
            return turn if body.child is None else _announced(turn, body.child)
        case WaitBegun():
            wait = Wait(id=body.wait_id, expires_at=body.expires_at, digest=body.digest)
            since = at if turn.waiting_since is None else turn.waiting_since
            calls = _changed(turn, body.call_id, wait=wait)
            return evolve(turn, calls=calls, waiting_since=since)
        case WaitOver():
            return _answered_wait(turn, body, at)
        case Noted():
            return evolve(turn, text=told(turn.text, body.text))
        case ClockMoved():
            return evolve(turn, **_put_on(turn, body.by))
        case _:
            return turn


def _paid(turn: OpenTurn, tokens: int, cost: int) -> dict[str, Any]:
    """What is otherwise when the call in progress is over, and took so much."""
    return {
        "tokens": turn.tokens + tokens,
        "cost": turn.cost + cost,
        "reserved": Reserved(),
    }


def _total(usage: Usage) -> int:
    return usage.input + usage.output


def _answered(turn: OpenTurn, body: Answered) -> OpenTurn:
    asked = [part for part in body.message.parts if isinstance(part, ToolCall)]
    return evolve(
        turn,
        **_paid(turn, _total(body.usage), body.cost),
        asking=False,
        unanswered=False,
        failed_in_a_row=0,
        compactions=0,
        model_calls=turn.model_calls + (not turn.ordered),
        usage=turn.usage + body.usage,
        text=told(turn.text, body.message.text),
        answer=body.message,
        model=f"{body.provider}/{body.model}" if body.provider else "",
        stop_reason=body.stop_reason,
        calls=tuple(Call(asked=call) for call in asked),
        call_ids=(*turn.call_ids, *(call.id for call in asked)),
        progress=turn.progress + 1,
    )


def _begun(turn: OpenTurn, body: ToolBegun, at: float) -> OpenTurn:
    begun, child = (
        Begun(effect=body.effect, key=body.key, attempt=body.attempt),
        body.child,
    )
    if child is None:
        return evolve(turn, calls=_changed(turn, body.call_id, begun=begun))
    turn = evolve(
        turn,
        calls=_changed(turn, body.call_id, begun=begun, child=child.run_id),
        children=(*turn.children, Child(call_id=body.call_id, begun=child)),
    )
    if turn.waiting_since is None and child.mode == "wait":
        return evolve(turn, waiting_since=at)
    return turn


def _announced(turn: OpenTurn, end: ChildEnd) -> OpenTurn:
    children = tuple(
        evolve(child, spend=end.spend) if child.begun.run_id == end.run_id else child
        for child in turn.children
    )
    return evolve(turn, children=children)


def _returned(turn: OpenTurn, body: ToolEnded, at: float) -> OpenTurn:
    """The call has a result: what its sub-agent was given and has not used is back."""
    id_ = body.result.id
    waited_for = [c for c in turn.children if c.call_id == id_ and c.awaited]
    if not waited_for:
        return turn
    (child,) = waited_for
    # Of one that was cut off nobody knows what it has used.
    spend = body.spend or evolve(child.counted, seconds=0.0)
    children = tuple(
        evolve(each, spend=spend) if each is child else each for each in turn.children
    )
    lent = max(turn.lent, spend.seconds)
    return _waited(evolve(turn, children=children, lent=lent), at)


def _waited(turn: OpenTurn, at: float) -> OpenTurn:
    """The turn's clock goes on, when it waits for nobody any more."""
    if turn.waiting_since is None or turn.waits:
        return turn
    # Less than nothing, where a sub-agent worked while nobody worked for the turn.
    waited = turn.waited + max(0.0, at - turn.waiting_since) - turn.lent
    lent = turn.lent_before + turn.lent
    return evolve(turn, waited=waited, waiting_since=None, lent=0.0, lent_before=lent)


def _ended(turn: OpenTurn, body: ToolEnded, at: float) -> OpenTurn:
    id_ = body.result.id
    asked = next((call.asked for call in turn.calls if call.asked.id == id_), None)
    if asked is None:
        return turn
    turn = _returned(turn, body, at)
    return evolve(
        turn,
        text=told(turn.text, body.result.text) if turn.ordered else turn.text,
        last=turn.last or body.last,
        calls=_changed(turn, id_, outcome=body.outcome),
        tool_calls=turn.tool_calls + 1,
        done=_done(turn, asked, body.digest),
        progress=turn.progress + 1,
    )


def _done(turn: OpenTurn, asked: ToolCall, digest: str) -> tuple[Did, ...]:
    text = asked.arguments.encode("utf-8", "surrogatepass")
    arguments = blake2b(text, digest_size=16).hexdigest()
    answer = turn.model_calls
    did = Did(tool=asked.name, arguments=arguments, digest=digest, answer=answer)
    before = tuple(
        each for each in turn.done if each.answer > answer - REMEMBERED and each != did
    )
    return (*before, did)


def _answered_wait(turn: OpenTurn, body: WaitOver, at: float) -> OpenTurn:
    calls = tuple(
        evolve(
            call,
            wait=evolve(call.wait, verdict=body.verdict, by=body.by, text=body.text),
        )
        if call.wait is not None and call.wait.id == body.wait_id
        else call
        for call in turn.calls
    )
    return _waited(evolve(turn, calls=calls), at)


def _changed(turn: OpenTurn, call_id: str, **changes: object) -> tuple[Call, ...]:
    return tuple(
        evolve(call, **changes) if call.asked.id == call_id else call
        for call in turn.calls
    )
