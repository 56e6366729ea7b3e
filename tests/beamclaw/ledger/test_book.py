"""Decisions of the book: several jobs in one transaction, failures, retention."""

from collections.abc import Sequence

import pytest

from beamclaw.contracts.ledger_errors import LedgerError, StaleClaim
from beamclaw.contracts.ledger_inbox import Receipt
from beamclaw.contracts.ledger_ops import (
    NoteRevival,
    OpenRun,
    PutOutput,
    Reserve,
    Settle,
    Take,
)
from beamclaw.contracts.ledger_reads import (
    ReadOutput,
    ReadRun,
    ReadSession,
    SessionRead,
)
from beamclaw.contracts.ledger_session_ops import DropSession
from beamclaw.contracts.messages import Usage
from beamclaw.ledger import memory
from beamclaw.ledger.retention import KEPT, OUTPUTS_KEPT
from beamclaw.storage import Broken, CommitFailed, StatementFailed
from tests.support.books import Opened, commit, open_book
from tests.support.ledgers import (
    KEY,
    connect_with,
    disk_broken,
    disk_full,
    end,
    event,
    message,
)


@pytest.fixture
def opened(tmp_path):
    with open_book(tmp_path / "ledger.db") as opened:
        yield opened


def inbox_ids(outcomes: Sequence[object]) -> list[int]:
    return [receipt.inbox_id for receipt in outcomes if isinstance(receipt, Receipt)]


def seq_of(opened: Opened, key: str = KEY) -> int:
    read = opened.read(ReadSession(key))
    assert isinstance(read, SessionRead)
    assert len(read.events) == read.seq
    return read.seq


@pytest.mark.parametrize("epoch", [0, 7])
def test_a_ledger_that_was_taken_over_is_not_written(opened, epoch):
    opened.serve(message("r1"))
    opened.book.connection.execute("UPDATE meta SET owner_epoch = ?", (epoch,))

    with pytest.raises(Broken, match=f"it is at owner epoch {epoch}, this one at 1"):
        opened.serve(message("r2"))


def test_jobs_of_one_transaction_see_each_other(opened):
    outcomes = opened.serve(
        message("r1"),
        commit(0, event(), ops=(Take((1,)), OpenRun("r1", 2.0))),
        commit(1, event("ask", "r1"), run="r1"),
        commit(1, event(), run="r1"),
    )
    assert isinstance(outcomes[0], Receipt)
    assert outcomes[1:3] == [1, 2]
    assert isinstance(outcomes[3], LedgerError)
    assert seq_of(opened) == 2


@pytest.mark.parametrize("first", ["accepted first", "accepted between"])
def test_one_run_ends_and_the_next_begins_in_one_transaction(opened, first):
    """In whatever order the rows came up: one run is in progress at any time."""
    opened.serve(message("r1"))
    opened.serve(commit(0, ops=(Take((1,)), OpenRun("r1", 2.0))))
    ending = commit(0, run="r1", ops=(end(),))
    jobs = [message("r2"), ending] if "first" in first else [ending, message("r2")]
    outcomes = opened.serve(*jobs, commit(0, ops=(Take((2,)), OpenRun("r2", 5.0))))
    assert not any(isinstance(outcome, Exception) for outcome in outcomes)
    read = opened.read(ReadSession(KEY))
    assert isinstance(read, SessionRead)
    assert read.open_run is not None
    assert read.open_run.run_id == "r2"


def reserve(run: str) -> Reserve:
    return Reserve(
        run_id=run,
        attempt=1,
        agent="a",
        provider="p",
        model="m",
        at=1.0,
        bound=Usage(1, 1),
    )


def test_a_run_lives_and_dies_in_one_transaction(opened):
    outcomes = opened.serve(
        message("r1"),
        commit(0, ops=(Take((1,)), OpenRun("r1", 2.0))),
        commit(0, ops=(reserve("r1"),), run="r1"),
        commit(0, ops=(Settle("r1", 1, 2.0, Usage(1, 1)), end()), run="r1"),
        commit(0, event(), run="r1"),
    )
    assert outcomes[1:4] == [0, 0, 0]
    assert isinstance(outcomes[4], StaleClaim)
    assert opened.read(ReadRun("r1")).state == "ended"


