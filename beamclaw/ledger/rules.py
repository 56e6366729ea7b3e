"""What each operation of a commit demands, and what it will change.

One function per operation. It checks against the step, which is the commit so far, and
notes its changes there; nothing outside the step is touched before all agreed.
"""

from collections.abc import Callable
from typing import Any

import orjson

from beamclaw.contracts.approvals import Grant
from beamclaw.contracts.budgets import (
    cut_short,
    holds_for,
    in_words,
    purses,
    reached,
)
from beamclaw.contracts.codec import decode, encode
from beamclaw.contracts.ledger_errors import (
    AnsweredAlready,
    AnsweredTooLate,
    BudgetReached,
    LedgerError,
    NotForGood,
    NotWaiting,
    StaleClaim,
)
from beamclaw.contracts.ledger_ops import (
    AnswerWait,
    ClaimRun,
    CloseWait,
    DropCommand,
    EndRun,
    ForgetAbout,
    JoinRun,
    NoteRevival,
    NoteWarned,
    Op,
    OpenRun,
    OpenWait,
    PutCommand,
    PutDefinition,
    PutOutbound,
    PutOutput,
    Reserve,
    Settle,
    Take,
)
from beamclaw.contracts.ledger_session_ops import PutSnapshot
from beamclaw.ledger import children, session_rules, work
from beamclaw.ledger.grants import key_of
from beamclaw.ledger.memory import Reserved, Run, Wait
from beamclaw.ledger.step import Step


def check(step: Step, op: Op) -> None:
    """Apply the rule for *op*.

    Raises:
        LedgerError: It demands something that is not so.
    """
    _RULES[type(op)](step, op)


def _take(step: Step, op: Take) -> None:
    for row in op.inbox_ids:
        session, _ = step.memory.waiting.get(row, (0, ""))
        if session != step.session.id or row in step.taken:
            raise NotWaiting(row, step.session.key)
        step.taken.append(row)


def _open_run(step: Step, op: OpenRun) -> None:
    step.own(op)
    if step.open_run is not None:
        raise LedgerError(
            f"session {step.session.key} has run {step.open_run} in progress"
        )
    if op.run_id not in step.runs and step.memory.run(op.run_id) is None:
        step.memory.last_run += 1  # a number that a refused commit skips is no harm
        step.runs[op.run_id] = Run(
            step.memory.last_run, op.run_id, step.session.id, "queued"
        )
    run = step.change(op.run_id)
    if run.state != "queued":
        raise LedgerError(f"run {op.run_id} was begun before")
    _taken(step, op.run_id)
    run.state, run.epoch, run.opened_at = "running", 1, op.at
    step.open_run = op.run_id


def _claim_run(step: Step, op: ClaimRun) -> None:
    run_id = step.claim.run_id
    if run_id is None:
        raise LedgerError("only a run's own claim takes the run over")
    run = step.change(run_id)
    if run.epoch >= step.claim.run_epoch:
        raise StaleClaim(f"run {run_id} is at epoch {run.epoch} already")
    run.epoch, run.claimed_at = step.claim.run_epoch, op.at


def _note_revival(step: Step, op: NoteRevival) -> None:
    step.own(op)
    run = step.change(op.run_id)
    if run.state != "running":
        raise LedgerError(f"run {op.run_id} is not in progress")
    run.revivals = 1 if op.again else run.revivals + 1


def _join_run(step: Step, op: JoinRun) -> None:
    run = step.change(op.run_id)
    if run.state != "queued":
        raise LedgerError(f"run {op.run_id} was begun before")
    if step.see(op.into).state != "running" or step.open_run != op.into:
        raise LedgerError(f"run {op.into} is not in progress")
    _taken(step, op.run_id)
    run.state, run.joined = "joined", op.into


def _open_wait(step: Step, op: OpenWait) -> None:
    step.of_claim(op.run_id)
    if op.wait_id in step.waits or op.wait_id in step.memory.waits:
        raise LedgerError(f"the question {op.wait_id} was asked before")
    step.waits[op.wait_id] = Wait(
        op.wait_id,
        step.session.id,
        op.run_id,
        op.question,
        op.at,
        op.expires_at,
        agent=op.agent,
        digest=op.digest,
        details=orjson.dumps(op.details).decode(),
        granting=None if op.grant is None else encode(op.grant).decode(),
    )


def _answer_wait(step: Step, op: AnswerWait) -> None:
    step.own(op)
    wait = step.change_wait(op.wait_id)
    if wait.verdict is not None:
        raise AnsweredAlready(f"{wait.by} has answered {wait.verdict}")
    if op.at >= wait.expires_at:
        raise AnsweredTooLate(f"the time to answer {op.wait_id} is over")
    wait.verdict, wait.by, wait.text = op.verdict, op.by, op.text
    wait.answered_at = op.at
    if op.always:
        _grant(step, op, wait)


def _grant(step: Step, op: AnswerWait, wait: Wait) -> None:
    if op.verdict != "allow" or wait.granting is None:
        raise NotForGood("this can be allowed once, not for good")
    grant = decode(wait.granting, Grant)
    key = key_of(wait.agent, grant)
    step.memory.grants.check(key, step.granted)
    step.granted.add(key)
    wait.always = 1
    row = *key, grant.words, op.at, op.by, op.wait_id
    step.rows.append((step.writing.grants, row))


def _close_wait(step: Step, op: CloseWait) -> None:
    wait = step.change_wait(op.wait_id)
    step.of_claim(wait.run_id)
    if op.unanswered and wait.verdict is not None:
        raise AnsweredAlready(f"{wait.by} has answered {wait.verdict}")
    wait.closed_at = wait.answered_at or wait.expires_at


