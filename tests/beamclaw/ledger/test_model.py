"""Random work against a model of sessions and runs that fits on one page.

The model does one job after the other. The ledger does them in transactions of any
size, forgets what it remembers, is opened again; outcomes and content must agree.
"""

import tempfile
from pathlib import Path

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beamclaw.contracts.ledger import Commit
from beamclaw.contracts.ledger_errors import (
    IdempotencyConflict,
    LedgerError,
    NotWaiting,
    Overloaded,
    RunIdTaken,
    SequenceConflict,
    StaleClaim,
)
from beamclaw.contracts.ledger_inbox import Accept, Receipt
from beamclaw.contracts.ledger_ops import ClaimRun, EndRun, NoteRevival, OpenRun, Take
from beamclaw.contracts.ledger_reads import (
    ReadOpenWork,
    ReadRun,
    ReadSession,
    SessionRead,
)
from beamclaw.contracts.ledger_rows import RunRow
from beamclaw.storage import StatementFailed
from tests.support.books import commit, open_book
from tests.support.ledgers import end, event, message

KEYS = ("a", "b")
RUNS = tuple(f"r{number}" for number in range(5))
LIMIT = 3


@attrs.define
class ModelRun:
    key: str
    state: str = "queued"
    epoch: int = 0
    revivals: int = 0


@attrs.define
class Model:
    journals: dict[str, list[tuple[bytes, str | None, int]]] = attrs.field(factory=dict)
    runs: dict[str, ModelRun] = attrs.field(factory=dict)
    accepted: dict[str, tuple[int, Accept]] = attrs.field(factory=dict)
    waiting: dict[int, str] = attrs.field(factory=dict)

    def do(self, job: Accept | Commit) -> object:
        """The outcome of *job*: an answer, or the class of the refusal."""
        if isinstance(job, Accept):
            return self.accept(job)
        before = attrs.evolve(
            self,
            journals={key: list(journal) for key, journal in self.journals.items()},
            runs={name: attrs.evolve(run) for name, run in self.runs.items()},
            waiting=dict(self.waiting),
        )
        outcome = self.commit(job)
        if isinstance(outcome, type):  # all or nothing
            self.journals, self.runs = before.journals, before.runs
            self.waiting = before.waiting
        return outcome

    def accept(self, job: Accept) -> object:
        if job.external_id in self.accepted:
            row, first = self.accepted[job.external_id]
            if first.fingerprint != job.fingerprint:
                return IdempotencyConflict
            return row, first.run_id, first.session_key, first.at, True, False
        if len(self.waiting) >= LIMIT:
            return Overloaded
        if job.run_id in self.runs:
            return RunIdTaken
        fresh = job.session_key not in self.journals
        row = len(self.accepted) + 1
        self.accepted[job.external_id] = row, job
        self.journals.setdefault(job.session_key, [])
        self.runs[job.run_id] = ModelRun(job.session_key)
        self.waiting[row] = job.run_id
        return row, job.run_id, job.session_key, job.at, False, fresh

    def commit(self, job: Commit) -> object:  # noqa: PLR0911 -- a table of rules
        key, claim = job.session_key, job.claim
        if key not in self.journals:
            return LedgerError
        if claim.run_id is not None:
            run = self.runs.get(claim.run_id)
            takes_over = any(isinstance(op, ClaimRun) for op in job.ops)
            if run is None or run.state != "running" or run.key != key:
                return StaleClaim
            if claim.run_epoch < run.epoch:
                return StaleClaim
            if claim.run_epoch > run.epoch and not takes_over:
                return StaleClaim
        if job.expected_seq != len(self.journals[key]):
            return SequenceConflict
        for op in job.ops:
            refusal = self.apply(job, op)
            if refusal is not None:
                return refusal
        for written in job.events:
            named = self.runs.get(written.run_id or "")
            epoch = named.epoch if named else 0
            self.journals[key].append((written.body, written.run_id, epoch))
        return len(self.journals[key])

    def apply(  # noqa: C901, PLR0911, PLR0912 -- a table of rules
        self, job: Commit, op: object
    ) -> type[LedgerError] | None:
        key, mine = job.session_key, job.claim.run_id
        if isinstance(op, Take):
            for row in op.inbox_ids:
                run_id = self.waiting.get(row)
                if mine or run_id is None or self.runs[run_id].key != key:
                    return NotWaiting
                del self.waiting[row]
        elif isinstance(op, OpenRun):
            if mine or any(
                r.key == key and r.state == "running" for r in self.runs.values()
            ):
                return LedgerError
            run = self.runs.setdefault(op.run_id, ModelRun(key))
            if run.key != key or run.state != "queued":
                return LedgerError
            if op.run_id in self.waiting.values():
                return LedgerError
            run.state, run.epoch = "running", 1
        elif isinstance(op, ClaimRun):
            if mine is None:
                return LedgerError
            if self.runs[mine].epoch >= job.claim.run_epoch:
                return StaleClaim
            self.runs[mine].epoch = job.claim.run_epoch
        elif isinstance(op, NoteRevival):
            run = self.runs.get(op.run_id)
            if mine or run is None or run.key != key or run.state != "running":
                return LedgerError
            run.revivals += 1
        elif isinstance(op, EndRun):
            run = self.runs.get(op.run_id)
            if mine not in (None, op.run_id) or run is None or run.key != key:
                return LedgerError
            if run.state == "ended" or op.run_id in self.waiting.values():
                return LedgerError
            if run.state == "running" and mine is None:
                run.epoch += 1
            run.state = "ended"
        return None


