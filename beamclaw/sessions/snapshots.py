"""Makes snapshots of journals, away from the turns that bring them about.

A state is a value, so it is handed over as it is; here it is encoded in pieces, one
session at a time, with everybody else's turn in between. Whatever is lost when this
process dies is made again later.
"""

from typing import Any, Final

import trio

import supervision
from beamclaw.contracts import ledger, names, snapshots
from beamclaw.contracts.ledger_errors import LedgerError
from beamclaw.contracts.ledger_session_ops import PutSnapshot
from beamclaw.contracts.points import point
from beamclaw.contracts.snapshots import Forget, Keep
from beamclaw.contracts.steps import in_steps
from supervision.abc import Reply

MOST_WAITING: Final = 1_000
"""States that may wait. One more, and the first goes: there will be another."""

Next = supervision.Timeout | None


class Snapshots(supervision.Server):
    """Registered as ``<tenant>/snapshots``; see the module."""

    def __init__(self, tenant: str) -> None:
        self._tenant = tenant
        # The latest state of each session, in the order in which they came.
        self._waiting: dict[str, Keep] = {}
        self._made = 0

    async def handle_cast(self, message: object) -> Next:
        """A state to keep; an older one of the same session needs no snapshot."""
        match message:
            case Keep(session_key=key):
                self._waiting.pop(key, None)
                self._waiting[key] = message
                if len(self._waiting) > MOST_WAITING:
                    del self._waiting[next(iter(self._waiting))]
            case _:
                await super().handle_cast(message)
        return self._next()

    async def handle_call(
        self, request: supervision.Call[Any], sender: supervision.From
    ) -> object:
        """A session is about to be deleted."""
        if not isinstance(request, Forget):
            return await super().handle_call(request, sender)
        self._waiting.pop(request.session_key, None)
        return Reply(None, self._next())

    async def handle_info(self, message: object) -> Next:
        """Nobody wants anything: make one."""
        if message is supervision.TIMEOUT:
            key = next(iter(self._waiting))
            await self._make(self._waiting.pop(key))
        else:
            await super().handle_info(message)
        return self._next()

    def describe(self) -> dict[str, object]:
        """Figures for introspection."""
        return {"waiting": len(self._waiting), "made": self._made}

    def _next(self) -> Next:
        return supervision.Timeout(0.0) if self._waiting else None

    async def _make(self, wanted: Keep) -> None:
        began, state = trio.current_time(), wanted.transcript
        body = await in_steps(snapshots.encoded(state))
        put = PutSnapshot(seq=state.seq, version=snapshots.version(), body=body)
        keeper = names.of_tenant(self._tenant, "ledger")
        try:
            with point("snapshot.put"):
                await supervision.call(
                    keeper,
                    ledger.Commit(
                        claim=wanted.claim,
                        session_key=wanted.session_key,
                        expected_seq=None,
                        ops=(put,),
                    ),
                    timeout=None,
                )
        except LedgerError:
            return  # a claim that is too old, a full disk: the journal has it all
        self._made += 1
        supervision.emit(
            "beamclaw.session.snapshot",
            {
                "messages": len(state.messages),
                "bytes": len(body),
                "seconds": trio.current_time() - began,
            },
            {"tenant": self._tenant, "session": wanted.session_key},
        )