def _end_run(step: Step, op: EndRun) -> None:
    step.of_claim(op.run_id)
    run = step.change(op.run_id)
    if run.state == "ended":
        raise LedgerError(f"run {op.run_id} is over already")
    _taken(step, op.run_id)
    if run.state == "running":
        step.open_run = None
        if step.claim.run_id is None:
            run.epoch += 1  # so that the run, if it lives, is refused from now on
        for wait_id, wait in {**step.memory.waits, **step.waits}.items():
            if wait.run_id == op.run_id and wait.closed_at is None:
                step.change_wait(wait_id).closed_at = op.at
    children.over(step, op)
    work.over(step, run, op)
    run.state, run.end = "ended", op


def _reserve(step: Step, op: Reserve) -> None:
    step.of_claim(op.run_id)
    run, bound = step.see(op.run_id), op.bound
    above, root_id = step.above()
    paid_from = purses(op.agent, step.session.key, op.at, above)
    for purse in paid_from:
        spent = step.spent_out_of(purse)
        for cap in op.caps:
            if holds_for(cap, purse, above) and reached(cap, spent, bound, op.cost):
                raise BudgetReached(in_words(cap, spent, op.at))
        step.spent[purse] = spent.plus(bound, op.cost, 1)
    own = paid_from if above is None else paid_from[:-1]
    step.reserved[run.id, op.attempt] = Reserved(bound, op.cost, own, root_id)
    row = (
        run.id,
        op.attempt,
        run.epoch,
        op.agent,
        op.provider,
        op.model,
        op.at,
        root_id,
        bound.input,
        bound.output,
        bound.cached,
        op.cost,
    )
    step.rows.append((step.writing.reserved, row))


def _settle(step: Step, op: Settle) -> None:
    step.of_claim(op.run_id)
    run = step.see(op.run_id)
    reserved = step.reserved.get((run.id, op.attempt)) or step.memory.reservation(
        run.id, op.attempt, step.session.key
    )
    usage, cost = op.usage, op.cost
    if reserved is not None:
        if usage is None:
            told = reserved.bound.output if op.told is None else op.told
            usage, cost = cut_short(reserved.bound, reserved.cost, told)
        for purse in (*reserved.purses, *step.root_purse(reserved.root_id)):
            spent = step.spent_out_of(purse).plus(usage, cost)
            step.spent[purse] = spent.minus(reserved.bound, reserved.cost)
        step.reserved[run.id, op.attempt] = None
    elif usage is None:
        raise LedgerError(f"nothing is reserved for call {op.attempt} of {op.run_id}")
    row = (
        run.id,
        op.attempt,
        op.at,
        usage.input,
        usage.output,
        usage.cached,
        int(usage.estimated),
        usage.stored,
        cost,
    )
    step.rows.append((step.writing.settled, row))


def _note_warned(step: Step, op: NoteWarned) -> None:
    step.own(op)
    row = *op.purse, op.measure, op.limit, op.at
    step.rows.append((step.writing.warned, row))


def _put_definition(step: Step, op: PutDefinition) -> None:
    step.rows.append((step.writing.definitions, (op.hash, op.body)))


def _put_outbound(step: Step, op: PutOutbound) -> None:
    step.of_claim(op.run_id)
    run = step.see(op.run_id)
    row = run.epoch, op.key, step.session.id, op.run_id, op.reply_to, op.body, op.at
    step.rows.append((step.writing.outbox, row))


def _put_snapshot(step: Step, op: PutSnapshot) -> None:
    if not 0 < op.seq <= step.session.seq or not op.body:
        raise LedgerError(
            f"a snapshot of event {op.seq}, but session {step.session.key} is at "
            f"{step.session.seq}"
        )
    row = step.session.id, op.seq, op.version, op.body
    step.rows.append((step.writing.snapshots, row))


def _put_output(step: Step, op: PutOutput) -> None:
    step.of_claim(op.run_id)
    run = step.see(op.run_id)
    for piece, body in enumerate(op.pieces):
        row = run.epoch, step.session.id, op.run_id, op.at, op.pointer, op.length
        step.rows.append((step.writing.outputs, (*row, op.untrusted, piece, body)))


def _put_command(step: Step, op: PutCommand) -> None:
    step.own(op)
    row = step.session.id, op.command_id, op.agent, op.title, op.at
    step.rows.append((step.writing.commands, row))


def _drop_command(step: Step, op: DropCommand) -> None:
    step.own(op)
    step.rows.append((step.writing.told, (op.command_id,)))


def _forget_about(step: Step, op: ForgetAbout) -> None:
    step.own(op)
    step.rows.append((step.writing.forgotten, (op.run_id, step.session.id)))


_RULES: dict[type, Callable[[Step, Any], None]] = {
    Take: _take,
    OpenRun: _open_run,
    ClaimRun: _claim_run,
    NoteRevival: _note_revival,
    JoinRun: _join_run,
    OpenWait: _open_wait,
    AnswerWait: _answer_wait,
    CloseWait: _close_wait,
    EndRun: _end_run,
    Reserve: _reserve,
    Settle: _settle,
    NoteWarned: _note_warned,
    PutDefinition: _put_definition,
    PutOutbound: _put_outbound,
    **children.RULES,
    **session_rules.RULES,
    **work.RULES,
    PutSnapshot: _put_snapshot,
    PutOutput: _put_output,
    PutCommand: _put_command,
    DropCommand: _drop_command,
    ForgetAbout: _forget_about,
}


def _taken(step: Step, run_id: str) -> None:
    """Its message must not wait any more, or it would be answered again."""
    memory = step.memory
    if run_id in memory.waiting_runs and not any(
        memory.waiting[row][1] == run_id for row in step.taken
    ):
        raise LedgerError(f"the message of run {run_id} has to be taken first")
