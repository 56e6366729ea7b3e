"""Deletes sessions whose time is over, and erases what deleted ones held.

A little at a time, with a pause behind each step that grows with how long the ledger
took for it: turns come first. What it has begun when it dies, its successor goes on
with, by what stands in the ledger.
"""

from typing import Final

import attrs
import trio

import supervision
from beamclaw.contracts import ledger, names
from beamclaw.contracts.ledger_errors import LedgerError
from beamclaw.contracts.ledger_reads import ReadErasable, ReadExpired
from beamclaw.contracts.ledger_session_ops import DropSession
from beamclaw.contracts.lifecycle import CleanUp
from beamclaw.contracts.points import point
from beamclaw.sessions.wiring import Wiring

# Sessions of one look; the next one comes at once if there were so many.
_AT_ONCE: Final = 100
# Seconds behind each step, and that many times as long as the step took.
_PAUSE: Final = 0.02
_SHARE: Final = 4.0


@attrs.define
class _Done:
    """What was done since the last look that found nothing."""

    sessions: int = 0
    rows: int = 0
    pages: int = 0


class Cleanup(supervision.Server):
    """Registered as ``<tenant>/cleanup``; see the module."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self._name = names.of_tenant(wiring.tenant, "cleanup")
        self._done = _Done()
        self._total = _Done()
        # Whether the last look at what is due has found all there is.
        self._looked = False

    async def init(self) -> supervision.Timeout:
        """The first look is after a while: whoever starts has better things to do."""
        return supervision.Timeout(self._wiring.retention.every)

    async def handle_cast(self, message: object) -> supervision.Timeout:
        """A session was deleted: there is something to erase."""
        if not isinstance(message, CleanUp):
            await super().handle_cast(message)
        return supervision.Timeout(_PAUSE)

    async def handle_info(self, message: object) -> supervision.Timeout:
        """It is time for the next step."""
        if message is not supervision.TIMEOUT:
            await super().handle_info(message)
            return supervision.Timeout(_PAUSE)
        began = trio.current_time()
        if await self._step():
            took = trio.current_time() - began
            return supervision.Timeout(_PAUSE + _SHARE * took)
        self._tell()
        return supervision.Timeout(self._wiring.retention.every)

    def describe(self) -> dict[str, object]:
        """Figures for introspection, since it was started."""
        return attrs.asdict(self._total)

    async def _step(self) -> bool:
        """One step; False: nothing is due, and nothing is left to erase."""
        if not self._looked:
            self._looked = await self._look() < _AT_ONCE
            return True
        wiring = self._wiring
        if not await supervision.call(wiring.ledger, ReadErasable(), timeout=None):
            return False
        with point("cleanup.erase"):
            erase = ledger.Erase(at=wiring.outside.wall())
            erased = await supervision.call(wiring.ledger, erase, timeout=None)
        self._count(rows=erased.rows, pages=erased.pages)
        return erased.more

    async def _look(self) -> int:
        """Delete sessions whose time is over; how many that were."""
        wiring = self._wiring
        now, retention = wiring.outside.wall(), wiring.retention
        request, archived = retention.request, retention.archived
        subagent, response = retention.subagent, retention.response
        if all(each is None for each in (request, archived, subagent, response)):
            return 0
        expired = ReadExpired(
            ephemeral_before=None if request is None else now - request,
            archived_before=None if archived is None else now - archived,
            subagent_before=None if subagent is None else now - subagent,
            response_before=None if response is None else now - response,
            limit=_AT_ONCE,
        )
        deleted = 0
        for key in await supervision.call(wiring.ledger, expired, timeout=None):
            # One that is awake will fall asleep, and is looked at again.
            if supervision.whereis(names.session(wiring.tenant, key)) is None:
                deleted += await self._delete(key, now)
        self._count(sessions=deleted)
        return deleted

    async def _delete(self, key: str, now: float) -> bool:
        wiring = self._wiring
        claim = ledger.Claim(wiring.tenant, wiring.owner_epoch())
        try:
            with point("cleanup.delete"):
                await supervision.call(
                    wiring.ledger,
                    ledger.Commit(
                        claim=claim,
                        session_key=key,
                        expected_seq=None,
                        ops=(DropSession(now),),
                    ),
                    timeout=None,
                )
        except LedgerError:
            return False  # a message came for it, or somebody was faster
        return True

    def _count(self, **figures: int) -> None:
        for counted in (self._done, self._total):
            for name, figure in figures.items():
                setattr(counted, name, getattr(counted, name) + figure)

    def _tell(self) -> None:
        done, self._done, self._looked = self._done, _Done(), False
        if done != _Done():
            supervision.emit(
                "beamclaw.sessions.cleaned",
                {"sessions": done.sessions, "rows": done.rows, "pages": done.pages},
                {"tenant": self._wiring.tenant},
            )