def test_a_guilty_row_costs_one_more_transaction_each_and_nobody_else(opened):
    opened.serve(*[message(f"r{n}", f"k{n}") for n in range(5)])
    jobs = [commit(0, event(), key=f"k{n}") for n in range(5)]
    jobs[2] = commit(0, event(), event(body=None), key="k2")
    outcomes = opened.serve(*jobs)
    assert [type(outcome) for outcome in outcomes] == [int, int, StatementFailed] + [
        int
    ] * 2
    assert opened.serve(commit(0, event(), key="k2")) == [1]
    assert [seq_of(opened, f"k{n}") for n in range(5)] == [1] * 5


def test_a_message_that_cannot_be_written_does_not_count_as_waiting(tmp_path):
    with open_book(tmp_path / "ledger.db", inbox_limit=1) as opened:
        (failed,) = opened.serve(message("r1", body=None))
        assert isinstance(failed, StatementFailed)
        assert isinstance(opened.serve(message("r1"))[0], Receipt)


def test_a_full_disk_is_told_in_words_and_passes(tmp_path):
    full = False

    def fault(sql: str) -> None:
        if full and "INSERT INTO events" in sql:
            raise disk_full()

    with open_book(tmp_path / "ledger.db", connect=connect_with(fault)) as opened:
        opened.serve(message("r1"), message("r2", "k2"))
        full = True
        failed, taken = opened.serve(
            commit(0, event()), commit(0, ops=(Take((2,)),), key="k2")
        )
        assert "the disk is full" in str(failed)
        assert taken == 0
        full = False
        assert opened.serve(commit(0, event())) == [1]


def test_an_error_at_commit_is_not_tried_again(tmp_path):
    broken, tries = False, 0

    def fault(sql: str) -> None:
        nonlocal tries
        if broken and sql == "COMMIT":
            tries += 1
            raise disk_broken()

    with open_book(tmp_path / "ledger.db", connect=connect_with(fault)) as opened:
        opened.serve(message("r1"))
        broken = True
        with pytest.raises(CommitFailed, match="the disk reported an error"):
            opened.serve(commit(0, event()), message("r2"))
        assert tries == 1


def test_what_is_remembered_is_bounded(opened, monkeypatch):
    monkeypatch.setattr(memory, "REMEMBERED", 3)
    opened.serve(*[message(f"r{n}", f"k{n}") for n in range(10)])
    for n in range(10):
        ops = (Take((n + 1,)), OpenRun(f"r{n}", 2.0))
        assert opened.serve(commit(0, event(), ops=ops, key=f"k{n}")) == [1]
    for n in range(10):
        assert opened.serve(commit(1, event(), key=f"k{n}", run=f"r{n}")) == [2]
    known = opened.book._memory
    assert max(len(known.sessions), len(known.runs)) <= 4


def test_of_what_was_deleted_nothing_is_remembered(opened):
    for number in range(1, 4):
        run, key = f"r{number}", f"agent:main:{number}"
        begin = (Take((number,)), OpenRun(run, 2.0))
        settle = Settle(run, 1, 3.0, Usage(1, 1))
        opened.serve(message(run, key), commit(0, key=key, ops=begin))
        assert opened.serve(
            commit(0, key=key, run=run, ops=(reserve(run),)),
            commit(0, key=key, run=run, ops=(settle, end(run))),
            commit(0, key=key, ops=(DropSession(9.0),)),
        ) == [0, 0, 0]
    known = opened.book._memory
    assert not known.sessions
    assert not known.runs
    assert {purse.scope for purse in known.spent} == {"tenant", "agent"}