keys, run_ids = st.sampled_from(KEYS), st.sampled_from(RUNS)
accepts = st.builds(
    lambda run, key, id_, print_: message(
        run, key, conversation="c", external_id=id_, fingerprint=print_
    ),
    run_ids,
    keys,
    st.sampled_from(["1", "2", "3", "4", "5", "6"]),
    st.sampled_from(["x", "x", "x", "y"]),
)
ops = st.one_of(
    st.builds(Take, st.lists(st.integers(1, 6), max_size=2).map(tuple)),
    st.builds(OpenRun, run_ids, st.just(2.0)),
    st.builds(ClaimRun, st.just(3.0)),
    st.builds(NoteRevival, run_ids),
    st.builds(end, run_ids),
)
events = st.builds(
    lambda body, run: event(run=run, body=body), st.binary(max_size=3), run_ids
)


@attrs.frozen
class Try:
    """A commit whose seq is given when its turn comes: mostly the right one."""

    key: str
    run: str | None
    run_epoch: int
    off: int
    events: tuple
    ops: tuple


tries = st.builds(
    Try,
    key=keys,
    run=st.none() | run_ids,
    run_epoch=st.integers(0, 3),
    off=st.sampled_from([0, 0, 0, 0, 0, 0, 1, -1]),
    events=st.lists(events, max_size=3).map(tuple),
    ops=st.lists(ops, max_size=3).map(tuple),
)


@st.composite
def turns(draw: st.DrawFn) -> list[Accept | Try]:
    """A message taken and its run begun: random work alone seldom gets so far."""
    run, key, row = draw(run_ids), draw(keys), draw(st.integers(1, 6))
    first = message(
        run, key, conversation="c", external_id=draw(st.text("12", max_size=1))
    )
    return [first, Try(key, None, 0, 0, (event(),), (Take((row,)), OpenRun(run, 2.0)))]


batches = st.lists(
    st.tuples(
        st.lists(
            st.one_of(accepts.map(lambda a: [a]), tries.map(lambda t: [t]), turns())
        ),
        st.sampled_from(["go on", "go on", "go on", "forget", "reopen"]),
    ),
    max_size=8,
)


def concrete(model: Model, job: Accept | Try) -> Accept | Commit:
    if isinstance(job, Accept):
        return job
    seq = len(model.journals.get(job.key, ())) + job.off
    return commit(
        seq, *job.events, ops=job.ops, key=job.key, run=job.run, run_epoch=job.run_epoch
    )


def shown(outcome: object) -> object:
    """An outcome of the ledger, as the model tells it."""
    if isinstance(outcome, Receipt):
        return attrs.astuple(outcome)
    if isinstance(outcome, StatementFailed):
        return LedgerError
    return type(outcome) if isinstance(outcome, Exception) else outcome


@pytest.mark.slow
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(batches)
def test_a_ledger_does_what_its_model_does(work):
    model = Model()
    with tempfile.TemporaryDirectory() as folder:
        path, rest = Path(folder) / "ledger.db", list(work)
        while rest:
            with open_book(path, inbox_limit=LIMIT) as opened:
                while rest:
                    tried, then = rest.pop(0)
                    jobs, expected = [], []
                    for job in (job for group in tried for job in group):
                        jobs.append(concrete(model, job))
                        expected.append(model.do(jobs[-1]))
                    if jobs:
                        assert [shown(o) for o in opened.serve(*jobs)] == expected
                    check(model, opened)
                    if then == "forget":
                        opened.book.forget()
                    elif then == "reopen":
                        break


def check(model, opened) -> None:
    """What can be read is what the model has."""
    for key in KEYS:
        read = opened.read(ReadSession(key))
        assert isinstance(read, SessionRead)
        journal = model.journals.get(key, [])
        assert read.seq == len(journal)
        assert [e.seq for e in read.events] == list(range(1, len(journal) + 1))
        assert [(e.body, e.run_id, e.run_epoch) for e in read.events] == journal
        assert {row.id: row.run_id for row in read.inbox} == {
            row: run for row, run in model.waiting.items() if model.runs[run].key == key
        }
    for name in RUNS:
        row, run = opened.read(ReadRun(name)), model.runs.get(name)
        assert (row is None) == (run is None)
        if isinstance(row, RunRow) and run is not None:
            assert (row.session_key, row.state) == (run.key, run.state)
            assert (row.epoch, row.revivals) == (run.epoch, run.revivals)
    open_work = {run.key for run in model.runs.values() if run.state == "running"}
    open_work |= {model.runs[run].key for run in model.waiting.values()}
    assert set(opened.read(ReadOpenWork())) == open_work
