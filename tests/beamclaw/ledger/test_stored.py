"""Tokens that a provider keeps are told apart, also of what is older or erased."""

from contextlib import closing
from pathlib import Path

import attrs
import pytest

from beamclaw.contracts.ledger import Erase, Erased
from beamclaw.contracts.ledger_inbox import Receipt
from beamclaw.contracts.ledger_ops import EndRun, OpenRun, Reserve, Settle, Take
from beamclaw.contracts.ledger_reads import ReadRun
from beamclaw.contracts.ledger_rows import RunRow
from beamclaw.contracts.ledger_session_ops import DropSession
from beamclaw.contracts.ledger_usage import By, ReadSums, ReadUsage
from beamclaw.contracts.messages import Usage
from beamclaw.ledger.schema import LEDGER
from beamclaw.storage import open_database
from tests.support.books import Opened, commit, open_book
from tests.support.ledgers import KEY, message

USED = Usage(100, 5, 30, stored=60)
BYS: tuple[By, ...] = ("day", "provider", "model", "agent")


def play(book: Opened) -> None:
    """A turn of one call."""
    (receipt,) = book.serve(message("r"))
    assert isinstance(receipt, Receipt)
    reserve = Reserve(
        run_id="r",
        attempt=1,
        agent="main",
        provider="p",
        model="m",
        at=1.0,
        bound=Usage(200, 50, estimated=True),
        cost=9,
    )
    end = EndRun(
        run_id="r", at=2.0, outcome="ok", stop_reason="stop", text="", usage=USED
    )
    ops = Take((receipt.inbox_id,)), OpenRun("r", 1.0), reserve
    assert book.serve(commit(0, ops=ops)) == [0]
    assert book.serve(commit(0, ops=(Settle("r", 1, 2.0, USED, 7), end))) == [0]


def sums(book: Opened, by: By) -> list[tuple[Usage, int]]:
    rows = book.read(ReadSums(by))
    assert isinstance(rows, tuple)
    return [(row.usage, row.cost) for row in rows]


@pytest.mark.parametrize("by", BYS)
def test_they_are_summed_before_and_after_their_session_is_erased(
    tmp_path: Path, by: By
) -> None:
    with open_book(tmp_path / "ledger.db") as book:
        play(book)
        assert sums(book, by) == [(USED, 7)]
        days = book.read(ReadUsage())
        assert isinstance(days, tuple)
        assert [day.usage for day in days] == [USED]
        run = book.read(ReadRun("r"))
        assert isinstance(run, RunRow)
        assert run.usage == USED
        book.serve(commit(0, ops=(DropSession(10.0),), key=KEY))
        more = True
        while more:
            (step,) = book.serve(Erase(at=20.0 + 30 * 86_400.0))
            assert isinstance(step, Erased)
            more = step.more
        query = "SELECT count(*) FROM usage"
        assert book.book.connection.execute(query).fetchone() == (0,)
        assert sums(book, by) == [(USED, 7)]


def test_of_what_is_older_nothing_was_kept(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    before = attrs.evolve(LEDGER, migrations=LEDGER.migrations[:7], rises=None)
    with closing(open_database(path, before)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("BEGIN")
        connection.execute(
            "INSERT INTO usage_sums VALUES"
            " ('1970-01-01', 'main', 'p', 'm', 'default', 1, 1, 100, 5, 30, 0, 7)"
        )
        connection.execute("COMMIT")
    with open_book(path) as book:
        assert sums(book, "day") == [(Usage(100, 5, 30), 7)]
