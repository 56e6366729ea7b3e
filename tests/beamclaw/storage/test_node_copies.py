"""Torn, cut and mixed-up copies of node.db: whole again, or refused and left alone.

The same as for a ledger (see `test_copies`), on the other file of a node. In it stands who
is let in: a key that was revoked may not be good again because a disk has lost a page.
"""

import random
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import attrs
import pytest

from beamclaw.contracts.store import (
    AccessRows,
    ChangeAccess,
    ClaimTenant,
    DataFolderError,
    DeviceRow,
    KeyRow,
    ReadAccess,
)
from beamclaw.ledger.schema import LEDGER
from beamclaw.storage import (
    Broken,
    StatementFailed,
    Writes,
    _examining,
    connect_sqlite,
    open_database,
)
from beamclaw.store.book import Job, NodeBook
from beamclaw.store.schema import NODE
from tests.beamclaw.storage.test_copies import (
    FRAME,
    PAGE,
    SHAPES,
    TURNS,
    WITH_LOG,
    Copy,
    Found,
    commits,
    cuts,
    half_worked_in,
    log_of,
    take,
)

# In the first of them the key is good, in the second it is void.
OLD, REVOKED = 4, 8


def device(number: int) -> DeviceRow:
    body = b'"%d %s"' % (number, b"and so on " * (number % 5 * 150))
    return DeviceRow(f"d{number:03}", body)


def change(number: int) -> ChangeAccess:
    """One more device each time; a key is made, and revoked later."""
    hash_ = None if number >= REVOKED else b"h" * 32
    return ChangeAccess((device(number), KeyRow("k", hash_, b"{}")))


@attrs.frozen
class Opened:
    """Writes and reads, one after the other."""

    writes: Writes[Job]

    def serve(self, *jobs: Job) -> Sequence[object]:
        return self.writes.serve(jobs)

    def grow(self, numbers: range) -> None:
        for number in numbers:
            assert self.serve(change(number)) == [None]


@contextmanager
def open_node(path: Path) -> Iterator[Opened]:
    with closing(open_database(path, NODE)) as connection:
        book = NodeBook(connection, str(path), lambda: "node")
        yield Opened(Writes(connection, book))


@pytest.fixture(scope="module")
def shapes(tmp_path_factory) -> dict[str, Copy]:
    path = tmp_path_factory.mktemp("made") / "node.db"
    with open_node(path) as opened:
        opened.serve(ClaimTenant("default"))
        opened.grow(range(OLD))
    with open_node(path) as opened:
        opened.serve(ClaimTenant("default"))
        opened.grow(range(OLD, TURNS))
        before = take(path)
        opened.writes._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        after = take(path)
    return {
        "the log not worked in": before,
        "half worked in": half_worked_in(before, after),
        "worked in": after,
        "closed": take(path),
    }


def look(path: Path, *, exactly: bool = True) -> Found:
    """Open it, read and write; whatever is refused is as it was."""
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    try:
        with open_node(path) as opened:
            return use(opened, exactly=exactly)
    except DataFolderError as error:
        words = str(error)
        assert str(path) in words
        assert {f.name: f.read_bytes() for f in path.parent.iterdir()} == before
        return Found(refused=words)


def use(opened: Opened, *, exactly: bool) -> Found:
    try:
        (rows,) = opened.serve(ReadAccess())
        if isinstance(rows, StatementFailed):
            return Found(broken=True)
        assert isinstance(rows, AccessRows)
        there = len(rows.devices)
        if exactly:
            assert rows.devices == tuple(map(device, range(there)))
            # Good exactly until the transaction that has revoked it.
            assert [key.hash is None for key in rows.keys] == [there > REVOKED]
        answers = opened.serve(change(there), ClaimTenant("default"))
        if any(isinstance(answer, StatementFailed) for answer in answers):
            return Found(broken=True)
    except Broken:  # found out while it is used: the store ends there
        return Found(broken=True)
    return Found(events=there)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_copy_of_both_files_has_everything(shapes, shape, tmp_path):
    path = shapes[shape].put(tmp_path)
    if shape in WITH_LOG:  # an index of the log from elsewhere does not matter
        path.with_name("node.db-shm").write_bytes(random.Random(1).randbytes(32_768))
    assert look(path).events == TURNS


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_a_file_that_is_cut_off_is_refused(shapes, shape, tmp_path):
    whole = shapes[shape]
    for number, size in enumerate(cuts(len(whole.file), 1, 6)):
        copy = attrs.evolve(whole, file=whole.file[:size])
        found = look(copy.put(tmp_path / str(number)))
        # A log that is not worked in may have all that is missing.
        assert found.events == TURNS or found.refused is not None, size
        if whole.log is None:
            assert "is damaged" in str(found.refused)


@pytest.mark.slow
def test_a_log_that_is_cut_off_ends_at_a_transaction(shapes, tmp_path):
    """A kill cuts the last one in the same way: what was acknowledged before stands."""
    whole = shapes["the log not worked in"]
    ends = commits(whole.log)
    assert len(ends) == 1 + TURNS - OLD  # the epoch, then a device each
    for number, size in enumerate(cuts(len(whole.log), 2, 10)):
        copy = attrs.evolve(whole, log=whole.log[:size])
        found = look(copy.put(tmp_path / str(number)))
        there = sum(end <= size for end in ends)
        assert found.refused is None
        assert found.events == max(OLD, OLD - 1 + there), size


