"""What a sub-agent spends is paid by the conversation that it works for, too."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import attrs
import pytest

from beamclaw.contracts.budgets import Cap, Spent, session_purse
from beamclaw.contracts.ledger_errors import BudgetReached, TimeReached
from beamclaw.contracts.ledger_inbox import Receipt
from beamclaw.contracts.ledger_ops import (
    EndRun,
    Op,
    OpenChild,
    OpenRun,
    Reserve,
    Settle,
    Take,
    Work,
)
from beamclaw.contracts.ledger_reads import ReadRoot, ReadSession, SessionRead
from beamclaw.contracts.ledger_rows import RootRow
from beamclaw.contracts.ledger_session_ops import DropSession, RenewSession
from beamclaw.contracts.ledger_usage import ReadPurses
from beamclaw.contracts.messages import Usage
from beamclaw.contracts.subagents import ChildKind
from beamclaw.ledger.schema import LEDGER
from beamclaw.storage import open_database
from tests.support.books import Opened, commit, open_book
from tests.support.ledgers import message

KEY = "agent:a:one"
SUB, LEAF = "agent:a:subagent:1", "agent:a:subagent:2"
OTHER = "agent:a:two"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def book(path: Path) -> Iterator[Opened]:
    with open_book(path) as opened:
        family(opened)
        yield opened


def write(book: Opened, key: str, *ops: Op) -> object:
    return book.serve(commit(None, key=key, ops=ops))[0]


def begin(book: Opened, run: str, key: str) -> None:
    (receipt,) = book.serve(message(run, key))
    assert isinstance(receipt, Receipt)
    take(book, key)


def take(book: Opened, key: str) -> None:
    """Its session begins the turn that its message wants."""
    read = book.read(ReadSession(key))
    assert isinstance(read, SessionRead)
    (row,) = read.inbox
    assert write(book, key, Take((row.id,)), OpenRun(row.run_id, 1.0)) == 0


def child(run: str, of: str, key: str, kind: ChildKind = "spawn") -> OpenChild:
    return OpenChild(
        message=message(run, key, source="agent", account="agent"),
        run_id=of,
        call_id=f"call of {run}",
        kind=kind,
        mode="announce",
        most_of_session=5,
        most=8,
    )


def family(book: Opened) -> None:
    """A conversation, a sub-agent of it, and one of that; all of them at work."""
    begin(book, "r", KEY)
    assert write(book, KEY, child("c", "r", SUB)) == 0
    take(book, SUB)
    assert write(book, SUB, child("d", "c", LEAF)) == 0
    take(book, LEAF)


def reserve(run: str, attempt: int = 1, *caps: Cap) -> Reserve:
    return Reserve(
        run_id=run,
        attempt=attempt,
        agent="a",
        provider="p",
        model="m",
        at=1.0,
        bound=Usage(10, 20),
        cost=30,
        caps=caps,
    )


def settle(run: str, attempt: int = 1) -> Settle:
    return Settle(run, attempt, 2.0, Usage(1, 2), 3)


def work(run: str, used: int, reserve: int, *caps: Cap) -> Work:
    return Work(run_id=run, agent="a", at=1.0, used=used, reserve=reserve, caps=caps)


def over(run: str, seconds: float = 0.0) -> EndRun:
    return EndRun(
        run_id=run,
        at=3.0,
        outcome="ok",
        stop_reason="stop",
        text="",
        usage=Usage(),
        seconds=seconds,
    )


def spent(book: Opened, *keys: str) -> list[Spent]:
    rows = book.read(ReadPurses(tuple(map(session_purse, keys))))
    assert isinstance(rows, tuple)
    return [row.spent for row in rows]


BOUND, REAL, NONE = Spent(30, 30, 1), Spent(3, 3, 1), Spent()


def test_the_top_of_the_chain_pays_and_who_has_spent_it_but_nobody_between(
    book: Opened,
) -> None:
    assert write(book, LEAF, reserve("d")) == 0
    assert spent(book, KEY, SUB, LEAF) == [BOUND, NONE, BOUND]
    assert write(book, LEAF, settle("d")) == 0
    assert spent(book, KEY, SUB, LEAF) == [REAL, NONE, REAL]
    assert book.read(ReadRoot(LEAF)) == book.read(ReadRoot(SUB)) == RootRow(KEY, "main")
    assert book.read(ReadRoot(KEY)) is None


def test_a_message_to_another_session_is_that_ones_own(book: Opened) -> None:
    assert write(book, KEY, child("s", "r", OTHER, kind="send")) == 0
    take(book, OTHER)
    assert write(book, OTHER, reserve("s")) == 0
    assert spent(book, KEY, OTHER) == [NONE, BOUND]
    assert book.read(ReadRoot(OTHER)) is None


def test_after_the_ledger_was_opened_again_it_is_settled_where_it_was_reserved(
    path: Path,
) -> None:
    with open_book(path) as book:
        family(book)
        assert write(book, LEAF, reserve("d"), work("d", 0, 1_000)) == 0
    with open_book(path) as book:
        assert write(book, LEAF, Settle("d", 1, 2.0, None), over("d", 0.5)) == 0
        assert spent(book, KEY, LEAF) == [attrs.evolve(BOUND, ms=500)] * 2
        assert write(book, SUB, reserve("c")) == 0
        assert spent(book, KEY)[0].calls == 2


@pytest.mark.parametrize("measure", ["calls", "tokens", "cost"])
def test_a_cap_of_the_root_is_one_of_all_who_work_for_it(book: Opened, measure) -> None:
    limit = 2 * BOUND.of(measure)
    own, root = Cap("session", measure, limit, "s"), Cap("root", measure, limit, "s")
    assert write(book, KEY, reserve("r", 1, own)) == 0
    assert write(book, SUB, reserve("c", 1, own, root)) == 0
    refused = write(book, LEAF, reserve("d", 1, own, root))
    assert isinstance(refused, BudgetReached)
    assert "the conversation that this sub-agent works for" in str(refused)
    assert isinstance(write(book, KEY, reserve("r", 2, own)), BudgetReached)
    assert spent(book, LEAF) == [NONE]


def test_a_cap_of_the_root_is_none_of_the_sub_agents_own_purse(book: Opened) -> None:
    """Each has the limits of its own agent."""
    caps = Cap("session", "calls", 1, "own"), Cap("root", "calls", 5, "root")
    assert write(book, KEY, reserve("r")) == 0
    assert write(book, SUB, reserve("c", 1, *caps)) == 0
    refused = write(book, SUB, reserve("c", 2, *caps))
    assert isinstance(refused, BudgetReached)
    assert "this conversation may use 1 calls" in str(refused)


def test_the_time_of_a_sub_agent_is_its_roots_too(book: Opened) -> None:
    cap = Cap("root", "seconds", 1_000, "limits.session.seconds")
    assert write(book, KEY, work("r", 0, 400)) == 0
    refused = write(book, LEAF, work("d", 0, 700, cap))
    assert isinstance(refused, TimeReached)
    assert refused.left == 600
    assert write(book, LEAF, work("d", 0, 600, cap)) == 0
    assert write(book, LEAF, work("d", 100, 0)) == 0
    assert [one.ms for one in spent(book, KEY, SUB, LEAF)] == [500, 0, 100]
    assert write(book, LEAF, over("d", 0.3)) == 0
    assert [one.ms for one in spent(book, KEY, SUB, LEAF)] == [700, 0, 300]


@pytest.mark.parametrize("again", [False, True])
def test_what_was_reserved_before_its_root_began_anew_is_not_in_the_new_purse(
    path: Path, again: bool
) -> None:
    with open_book(path) as book:
        family(book)
        assert write(book, LEAF, reserve("d"), work("d", 0, 1_000)) == 0
        assert write(book, KEY, RenewSession("new")) == 0
        if not again:
            assert write(book, LEAF, settle("d"), work("d", 100, 0)) == 0
            assert spent(book, KEY) == [NONE]
    with open_book(path) as book:
        if again:
            assert write(book, LEAF, settle("d"), work("d", 100, 0)) == 0
        assert spent(book, KEY, LEAF) == [NONE, attrs.evolve(REAL, ms=100)]
        # What comes then is the new conversation's, where the answer will come.
        assert write(book, LEAF, reserve("d", 2), work("d", 100, 50)) == 0
        assert spent(book, KEY) == [attrs.evolve(BOUND, ms=50)]


def drop(book: Opened, *keys: str) -> None:
    for key in keys:
        assert write(book, key, DropSession(5.0)) == 0


@pytest.mark.parametrize("again", [False, True])
def test_without_its_root_a_sub_agent_pays_for_itself(path: Path, again: bool) -> None:
    """It has worked to its end before; somebody goes on with it."""
    with open_book(path) as book:
        family(book)
        for run, key in (("d", LEAF), ("c", SUB), ("r", KEY)):
            assert write(book, key, over(run)) == 0
        drop(book, KEY)
        begin(book, "r2", KEY)  # another conversation of that key
        if not again:
            begin(book, "c2", SUB)
            assert write(book, SUB, reserve("c2")) == 0
            assert spent(book, KEY, SUB) == [NONE, BOUND]
    if again:
        with open_book(path) as book:
            begin(book, "c2", SUB)
            assert write(book, SUB, reserve("c2")) == 0
            assert spent(book, KEY, SUB) == [NONE, BOUND]
            assert book.read(ReadRoot(SUB)) is None


def test_in_the_transaction_that_deletes_its_root_it_pays_for_itself(
    book: Opened,
) -> None:
    for run, key in (("d", LEAF), ("c", SUB), ("r", KEY)):
        assert write(book, key, over(run)) == 0
    begin(book, "c2", SUB)
    outcomes = book.serve(
        commit(None, key=KEY, ops=(DropSession(5.0),)),
        commit(None, key=SUB, ops=(reserve("c2"),)),
        message("r2", KEY),
    )
    assert outcomes[:2] == [0, 0]
    assert spent(book, KEY, SUB) == [NONE, BOUND]


def test_what_a_deleted_sub_agent_has_spent_stays_its_roots(book: Opened) -> None:
    assert write(book, LEAF, reserve("d"), settle("d"), over("d")) == 0
    drop(book, LEAF)
    assert spent(book, KEY, LEAF) == [REAL, NONE]


def test_whoever_is_deleted_in_between_the_root_pays(book: Opened) -> None:
    for run, key in (("d", LEAF), ("c", SUB)):
        assert write(book, key, over(run)) == 0
    drop(book, SUB)
    begin(book, "d2", LEAF)
    assert write(book, LEAF, reserve("d2")) == 0
    assert spent(book, KEY, LEAF) == [BOUND, BOUND]


OLD = """
    INSERT INTO sessions
        (id, tenant, owner_epoch, key, session_id, agent, seq, created_at, updated_at)
    VALUES (1, 'default', 1, ?, 's-1', 'main', 0, 1.0, 1.0),
        (2, 'default', 1, ?, 's-2', 'main', 0, 1.0, 1.0),
        (3, 'default', 1, ?, 's-3', 'main', 0, 1.0, 1.0),
        (4, 'default', 1, ?, 's-4', 'main', 0, 1.0, 1.0)
