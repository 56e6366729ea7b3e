"""The process ``limits``: what the ledger counts, and a warning before a cap is reached.

The caps themselves are kept where money is reserved, in the ledger; this process may die
at any time, and no cap is passed. Runs tell it whenever something was paid; a moment
later it looks at the purses in question, all at once. What it has warned of stands in
the ledger, so that it is told once, whoever dies.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, cast

import supervision
from beamclaw.contracts import ledger, names
from beamclaw.contracts.budgets import Cap, Purse, Spent, nearly_in_words, purses
from beamclaw.contracts.ledger_errors import LedgerError
from beamclaw.contracts.ledger_ops import NoteWarned
from beamclaw.contracts.ledger_usage import PurseRow, ReadPurses, ReadSpent, ReadUsage
from beamclaw.contracts.limits import (
    GetLimits,
    GetUsage,
    LimitsStatus,
    Paid,
    UsageSums,
    Warned,
)
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.points import point
from beamclaw.limits._warnings import Due, due, standing

LOOK_AFTER: Final = 1.0
"""Seconds between a payment and the look at its purses; whatever is paid meanwhile is
looked at together."""

REMEMBERED: Final = 20
"""Warnings that are shown; all of them are in the log."""

_LOOK: Final = "look"


class LimitsServer(supervision.Server):
    """Registered as ``<tenant>/limits``; the sums themselves stand in the ledger.

    Args:
        tenant: Whose.
        caps: Those of an agent (by its id).
        warn_at: The part of a cap, of 1, that is worth a warning.
        outside: The clock.
    """

    def __init__(
        self,
        tenant: str,
        *,
        caps: Callable[[str], tuple[Cap, ...]],
        warn_at: Callable[[], float],
        outside: Outside,
    ) -> None:
        self._tenant = tenant
        self._ledger = names.of_tenant(tenant, "ledger")
        self._caps = caps
        self._warn_at = warn_at
        self._outside = outside
        # Agents and sessions for which something was paid since the last look.
        self._paid: set[Paid] = set()
        self._warnings: list[tuple[str, str]] = []

    async def handle_call(
        self, request: supervision.Call[Any], sender: supervision.From
    ) -> object:
        """What was used, and how the caps stand."""
        match request:
            case GetUsage(since):
                rows = await self._read(ReadUsage(since))
                return UsageSums(rows)
            case GetLimits():
                return await self._status()
            case _:
                return await super().handle_call(request, sender)

    async def handle_cast(self, message: object) -> None:
        """Something was paid: look a moment later. Or somebody else has told of a limit."""
        if isinstance(message, Paid):
            if not self._paid:
                supervision.send_after(LOOK_AFTER, supervision.self_pid(), _LOOK)
            self._paid.add(message)
        elif isinstance(message, Warned):
            self._show(message.words)

    async def handle_info(self, message: object) -> None:
        """It is time to look."""
        if message == _LOOK:
            paid, self._paid = self._paid, set()
            for one in sorted(paid, key=lambda one: (one.agent, one.session)):
                await self._look(one)

    def describe(self) -> dict[str, object]:
        """What there is to see of it."""
        return {"to_look_at": len(self._paid), "warnings": len(self._warnings)}

    async def _look(self, paid: Paid) -> None:
        caps = self._caps(paid.agent)
        found = purses(paid.agent, paid.session, self._outside.wall())
        rows = await self._read(ReadPurses(found))
        for one in due(rows, caps, self._warn_at()):
            self._warn(one)
            await self._note(one, paid.session)

    def _warn(self, one: Due) -> None:
        words = nearly_in_words(one.cap, one.row.spent)
        supervision.emit(
            "beamclaw.limits.nearly_reached",
            {"used": one.row.spent.of(one.cap.measure), "limit": one.cap.limit},
            {
                "tenant": self._tenant,
                "key": one.row.purse.key,
                "cap": one.cap.name,
                "why": words,
            },
        )
        self._show(words)

    def _show(self, words: str) -> None:
        self._warnings.append((self._today(), words))
        del self._warnings[:-REMEMBERED]

    async def _note(self, one: Due, session: str) -> None:
        """Told it is; from now on it is not told again."""
        entry = supervision.lookup(self._ledger)
        if entry is None:
            return  # it is being restarted, and so are we
        owner_epoch = cast("ledger.Owned", entry.value).owner_epoch
        claim = ledger.Claim(self._tenant, owner_epoch)
        at = self._outside.wall()
        note = NoteWarned(one.row.purse, one.cap.measure, one.cap.limit, at)
        # The conversation may be gone by now: then another one's note will stand.
        with suppress(LedgerError), point("limits.note"):
            await supervision.call(
                self._ledger,
                ledger.Commit(
                    claim=claim, session_key=session, expected_seq=None, ops=(note,)
                ),
                timeout=None,
            )

    def _today(self) -> str:
        return purses("", "", self._outside.wall())[0].day

    async def _status(self) -> LimitsStatus:
        today = self._today()
        spent = await self._read(ReadSpent((today,)))
        rows = [PurseRow(purse, sum_) for purse, sum_ in spent]
        whole = next((row.spent for row in rows if row.purse.scope == "tenant"), None)
        if whole is None:
            rows.append(PurseRow(Purse("tenant", "", today), Spent()))
        caps = [
            one for row in rows for one in standing((row,), self._caps(row.purse.key))
        ]
        return LimitsStatus(
            day=today,
            spent=whole or Spent(),
            caps=tuple(caps),
            warnings=tuple(words for day, words in self._warnings if day == today),
        )

    async def _read(self, request: supervision.Call[Any]) -> Any:
        return await supervision.call(self._ledger, request, timeout=None)