@pytest.mark.parametrize("shape", WITH_LOG)
def test_a_byte_that_changed_in_the_log_is_seen(shapes, shape, tmp_path):
    whole = shapes[shape]
    ends = commits(whole.log)
    rng = random.Random(4)
    for number in range(15):
        at = rng.randrange(len(whole.log))
        log = bytearray(whole.log)
        log[at] ^= 0x40
        copy = attrs.evolve(whole, log=bytes(log))
        found = look(copy.put(tmp_path / str(number)))
        if at < 12 or 16 <= at < ends[-2]:
            # Behind it stands a transaction that was acknowledged later.
            assert found.refused is not None, at
            assert "its log cannot be read" in found.refused
        else:
            assert found.refused is not None or found.events >= TURNS - 1, at


@pytest.mark.parametrize("shape", WITH_LOG)
def test_pages_of_zeroes_in_the_log_are_seen(shapes, shape, tmp_path):
    whole = shapes[shape]
    for number, end in enumerate(commits(whole.log)[:-2]):
        log = bytearray(whole.log)
        log[end - FRAME : end] = bytes(FRAME)
        copy = attrs.evolve(whole, log=bytes(log))
        found = look(copy.put(tmp_path / str(number)))
        assert "its log cannot be read" in str(found.refused)


@pytest.mark.parametrize("kind", ["flipped", "zeroed", "swapped"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_page_that_changed_is_seen_unless_it_is_only_text(
    shapes, shape, kind, tmp_path
):
    whole, rng = shapes[shape], random.Random(5)
    pages = len(whole.file) // PAGE
    for number in range(8):
        file = bytearray(whole.file)
        page = slice(at := rng.randrange(pages) * PAGE, at + PAGE)
        if kind == "flipped":
            file[at + rng.randrange(12)] ^= 1 << rng.randrange(8)  # the page's header
        elif kind == "zeroed":
            file[page] = bytes(PAGE)
        else:
            other = rng.randrange(pages) * PAGE
            file[page] = whole.file[other : other + PAGE]
        copy = attrs.evolve(whole, file=bytes(file))
        found = look(copy.put(tmp_path / str(number)), exactly=False)
        assert found.refused or found.broken or found.events == TURNS


def test_a_page_that_changed_and_was_not_looked_at_is_found_when_it_is_used(
    shapes, tmp_path, monkeypatch
):
    monkeypatch.setattr(_examining, "LOOKED_THROUGH", 0)
    whole, outcomes = shapes["closed"], set[tuple[bool, bool]]()
    for at in range(0, len(whole.file), PAGE):
        file = bytearray(whole.file)
        file[at] ^= 0xFF
        copy = attrs.evolve(whole, file=bytes(file))
        found = look(copy.put(tmp_path / str(at)), exactly=False)
        outcomes.add((found.refused is not None, found.broken))
    assert {(True, False), (False, True)} <= outcomes


def test_a_log_from_earlier_days_is_refused(shapes, tmp_path):
    """Put back from a backup, say, without its file: keys would be good again."""
    path = tmp_path / "now" / "node.db"
    path.parent.mkdir()
    logs: list[bytes] = []
    for number in range(REVOKED - 2, REVOKED + 2):
        with open_node(path) as opened:
            opened.serve(ClaimTenant("default"))  # as every start of a node does
            opened.grow(range(number, number + 1))
            logs.append(log_of(path).read_bytes())
    # The first one has made the tables; with what it says of the file that is no whole one.
    words = ["is damaged", *["the log beside it is from earlier days"] * 2]
    for number, (log, why) in enumerate(zip(logs, words, strict=False)):
        copy = Copy(path.read_bytes(), log, "node.db")
        found = look(copy.put(tmp_path / str(number)))
        assert why in str(found.refused)


def test_the_log_of_a_ledger_is_refused(shapes, tmp_path):
    other = tmp_path / "ledger.db"
    with closing(open_database(other, LEDGER)) as connection:
        connection.execute("INSERT INTO meta VALUES ('default', 1)")
        log = log_of(other).read_bytes()
        copy = attrs.evolve(shapes["closed"], log=log)
        found = look(copy.put(tmp_path / "here"))
    assert found.refused is not None


def test_a_file_without_one_of_its_tables_is_refused(shapes, tmp_path):
    path = shapes["closed"].put(tmp_path)
    with closing(connect_sqlite(f"{path.as_uri()}?mode=rw")) as connection:
        connection.execute("DROP TABLE api_keys")
    assert "it has no api_keys" in str(look(path).refused)


def test_a_log_that_was_made_and_never_written_is_nothing(shapes, tmp_path):
    """The power failed after the file had its length, and before it had its content."""
    copy = attrs.evolve(shapes["closed"], log=bytes(32))
    assert look(copy.put(tmp_path)).events == TURNS