"""
OLD_RUN = """
    INSERT INTO runs (id, tenant, owner_epoch, run_epoch, run_id, session, state,
        revivals, text, input, output, cached, estimated)
    VALUES (1, 'default', 1, 1, 'd', 3, 'running', 0, '', 0, 0, 0, 0)
"""
OLD_USAGE = """
    INSERT INTO usage (run, attempt, tenant, owner_epoch, run_epoch, agent, provider,
        model, at, bound_input, bound_output, bound_cached, bound_cost)
    VALUES (1, 1, 'default', 1, 1, 'a', 'p', 'm', 1.0, 10, 20, 0, 30)
"""
OLD_CHILD = """
    INSERT INTO children VALUES (?, 'default', 1, ?, ?, ?, 'call', ?, 'announce', ?,
        1.0, 0, 0, 0, 0.0, 0, 0)
"""


def test_in_a_ledger_of_the_release_before_the_root_is_found(path: Path) -> None:
    """What was reserved then is only where it was put then."""
    before = attrs.evolve(LEDGER, migrations=LEDGER.migrations[:6], rises=None)
    with closing(open_database(path, before)) as connection:
        connection.execute("BEGIN")
        connection.execute(OLD, (KEY, SUB, LEAF, OTHER))
        connection.execute(OLD_RUN)
        connection.execute(OLD_USAGE)
        for row in (
            ("c", 2, 1, "r", "spawn", "closed"),
            ("d", 3, 2, "c", "spawn", "open"),
            ("s", 4, 1, "r", "send", "closed"),
        ):
            connection.execute(OLD_CHILD, row)
        for key in (KEY, LEAF):
            row = "session", key, "", "default", 1, 30, 30, 1, 0
            connection.execute("INSERT INTO spent VALUES (?,?,?,?,?,?,?,?,?)", row)
        connection.execute("COMMIT")
    with open_book(path) as book:
        assert write(book, LEAF, settle("d"), reserve("d", 2)) == 0
        assert spent(book, KEY, SUB) == [Spent(60, 60, 2), NONE]
        assert spent(book, LEAF) == [Spent(33, 33, 2)]
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT id, root FROM sessions ORDER BY id")
        assert rows.fetchall() == [(1, None), (2, 1), (3, 1), (4, None)]
