"""Rules for the time that turns work: an account for each run in progress.

What a run has worked and what it may go on for stand in the sums of its purses, as what
calls of models cost does. A cap holds without anybody who looks at a clock: a run reserves
before it goes on, and ends when that is used up.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from beamclaw.contracts.budgets import (
    MILLI,
    Cap,
    Spent,
    holds_for,
    in_words,
    limits_time,
    purses,
)
from beamclaw.contracts.ledger_errors import LedgerError, TimeReached
from beamclaw.contracts.ledger_ops import EndRun, Work
from beamclaw.ledger.memory import Run, Worked
from beamclaw.ledger.step import Step


def _work(step: Step, op: Work) -> None:
    step.of_claim(op.run_id)
    run = step.see(op.run_id)
    if run.state != "running":
        raise LedgerError(f"run {op.run_id} is not in progress")
    above, root_id = step.above()
    now = Worked(run.epoch, op.agent, op.at, root_id=root_id)
    before = step.worked(run) or now
    if not before.reserved:  # what it has worked since is of now
        before = attrs.evolve(now, used=before.used)
    used = _settle(step, before, op.used)
    if op.reserve:
        _reserve(step, op, before.used + before.reserved, above)
    step.work[run.id] = attrs.evolve(now, used=used, reserved=op.reserve)


def over(step: Step, run: Run, op: EndRun) -> None:
    """The run has ended: what it has worked is paid, and the account closed.

    One that was refused before it had worked has none, and pays nothing.
    """
    before = step.worked(run)
    if before is not None:
        if not before.reserved:
            _, root_id = step.above()
            before = attrs.evolve(before, epoch=run.epoch, at=op.at, root_id=root_id)
        _settle(step, before, int(op.seconds * MILLI))
        step.work[run.id] = None


def _settle(step: Step, before: Worked, used: int) -> int:
    """Take what was reserved out of its purses, and put what was used in.

    Less than before is what nobody can tell any more after a death, and stays paid.

    Returns:
        What was used in all.
    """
    used = max(used, before.used)
    own = purses(before.agent, step.session.key, before.at)
    for purse in (*own, *step.root_purse(before.root_id)):
        spent = step.spent_out_of(purse)
        step.spent[purse] = spent.worked(used - before.used - before.reserved)
    return used


def _reserve(step: Step, op: Work, paid: int, root: str | None) -> None:
    caps = limits_time(op.caps)
    tightest: tuple[int, Cap, Spent] | None = None
    for purse in purses(op.agent, step.session.key, op.at, root):
        spent = step.spent_out_of(purse)
        for cap in caps:
            left = cap.limit - spent.ms
            if holds_for(cap, purse, root) and (not tightest or left < tightest[0]):
                tightest = left, cap, spent
        step.spent[purse] = spent.worked(op.reserve)
    if tightest is not None and tightest[0] < op.reserve:
        left, cap, spent = tightest
        raise TimeReached(in_words(cap, spent, op.at), cap, max(0, left), paid)


RULES: Final[Mapping[type, Callable[[Step, Any], None]]] = {Work: _work}
