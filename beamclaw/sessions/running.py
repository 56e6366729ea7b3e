"""The run that works for a session's open turn: begun, found again, told, stopped."""

from functools import partial

import attrs

import supervision
from beamclaw.contracts import names
from beamclaw.contracts.clock import Clock
from beamclaw.contracts.open_turn import OpenTurn
from beamclaw.contracts.points import point
from beamclaw.contracts.runs import ABORTED, Progress, RunOrder, RunTurn, Steer
from beamclaw.contracts.tools import Dismiss
from beamclaw.sessions.answers import Answers
from beamclaw.sessions.journal import Journal
from beamclaw.sessions.kin import Kin
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


class Runs:
    """The runs of one session, one at a time."""

    def __init__(
        self, wiring: Wiring, key: str, journal: Journal, answers: Answers, kin: Kin
    ) -> None:
        self._wiring = wiring
        self._key = key
        self._journal = journal
        self._answers = answers
        self._kin = kin
        # Of the open turn: its tools and limits stay those that it began with, also for
        # a run that takes it over. Only a new start of the node finds none.
        self._by: RunTurn | None = None

    def settle(self) -> None:
        """The turn that is begun next goes by what holds now."""
        self._by = self._wiring.turns()

    async def begin(
        self,
        run_id: str,
        epoch: int,
        *,
        successor: bool,
        since: Clock | None = None,
        definition: bytes | None = None,
    ) -> Running:
        """Begin the run under the tenant's supervisor of runs, and watch it."""
        tenant, journal = self._wiring.tenant, self._journal
        topic = names.topic(tenant, self._key)
        by = self._by = self._by or self._wiring.turns()
        progress = Progress(run_id, topic, journal.transcript, kept=journal.kept, by=by)
        order = RunOrder(
            tenant=tenant,
            session_key=self._key,
            claim=journal.claim(run_id, epoch),
            progress=progress,
            successor=successor,
            since=since,
            definition=definition,
            answers=self._answers.rows,
            results=tuple(self._kin.results.values()),
        )
        with point("session.run"):
            pid = await supervision.start_child(
                names.of_tenant(tenant, "runs"),
                supervision.ChildSpec(
                    run_id,
                    partial(by, order),
                    name=names.run(tenant, run_id),
                    restart="temporary",
                ),
            )
        assert pid is not None
        return Running(supervision.monitor(pid), pid, progress)

    def find(self) -> Running | None:
        """Watch a run of the open turn that outlived the session before this one."""
        turn = self._journal.transcript.turn
        if turn is None:
            return None
        entry = supervision.lookup(names.run(self._wiring.tenant, turn.run_id))
        if entry is None or not isinstance(entry.value, Progress):
            return None
        monitor = supervision.monitor(entry.pid)
        self._journal.kept, self._by = entry.value.kept, entry.value.by
        self._answers.tell(entry.pid)
        self._kin.tell(entry.pid)
        return Running(monitor, entry.pid, entry.value)


def stop_calls(wiring: Wiring, turn: OpenTurn | None) -> None:
    """End the tool calls of a turn: nobody waits for them any more.

    Those that have a result keep it for whoever did not write it down, and may go.
    """
    if turn is None:
        return
    for call in turn.calls:
        pid = supervision.whereis(names.call(wiring.tenant, turn.run_id, call.asked.id))
        if pid is None:
            continue
        with point("session.stop-call"):
            if call.outcome is None:
                supervision.exit(pid, supervision.Shutdown(ABORTED))
            else:
                supervision.cast(pid, Dismiss())
