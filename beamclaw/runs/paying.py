"""Paying for a call of a model that belongs to no turn: reserved before, settled after.

What the ledger has of it is what it may cost and what it did cost, under a run that is
over from its beginning. A death in its middle leaves the reservation, which counts in
full.
"""

from typing import cast

import attrs

import supervision
from beamclaw.contracts import ledger, names
from beamclaw.contracts.budgets import Price, needs_price
from beamclaw.contracts.ledger_errors import LedgerError
from beamclaw.contracts.ledger_ops import EndRun, Op, OpenRun, Reserve, Settle
from beamclaw.contracts.ledger_session_ops import NewSession
from beamclaw.contracts.limits import Paid
from beamclaw.contracts.messages import Usage
from beamclaw.contracts.points import point
from beamclaw.runs.bill import Bill
from beamclaw.runs.turn import unpriced
from beamclaw.runs.wiring import Wiring


@attrs.define(eq=False, kw_only=True)
class Paying:
    """Whose purses pay for what, at most *bound* for each attempt.

    Attributes:
        run_id: Under which it is paid for.
        session: The key of a session that has nothing in it.
        target: Provider and model.
    """

    wiring: Wiring
    run_id: str
    session: str
    agent: str
    target: tuple[str, str]
    bound: Usage
    price: Price | None = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.price = self.wiring.price(*self.target)

    def refusal(self) -> str:
        """In words, why nothing may be asked of the model; nothing: it may be."""
        if self.price is not None:
            return ""
        cap = needs_price(self.wiring.caps(self.agent))
        return "" if cap is None else unpriced(*self.target, cap.name)

    async def reserve(self, attempt: int) -> None:
        """Before each attempt.

        Raises:
            BudgetReached: It may not be made.
            LedgerError: It cannot be paid for now.
        """
        at = self.wiring.outside.wall()
        provider, model = self.target
        reserve = Reserve(
            run_id=self.run_id,
            attempt=attempt,
            agent=self.agent,
            provider=provider,
            model=model,
            at=at,
            bound=self.bound,
            cost=self._cost(self.bound),
            caps=self.wiring.caps(self.agent),
        )
        await self._commit(*(self._first(at) if attempt == 1 else ()), reserve)

    def _first(self, at: float) -> tuple[Op, ...]:
        """Under what it is paid for: a run that is over, so that nobody revives it."""
        return (
            NewSession(
                session_id=self.run_id,
                agent=self.agent,
                at=at,
                channel="http",
                ephemeral=True,
            ),
            OpenRun(self.run_id, at),
            EndRun(
                run_id=self.run_id,
                at=at,
                outcome="ok",
                stop_reason="stop",
                text="",
                usage=Usage(),
            ),
        )

    async def settle(self, attempt: int, usage: Usage) -> None:
        """After each attempt: what it took."""
        wiring, cost = self.wiring, self._cost(usage)
        at = wiring.outside.wall()
        await self._commit(Settle(self.run_id, attempt, at, usage, cost))
        bill = Bill(
            tenant=wiring.tenant,
            agent=self.agent,
            session=self.session,
            target=self.target,
            bound=self.bound,
            worth=self._cost(self.bound),
        )
        bill.compare(usage, cost)
        if wiring.caps(self.agent):
            limits = names.of_tenant(wiring.tenant, "limits")
            with point("embedding.paid"):
                supervision.cast(limits, Paid(self.agent, self.session))

    def _cost(self, usage: Usage) -> int:
        return (self.price or Price()).cost(usage)

    async def _commit(self, *ops: Op) -> None:
        name = names.of_tenant(self.wiring.tenant, "ledger")
        entry = supervision.lookup(name)
        if entry is None:
            raise LedgerError("the ledger is being restarted")
        epoch = cast("ledger.Owned", entry.value).owner_epoch
        claim = ledger.Claim(self.wiring.tenant, epoch)
        with point("embedding.write"):
            await supervision.call(
                name,
                ledger.Commit(
                    claim=claim, session_key=self.session, expected_seq=None, ops=ops
                ),
                timeout=None,
            )
