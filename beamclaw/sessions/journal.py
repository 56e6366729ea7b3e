"""A session's side of the ledger: what it has read of its journal, what it writes."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import trio

import supervision
from beamclaw.contracts import keys, ledger, snapshots
from beamclaw.contracts.clock import Clock
from beamclaw.contracts.journal import Body, InboundTaken, Rewound, event
from beamclaw.contracts.ledger_ops import Op
from beamclaw.contracts.ledger_reads import ReadJournal, ReadSession, SessionRead
from beamclaw.contracts.ledger_rows import Event
from beamclaw.contracts.ledger_session_ops import ForgetSnapshots, SetAgent
from beamclaw.contracts.path import Unreachable, path
from beamclaw.contracts.points import point
from beamclaw.contracts.repair import repaired
from beamclaw.contracts.sessions import Inbound
from beamclaw.contracts.snapshots import Keep, Kept, Unreadable
from beamclaw.contracts.steps import Steps, in_steps
from beamclaw.contracts.transcript import Fact, Transcript, advance, evolve, extend
from beamclaw.contracts.written import tell_written
from beamclaw.sessions.wiring import Wiring


class Journal:
    """The journal of one session.

    Every method that waits is one call to the ledger, without a time-out: a ledger that
    is busy is waited for, one that dies takes the call with it.

    Attributes:
        transcript: What the journal adds up to, as far as this session wrote or read it.
        kept: Up to where that is in a snapshot.
    """

    def __init__(self, wiring: Wiring, key: str) -> None:
        self.transcript = Transcript()
        self.kept = Kept()
        self._wiring = wiring
        self._key = key
        self._epoch = 0

    def open(self) -> None:
        """From here on writes are claimed under the epoch of the ledger in force.

        Raises:
            supervision.NoProcess: There is no ledger.
        """
        self._epoch = self._wiring.owner_epoch()

    def claim(self, run_id: str | None = None, epoch: int = 0) -> ledger.Claim:
        """The claim of this session, or of its run."""
        return ledger.Claim(self._wiring.tenant, self._epoch, run_id, epoch)

    async def look(self, snapshot: str | None = None) -> SessionRead:
        """What is durable and not in the transcript yet, which stays as it is."""
        return await supervision.call(
            self._wiring.ledger,
            ReadSession(self._key, self.transcript.seq, snapshot),
            timeout=None,
        )

    async def read(self) -> SessionRead:
        """Bring the transcript up to what is durable; what was read for that.

        A long journal is read in steps, from a snapshot on if there is one.
        """
        found = await self.look(None if self.transcript.seq else snapshots.version())
        state = self.transcript
        if found.snapshot is not None:
            try:
                state = await in_steps(snapshots.decoded(found.snapshot.body))
            except Unreadable:
                found = await self.look()
            else:
                self.kept.note(state)
        try:
            way = path(found.events, after=state.seq)
        except Unreachable:
            # It went back to before what is known here: all of it is read anew.
            self.forget()
            return await self.read()
        self.transcript = await in_steps(_extended(state, way))
        return found

    def keep(self) -> None:
        """Have a snapshot made, if there is enough for one."""
        wanted = Keep(
            session_key=self._key, claim=self.claim(), transcript=self.transcript
        )
        self.kept.keep(wanted, self._wiring.settings.snapshot_every)

    async def all(self) -> tuple[Event, ...]:
        """Every event, also those that do not count any more."""
        return await supervision.call(
            self._wiring.ledger, ReadJournal(self._key), timeout=None
        )

    def forget(self) -> None:
        """Nothing is known of the session any more."""
        self.transcript, self.kept = Transcript(), Kept()

    def agent_in(self, state: Transcript) -> str | None:
        """Who answers where the conversation had come to *state*; None: who is asked.

        The agent that it was handed over to, or that its key names.
        """
        return state.agent or keys.parse(self._key).agent

    async def rewind(self, to: int, state: Transcript) -> None:
        """Go back behind event *to*, which the conversation had come to *state* by."""
        fact = Fact(Rewound(to=to), None, self._wiring.outside.wall())
        rewound = (event(fact.body, at=fact.at),)
        ops: list[Op] = [ForgetSnapshots(to)]
        if agent := self.agent_in(state):
            ops.append(SetAgent(agent))
        with point("session.rewind"):
            await self._write(rewound, tuple(ops), expected_seq=self.transcript.seq)
        self.transcript = evolve(state, self.transcript.seq + 1, fact)
        self.kept = Kept()

    async def commit(
        self,
        *bodies: tuple[str | None, Body],
        ops: tuple[Op, ...],
        inbounds: Mapping[int, Inbound] = MappingProxyType({}),
    ) -> Clock:
        """Commit (run id, body) pairs, then move on: a refusal leaves all as it was.

        *inbounds* are the messages that are taken with it, by their ids in the inbox.
        Returned is what the clocks showed when it was written: an event has the wall's.
        """
        at = self._wiring.outside.wall()
        clock = Clock(at, trio.current_time())
        events = tuple(
            event(
                body,
                at=at,
                run_id=run_id,
                inbound=_inbound(body, inbounds),
            )
            for run_id, body in bodies
        )
        await self._write(events, ops, expected_seq=self.transcript.seq)
        facts = [Fact(body, run_id, at) for run_id, body in bodies]
        self.transcript = advance(self.transcript, facts)
        return clock

    async def commit_beside(self, ops: tuple[Op, ...]) -> None:
        """Commit *ops* without events while a run may be writing the journal."""
        await self._write((), ops, expected_seq=None)

    async def mend(self) -> None:
        """Make a damaged conversation whole."""
        found = repaired(self.transcript)
        if found is None:
            return
        with point("session.mend"):
            await self.commit((None, found), ops=())
        supervision.emit(
            "beamclaw.session.repaired",
            {"places": len(found.splices)},
            {
                "tenant": self._wiring.tenant,
                "session": self._key,
                "first": found.splices[0].why,
            },
        )

    async def _write(
        self,
        events: tuple[ledger.NewEvent, ...],
        ops: tuple[Op, ...],
        *,
        expected_seq: int | None,
    ) -> None:
        await supervision.call(
            self._wiring.ledger,
            ledger.Commit(
                claim=self.claim(),
                session_key=self._key,
                expected_seq=expected_seq,
                events=events,
                ops=ops,
            ),
            timeout=None,
        )
        if events and expected_seq is not None:
            tell_written(
                self._wiring.bus,
                self._wiring.tenant,
                self._key,
                events,
                after=expected_seq,
            )


async def replayed(events: Sequence[Event], to: int | None = None) -> Transcript:
    """What a whole journal adds up to, or had come to behind event *to*."""
    return await in_steps(_extended(Transcript(), path(events, to=to)))


# Events that are read in one step: a few milliseconds.
_STEP = 100


def _extended(state: Transcript, events: Sequence[Event]) -> Steps[Transcript]:
    for first in range(0, len(events), _STEP):
        state = extend(state, events[first : first + _STEP])
        yield
    return state


def _inbound(body: Body, inbounds: Mapping[int, Inbound]) -> Inbound | None:
    """The message that *body* is about: its own, or else the one that began the turn."""
    if isinstance(body, InboundTaken):
        return inbounds.get(body.inbox_id)
    return next(iter(inbounds.values()), None)
