"""The run that works for a session's open turn: begun, found again, told, stopped."""

from functools import partial

import attrs

import supervision
from beamclaw.contracts import names
from beamclaw.contracts.open_turn import OpenTurn
from beamclaw.contracts.points import point
from beamclaw.contracts.runs import ABORTED, Progress, RunOrder, Steer
from beamclaw.sessions.lane import Pending
from beamclaw.sessions.wiring import Wiring


@attrs.define
class Running:
    """A run process that its session watches.

    Attributes:
        stopping: It was told to end for a message behind it.
        stops: Who has stopped it, and waits to hear what has become of that.
    """

    monitor: supervision.Ref
    pid: supervision.Pid
    progress: Progress
    stopping: bool = False
    stops: list[supervision.From] = attrs.field(factory=list[supervision.From])

    def hand(self, pending: Pending) -> None:
        """Give it a message; what it takes it says, what it does not stays."""
        with point("session.steer"):
            supervision.send(self.pid, Steer(pending.inbox_id, pending.inbound))


async def start(wiring: Wiring, order: RunOrder) -> Running:
    """Begin the run under the tenant's supervisor of runs, and watch it."""
    run_id = order.progress.run_id
    with point("session.run"):
        pid = await supervision.start_child(
            names.of_tenant(wiring.tenant, "runs"),
            supervision.ChildSpec(
                run_id,
                partial(wiring.run_turn, order),
                name=names.run(wiring.tenant, run_id),
                restart="temporary",
            ),
        )
    assert pid is not None
    return Running(supervision.monitor(pid), pid, order.progress)


def find(wiring: Wiring, run_id: str) -> Running | None:
    """Watch a run that outlived the session that began it."""
    entry = supervision.lookup(names.run(wiring.tenant, run_id))
    if entry is None or not isinstance(entry.value, Progress):
        return None
    return Running(supervision.monitor(entry.pid), entry.pid, entry.value)


def stop_calls(wiring: Wiring, turn: OpenTurn | None) -> None:
    """End the tool calls of a turn: nobody waits for them any more."""
    if turn is None:
        return
    for call in turn.open_calls:
        pid = supervision.whereis(names.call(wiring.tenant, turn.run_id, call.asked.id))
        if pid is not None:
            with point("session.stop-call"):
                supervision.exit(pid, supervision.Shutdown(ABORTED))
