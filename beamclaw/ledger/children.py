"""Rules for turns that work for a tool call of a turn in another session.

All that decides whether a result comes exactly once is here: a row is opened with its
message, ends with its run, and is closed with what the other turn makes of it. Each of
these is part of the one commit that makes it so.
"""

from collections.abc import Callable, Mapping
from typing import Any

from beamclaw.contracts.ledger_errors import LedgerError, TooManyChildren
from beamclaw.contracts.ledger_inbox import Accept
from beamclaw.contracts.ledger_ops import (
    CancelChildren,
    Deliver,
    EndRun,
    OpenChild,
    TakeChild,
)
from beamclaw.contracts.ledger_session_ops import SetAgent
from beamclaw.ledger.memory import Child
from beamclaw.ledger.step import Step


def _open_child(step: Step, op: OpenChild) -> None:
    step.of_claim(op.run_id)
    if step.see(op.run_id).state != "running":
        raise LedgerError(f"run {op.run_id} is not in progress")
    if op.kind == "spawn":
        _check_numbers(step, op)
    _post(step, op)
    run_id = op.message.run_id
    step.children[run_id] = Child(
        run_id=run_id,
        session=0,  # known when the message is in its inbox
        parent_session=step.session.id,
        parent_run=op.run_id,
        call_id=op.call_id,
        kind=op.kind,
        mode=op.mode,
        state="open",
        at=op.message.at,
    )


def _post(step: Step, op: OpenChild) -> None:
    if step.inbox.repeated(op.message) is not None:
        raise LedgerError(f"call {op.call_id} of run {op.run_id} was begun before")
    step.inbox.check(op.message, before=step.messages)
    step.messages.append(op.message)


def _check_numbers(step: Step, op: OpenChild) -> None:
    known = {**step.memory.children, **step.children}.values()
    working = [child for child in known if _works(child)]
    if len(working) >= op.most:
        raise TooManyChildren(
            f"{len(working)} sub-agents work already (limits.subagents.concurrent: "
            f"{op.most})"
        )
    own = sum(child.parent_session == step.session.id for child in working)
    if own >= op.most_of_session:
        raise TooManyChildren(
            f"{own} sub-agents of this session work already "
            f"(limits.subagents.children: {op.most_of_session})"
        )


def _works(child: Child) -> bool:
    return child.kind == "spawn" and child.state in ("open", "cancelled")


def _deliver(step: Step, op: Deliver) -> None:
    _owe(step, op.message)


def _owe(step: Step, message: Accept) -> None:
    if step.inbox.repeated(message) is None:
        step.inbox.check(message, owed=True, before=step.messages)
        step.messages.append(message)


def _take_child(step: Step, op: TakeChild) -> None:
    child = step.child(op.run_id)
    if child is None or child.parent_session != step.session.id:
        raise LedgerError(f"session {step.session.key} waits for no run {op.run_id}")
    step.of_claim(child.parent_run)
    if child.state != "ended":
        raise LedgerError(f"run {op.run_id} has no result yet: it is {child.state}")
    step.change_child(op.run_id).state = "closed"


def _cancel_children(step: Step, op: CancelChildren) -> None:
    step.of_claim(op.run_id)
    step.see(op.run_id)
    for child in step.children_of(op.run_id):
        if op.call_id is None or child.call_id == op.call_id:
            _cancel(step, child)


def _cancel(step: Step, child: Child) -> None:
    """Nobody wants its result any more."""
    if child.state == "ended":
        step.change_child(child.run_id).state = "closed"
    elif child.state == "open" and child.kind == "spawn":
        step.change_child(child.run_id).state = "cancelled"


def over(step: Step, op: EndRun) -> None:
    """A run has ended: who waits for it may have the result, its own are cancelled."""
    child = step.child(op.run_id)
    if child is not None:
        child = step.change_child(op.run_id)
        wanted = child.state == "open"
        child.state = "ended" if wanted and child.mode == "wait" else "closed"
        if wanted and op.announce is not None:
            _owe(step, op.announce)
        child.model_calls, child.tool_calls = op.spend.model_calls, op.spend.tool_calls
        child.tokens, child.seconds = op.spend.tokens, op.spend.seconds
        child.cost, child.tainted = op.spend.cost, int(op.tainted)
    for own in step.children_of(op.run_id):
        if op.outcome != "ok" or own.mode == "wait":
            _cancel(step, own)


def _set_agent(step: Step, op: SetAgent) -> None:
    step.agent = op.agent


RULES: Mapping[type, Callable[[Step, Any], None]] = {
    OpenChild: _open_child,
    Deliver: _deliver,
    TakeChild: _take_child,
    CancelChildren: _cancel_children,
    SetAgent: _set_agent,
}
