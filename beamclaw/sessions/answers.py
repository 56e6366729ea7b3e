"""What persons have answered to a session's turn, and its journal does not say yet."""

from collections.abc import Collection, Iterable

import supervision
from beamclaw.contracts import waits
from beamclaw.contracts.ledger_errors import AnsweredAlready, NoSuchWait, NotForGood
from beamclaw.contracts.ledger_ops import AnswerWait
from beamclaw.contracts.ledger_rows import WaitRow
from beamclaw.contracts.points import point
from beamclaw.sessions.journal import Journal
from beamclaw.sessions.wiring import Wiring


class Answers:
    """See the module. Belongs to one session."""

    def __init__(self, wiring: Wiring, journal: Journal) -> None:
        self._wiring = wiring
        self._journal = journal
        self._rows: dict[str, WaitRow] = {}

    @property
    def rows(self) -> tuple[WaitRow, ...]:
        """The questions that were answered, with the answers."""
        return tuple(self._rows.values())

    @property
    def answered(self) -> Collection[str]:
        """The questions' ids."""
        return self._rows.keys()

    def see(self, rows: Iterable[WaitRow]) -> None:
        """These are all questions there are."""
        self._rows = {row.wait_id: row for row in rows if row.verdict is not None}

    def clear(self) -> None:
        """A turn begins: nobody has been asked in it."""
        self._rows = {}

    def tell(self, run: supervision.Pid) -> None:
        """Give a run that was found what it may not have heard."""
        for row in self.rows:
            with point("session.tell-found"):
                supervision.send(run, waits.Answered(row))

    async def take(
        self, sender: supervision.From, given: waits.Answer, run: supervision.Pid | None
    ) -> None:
        """A person answers a question: durable first, then the run hears of it."""
        op = AnswerWait(
            wait_id=given.wait_id,
            verdict=given.verdict,
            by=given.by,
            text=given.text,
            at=self._wiring.outside.wall(),
            always=given.always,
        )
        try:
            with point("session.answer"):
                await self._journal.commit_beside((op,))
        except (AnsweredAlready, NoSuchWait, NotForGood) as refusal:
            self._tell_refused(given, refusal)
            with point("session.answer-late"):
                supervision.reply_error(sender, refusal)
            return
        with point("session.answered"):
            supervision.reply(sender, None)
        found = await self._journal.look()
        for row in found.waits:
            if row.wait_id == given.wait_id:
                self._rows[row.wait_id] = row
                if run is not None:
                    with point("session.tell-answer"):
                        supervision.send(run, waits.Answered(row))

    def _tell_refused(self, given: waits.Answer, refusal: Exception) -> None:
        supervision.emit(
            "beamclaw.approval.refused",
            {},
            {
                "tenant": self._wiring.tenant,
                "wait": given.wait_id,
                "by": given.by,
                "why": str(refusal),
            },
        )
