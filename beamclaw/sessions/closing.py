"""Ends of runs that their session writes: committed, told to kin and to followers.

What an end comes to is decided in `beamclaw.sessions.ends` and `opening`.
"""

import supervision
from beamclaw.contracts import names, news, waits
from beamclaw.contracts.announcements import Place
from beamclaw.contracts.ends import concerned
from beamclaw.contracts.ledger_ops import CancelChildren
from beamclaw.contracts.ledger_rows import Outcome
from beamclaw.contracts.points import point
from beamclaw.sessions import ends
from beamclaw.sessions.inbox import Inbox
from beamclaw.sessions.journal import Journal
from beamclaw.sessions.kin import Kin
from beamclaw.sessions.lane import Pending
from beamclaw.sessions.opening import Opening, renewed
from beamclaw.sessions.running import stop_calls
from beamclaw.sessions.wiring import Wiring


class Closing:
    """See the module. Belongs to one session."""

    def __init__(
        self, wiring: Wiring, key: str, *, journal: Journal, inbox: Inbox, kin: Kin
    ) -> None:
        self._wiring = wiring
        self._topic = names.topic(wiring.tenant, key)
        self._key = key
        self._place = Place(wiring.tenant, key)
        self._journal = journal
        self._inbox = inbox
        self._kin = kin

    async def turn(
        self,
        outcome: Outcome,
        text: str = "",
        error: str | None = None,
        received: int | None = None,
    ) -> None:
        """End the open turn in the run's place; a late commit of it is refused.

        *received*: as `beamclaw.sessions.ends.closed` has it.
        """
        transcript = self._journal.transcript
        turn = transcript.turn
        assert turn is not None
        at = self._wiring.outside.wall()
        stop_calls(self._wiring, turn)
        end = ends.closed(
            transcript,
            outcome,
            text,
            at=at,
            place=self._place,
            error=error,
            received=received,
        )
        with point("session.close"):
            await self._journal.commit(*end.bodies, ops=end.ops)
        news.tell_ended(self._wiring.tenant, self._key, turn, end.told, at)
        self._kin.rouse(concerned(turn, outcome))
        self._tell(end)
        if turn.open_waits:  # nobody has to answer them any more
            waits.tell_changed(self._wiring.bus, self._wiring.tenant)

    async def quarantine(self, revivals: int) -> None:
        """Put the open turn aside: it was revived so often and never ended."""
        error = (
            f"the turn was begun {revivals + 1} times and never ended "
            f"(sessions.revive_limit: {self._wiring.rules.revive_limit}); "
            "it is put aside, the conversation goes on"
        )
        supervision.emit(
            "beamclaw.session.quarantined",
            {"revivals": float(revivals)},
            {"tenant": self._wiring.tenant, "session": self._key},
        )
        await self.turn("quarantined", error=error)

    async def withdraw(self, pending: Pending) -> None:
        """Stop a waiting message; the open turn's run may be writing meanwhile."""
        at = self._wiring.outside.wall()
        end = ends.withdrawn(pending, at=at, place=self._place)
        with point("session.withdraw"):
            await self._journal.commit_beside(end.ops)
        self._taken(pending, end)

    async def renew(self, pending: Pending, opened: Opening) -> None:
        """Begin a new conversation for the word alone, which is answered at once."""
        at = self._wiring.outside.wall()
        end = renewed(pending, opened, at=at, place=self._place)
        with point("session.renew"):
            await self._journal.commit(*end.bodies, ops=end.ops)
        self._taken(pending, end)

    async def refuse(self, pending: Pending, error: str) -> None:
        """Take a message that can have no run, and say why."""
        at, transcript = self._wiring.outside.wall(), self._journal.transcript
        end = ends.refused(transcript, pending, error, at=at, place=self._place)
        await self._refuse_by(pending, end)

    async def turn_away(self, pending: Pending, error: str) -> None:
        """Say why a message cannot be said here; what was said stays as it is."""
        at = self._wiring.outside.wall()
        end = ends.turned_away(pending, error, at=at, place=self._place)
        await self._refuse_by(pending, end)

    async def _refuse_by(self, pending: Pending, end: ends.End) -> None:
        inbounds = {pending.inbox_id: pending.inbound}
        with point("session.refuse"):
            await self._journal.commit(*end.bodies, ops=end.ops, inbounds=inbounds)
        self._taken(pending, end)

    async def children(self, run_id: str) -> bool:
        """Stop what a turn has begun that is over itself; whether there was anything."""
        working = [
            row.session_key
            for row in (await self._journal.look()).children
            if (row.parent_run, row.state, row.kind) == (run_id, "open", "spawn")
        ]
        if working:
            with point("session.stop-children"):
                await self._journal.commit_beside((CancelChildren(run_id),))
            self._kin.rouse(working)
        return bool(working)

    def _taken(self, pending: Pending, end: ends.End) -> None:
        self._inbox.drop((pending.inbox_id,))
        parent = pending.inbound.parent
        if parent is not None:
            self._kin.rouse((parent.session_key,))
        self._tell(end)

    def _tell(self, end: ends.End) -> None:
        self._wiring.bus.publish(self._topic, end.told)