def test_taken_messages_are_kept_a_week_in_small_steps(opened):
    total = 1200
    for n in range(total):
        opened.serve(message(f"r{n}", at=1000.0), commit(0, ops=(Take((n + 1,)),)))
    waiting = opened.serve(message("waits", at=1000.0))[0]
    opened.now[0] = 1000.0 + KEPT + 1
    opened.serve(message("r0 again", external_id="id of r0", at=opened.now[0]))

    def left() -> list[int]:
        rows = opened.book.connection.execute("SELECT id FROM inbox ORDER BY id")
        return [row[0] for row in rows.fetchall()]

    sizes: list[int] = []
    for n in range(8):
        opened.now[0] += 1.0
        opened.serve(message(f"later {n}", at=opened.now[0]))
        sizes.append(len(left()))
    assert sizes[0] > total // 2  # not all at once
    assert left()[0] == waiting.inbox_id  # which is kept, however old
    assert len(left()) == 1 + 8
    again = opened.serve(message("new", external_id="id of r0", at=opened.now[0]))[0]
    assert not again.duplicate


def test_old_messages_go_though_the_clock_was_put_back(opened):
    opened.now[0] = 365 * 86_400.0
    opened.serve(message("of tomorrow", at=opened.now[0]))
    opened.now[0] = 1000.0
    opened.serve(message("r1"), commit(0, ops=(Take((2,)),)))
    opened.now[0] = 1000.0 + KEPT + 1
    opened.serve(message("later", at=opened.now[0]))
    again = opened.serve(message("r1 again", external_id="id of r1"))[0]
    assert not again.duplicate


def test_ids_of_messages_are_never_given_twice(tmp_path):
    path = tmp_path / "ledger.db"
    with open_book(path) as opened:
        opened.serve(message("r1"), commit(0, ops=(Take((1,)),)))
    with open_book(path) as opened:
        opened.now[0] += KEPT * 2
        assert inbox_ids(opened.serve(message("r2"))) == [2]
        opened.serve(commit(0, ops=(Take((2,)),)))
    with open_book(path) as opened:
        assert inbox_ids(opened.serve(message("r3"))) == [3]


def test_outputs_of_tools_go_when_they_are_old(opened):
    def put(pointer: str, at: float) -> PutOutput:
        return PutOutput(
            pointer=pointer,
            run_id="r1",
            at=at,
            length=2,
            pieces=(b"a", b"b"),
            untrusted=False,
        )

    def kept() -> list[bool]:
        names = ("old", "older", "young", "new")
        return [opened.read(ReadOutput(name)) is not None for name in names]

    opened.serve(message("r1"))
    opened.serve(commit(0, ops=(Take((1,)), OpenRun("r1", 2.0))))
    opened.now[0] = 1_000.0
    for name, at in (("older", 10.0), ("old", 20.0), ("young", 900.0)):
        opened.serve(commit(None, run="r1", ops=(put(name, at),)))
    assert kept() == [True, True, True, False]
    opened.now[0] = OUTPUTS_KEPT + 500.0
    opened.serve(commit(None, run="r1", ops=(put("new", opened.now[0]),)))
    assert kept() == [False, False, True, True]


def test_runs_that_begin_at_once_are_looked_up_with_one_statement(opened):
    keys = [f"agent:main:{n}" for n in range(8)]
    opened.serve(*[message(f"r/{key}", key) for key in keys])
    begun = [commit(0, ops=(OpenRun(f"run/{key}", 2.0),), key=key) for key in keys]
    said: list[str] = []
    opened.book.connection.set_trace_callback(said.append)
    assert opened.serve(*begun) == [0] * 8
    assert sum("FROM runs" in each for each in said) == 1
    # And so are those that a node goes on with when it starts.
    opened.book.forget()
    said.clear()
    revived = [commit(0, ops=(NoteRevival(f"run/{key}"),), key=key) for key in keys]
    assert opened.serve(*revived) == [0] * 8
    opened.book.connection.set_trace_callback(None)
    assert sum("SELECT id, run_id" in each for each in said) == 1
