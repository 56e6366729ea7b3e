"""The door to a tenant's sessions: rings them, finds them, and revives them.

It keeps no promise of its own: whatever it forgets when it dies stands in the ledger,
and its successor begins by reading which sessions have work.
"""

from functools import partial
from typing import Any

import supervision
from beamclaw.contracts import names
from beamclaw.contracts.ledger_errors import LedgerError
from beamclaw.contracts.ledger_reads import ReadOpenWork
from beamclaw.contracts.points import point
from beamclaw.contracts.runs import Progress
from beamclaw.contracts.sessions import (
    GetSessionsStatus,
    Peek,
    Ring,
    Rouse,
    RunView,
    SessionsStatus,
    SetIntake,
    Wake,
)
from beamclaw.sessions import lane
from beamclaw.sessions.session import Intake, LookAgain, Session
from beamclaw.sessions.wiring import Wiring
from beamclaw.values import frozen


@frozen
class _Revive:
    """The back-off of this session is over."""

    key: str


class Door(supervision.Server):
    """Registered as ``<tenant>/sessions``."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self._prefix = names.session(wiring.tenant, "")
        self._awake = names.of_tenant(wiring.tenant, "awake")
        self._monitors: dict[supervision.Ref, str] = {}
        # How often a session died since it last lived to its own end.
        self._deaths: dict[str, int] = {}
        # Sessions with work that found no place (sessions.max_awake), in order.
        self._parked: dict[str, None] = {}
        self._intake = True

    async def init(self) -> supervision.Continue:
        """The ledger is asked after the start is acknowledged."""
        return supervision.Continue(None)

    async def handle_continue(self, term: object) -> None:
        """Watch who is awake; wake whoever has an open turn or waiting messages."""
        for entry in supervision.names(self._prefix):
            self._watch(entry.name.removeprefix(self._prefix), entry.pid)
        keys = await supervision.call(self._wiring.ledger, ReadOpenWork(), timeout=None)
        # What a run or a session had written and not told when it died with us, nobody
        # tells any more: whoever follows has to look.
        tenant = self._wiring.tenant
        self._wiring.bus.interrupt(names.topic(tenant, ""))
        for key in keys:
            awake = supervision.whereis(self._prefix + key)
            if awake is None:
                await self._ensure(key, after_death=True)
            else:
                # It lives, but a ring for it may have died with the last door.
                with point("door.look"):
                    supervision.cast(awake, LookAgain())

    async def handle_cast(self, message: object) -> None:
        """Rings."""
        match message:
            case Ring(row, fresh):
                pid = await self._ensure(row.session_key, fresh=fresh)
                if pid is not None:
                    with point("door.ring"):
                        supervision.cast(pid, message)
            case Rouse(key):
                await self._rouse(key)
            case _:
                await super().handle_cast(message)

    async def handle_call(
        self, request: supervision.Call[Any], sender: supervision.From
    ) -> object:
        """Looks, drains."""
        match request:
            case Wake(key):
                if await self._ensure(key) is None:
                    words = f"no place for session {key} (sessions.max_awake)"
                    supervision.reply_error(sender, LedgerError(words))
                    return supervision.NO_REPLY
                return None
            case Peek(run_id):
                return self._peek(run_id)
            case SetIntake(is_open):
                self._intake = is_open
                supervision.broadcast(self._awake, Intake(is_open))
                return None
            case GetSessionsStatus():
                return self._status()
            case _:
                return await super().handle_call(request, sender)

    async def handle_info(self, message: object) -> None:
        """A session ended, or a back-off did."""
        match message:
            case supervision.Down(ref, _, reason) if ref in self._monitors:
                self._ended(self._monitors.pop(ref), reason)
                await self._unpark()
            case _Revive(key):
                await self._ensure(key)
            case _:
                await super().handle_info(message)

    def describe(self) -> dict[str, object]:
        """Figures for introspection."""
        return {
            "watching": len(self._monitors),
            "reviving": self._reviving(),
            "parked": len(self._parked),
            "intake": self._intake,
        }

    async def _rouse(self, key: str) -> None:
        """Something was written for this session: it reads it now, or as it starts."""
        awake = supervision.whereis(self._prefix + key)
        if awake is None:
            await self._ensure(key)
        else:
            with point("door.rouse"):
                supervision.cast(awake, LookAgain())

    async def _ensure(
        self, key: str, *, fresh: bool = False, after_death: bool = False
    ) -> supervision.Pid | None:
        """The session's process, started if need be; None: no place at the moment."""
        name = self._prefix + key
        pid = supervision.whereis(name)
        if pid is not None:
            return pid
        session = partial(
            Session,
            self._wiring,
            key,
            fresh=fresh,
            after_death=after_death or key in self._deaths,
            intake=self._intake,
        )
        spec = supervision.ChildSpec(key, session, name=name, restart="temporary")
        try:
            with point("door.start"):
                pid = await supervision.start_child(self._awake, spec)
        except supervision.MaxChildren:
            self._parked[key] = None
            return None
        assert pid is not None
        self._watch(key, pid)
        return pid

    def _watch(self, key: str, pid: supervision.Pid) -> None:
        self._monitors[supervision.monitor(pid)] = key

    def _ended(self, key: str, reason: supervision.ExitReason) -> None:
        """Asleep: forget it. Dead: back after a pause that grows with its deaths."""
        if isinstance(reason, supervision.Normal | supervision.Shutdown):
            self._deaths.pop(key, None)
            return
        deaths = self._deaths[key] = self._deaths.get(key, 0) + 1
        settings = self._wiring.settings
        pause = lane.back_off(
            deaths, first=settings.revive_first, most=settings.revive_most
        )
        supervision.send_after(pause, supervision.self_pid(), _Revive(key))

    async def _unpark(self) -> None:
        if self._parked:
            key = next(iter(self._parked))
            del self._parked[key]
            await self._ensure(key, after_death=True)

    def _peek(self, run_id: str) -> RunView:
        entry = supervision.lookup(names.run(self._wiring.tenant, run_id))
        if entry is None or not isinstance(entry.value, Progress):
            return RunView(run_id=run_id, running=False)
        progress = entry.value
        # What is not published yet stays out: it comes on the topic, by its offset.
        return RunView(
            run_id=run_id,
            running=True,
            attempt=progress.attempt,
            text=progress.text[: progress.published],
            waiting=progress.waiting,
        )

    def _status(self) -> SessionsStatus:
        runs = supervision.names(names.run(self._wiring.tenant, ""))
        return SessionsStatus(
            awake=len(self._monitors),
            running=len(runs),
            asking=sum(_asks(entry.value) for entry in runs),
            reviving=self._reviving(),
            parked=len(self._parked),
            intake=self._intake,
        )

    def _reviving(self) -> int:
        """How many have died and are not back yet; those that are may die again."""
        return sum(supervision.whereis(self._prefix + k) is None for k in self._deaths)


def _asks(progress: object) -> bool:
    waiting = progress.waiting if isinstance(progress, Progress) else None
    return waiting is not None and waiting.phase in ("person", "agents")
