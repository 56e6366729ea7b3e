"""Torn, cut and mixed-up copies of a ledger: whole again, or refused and left alone.

A ledger as a kill leaves it, in three shapes: its log not worked in, half worked in, and
closed in order. What SQLite can make whole is whole; what was acknowledged and is
missing is said, wherever it can be seen; nothing is changed in a file that is refused.
"""

import os
import random
import shutil
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import attrs
import pytest

from beamclaw.contracts.ledger_reads import ReadSession, SessionRead
from beamclaw.contracts.store import DataFolderError
from beamclaw.ledger.schema import LEDGER
from beamclaw.storage import (
    Broken,
    StatementFailed,
    _examining,
    connect_sqlite,
    open_database,
    survey,
)
from tests.support.books import Opened, commit, open_book
from tests.support.ledgers import KEY, event, message

PAGE = 4096
FRAME = PAGE + 24
SECTOR = 512
TURNS = 12


def body(number: int) -> bytes:
    return b'"%d %s"' % (number, b"and so on " * (number % 5 * 150))


def grow(opened: Opened, numbers: range) -> None:
    for number in numbers:
        (seq,) = opened.serve(commit(number, event(body=body(number))))
        assert seq == number + 1


@attrs.frozen
class Copy:
    """The bytes of a database and of the log beside it, as a kill left them."""

    file: bytes
    log: bytes | None
    name: str = "ledger.db"

    def put(self, folder: Path) -> Path:
        folder.mkdir(exist_ok=True)
        path = folder / self.name
        path.write_bytes(self.file)
        if self.log is not None:
            log_of(path).write_bytes(self.log)
        return path


def log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def take(path: Path) -> Copy:
    log = log_of(path)
    return Copy(
        path.read_bytes(), log.read_bytes() if log.exists() else None, path.name
    )


def half_worked_in(before: Copy, after: Copy) -> Copy:
    """The power failed while the log of *before* was worked in."""
    rng = random.Random(3)
    half = bytearray(after.file)
    for start in range(PAGE, len(before.file), PAGE):
        if rng.random() < 0.5:
            half[start : start + PAGE] = before.file[start : start + PAGE]
    assert before.log == after.log
    return attrs.evolve(after, file=bytes(half))


@pytest.fixture(scope="module")
def shapes(tmp_path_factory) -> dict[str, Copy]:
    path = tmp_path_factory.mktemp("made") / "ledger.db"
    with open_book(path) as opened:
        opened.serve(message())
        grow(opened, range(4))
    with open_book(path) as opened:
        grow(opened, range(4, TURNS))
        before = take(path)
        opened.writes._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        after = take(path)
    return {
        "the log not worked in": before,
        "half worked in": half_worked_in(before, after),
        "worked in": after,
        "closed": take(path),
    }


SHAPES = ["the log not worked in", "half worked in", "worked in", "closed"]
WITH_LOG = SHAPES[:3]


@attrs.frozen
class Found:
    """What came of opening a copy: how many events are there, or why it was refused."""

    events: int = 0
    refused: str | None = None
    broken: bool = False


def look(path: Path, *, exactly: bool = True) -> Found:
    """Open it, read and write; whatever is refused is as it was."""
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    try:
        with open_book(path) as opened:
            return use(opened, exactly=exactly)
    except DataFolderError as error:
        words = str(error)
        assert str(path) in words
        assert {f.name: f.read_bytes() for f in path.parent.iterdir()} == before
        return Found(refused=words)


def use(opened: Opened, *, exactly: bool) -> Found:
    try:
        read = opened.read(ReadSession(KEY))
        if isinstance(read, StatementFailed):
            return Found(broken=True)
        assert isinstance(read, SessionRead)
        bodies = [found.body for found in read.events]
        if exactly:
            assert bodies == [body(number) for number in range(read.seq)]
        (answer,) = opened.serve(commit(read.seq, event()))
        if isinstance(answer, StatementFailed):
            return Found(broken=True)
        assert answer == read.seq + 1
    except Broken:  # found out while it is used: the ledger ends there
        return Found(broken=True)
    return Found(events=read.seq)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_copy_of_both_files_has_everything(shapes, shape, tmp_path):
    assert look(shapes[shape].put(tmp_path)).events == TURNS


@pytest.mark.parametrize("shape", WITH_LOG)
def test_an_index_of_the_log_from_elsewhere_does_not_matter(shapes, shape, tmp_path):
    path = shapes[shape].put(tmp_path)
    path.with_name("ledger.db-shm").write_bytes(random.Random(1).randbytes(32_768))
    assert look(path).events == TURNS


def cuts(size: int, seed: int, some: int = 20) -> Iterator[int]:
    """Each border of a page, and some places between."""
    rng = random.Random(seed)
    yield from range(0, size, PAGE)
    yield from (rng.randrange(size) for _ in range(some))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_file_that_is_cut_off_is_refused(shapes, shape, tmp_path):
    whole = shapes[shape]
    for number, size in enumerate(cuts(len(whole.file), 1)):
        copy = Copy(whole.file[:size], whole.log)
        found = look(copy.put(tmp_path / str(number)))
        # A log that is not worked in may have all that is missing.
        assert found.events == TURNS or found.refused is not None, size
        if whole.log is None:
            assert "is damaged" in str(found.refused)


def commits(log: bytes) -> list[int]:
    """Where each transaction in *log* ends."""
    return [
        at + FRAME
        for at in range(32, len(log) - FRAME + 1, FRAME)
        if log[at + 4 : at + 8] != b"\0\0\0\0"
    ]


@pytest.mark.slow
def test_a_log_that_is_cut_off_ends_at_a_transaction(shapes, tmp_path):
    """So SQLite has it, and so it must be: a kill cuts the last one in the same way."""
    whole = shapes["the log not worked in"]
    ends = commits(whole.log)
    assert len(ends) == 1 + TURNS - 4  # the epoch, then an event each
    for number, size in enumerate(cuts(len(whole.log), 2)):
        found = look(Copy(whole.file, whole.log[:size]).put(tmp_path / str(number)))
        there = sum(end <= size for end in ends)
        assert found.refused is None
        assert found.events == max(4, 3 + there), size


@pytest.mark.parametrize("shape", WITH_LOG)
def test_a_byte_that_changed_in_the_log_is_seen(shapes, shape, tmp_path):
    whole = shapes[shape]
    ends = commits(whole.log)
    rng = random.Random(4)
    for number in range(40):
        at = rng.randrange(len(whole.log))
        log = bytearray(whole.log)
        log[at] ^= 0x40
        found = look(Copy(whole.file, bytes(log)).put(tmp_path / str(number)))
        if at < 12 or 16 <= at < ends[-2]:
            # Behind it stands a transaction that was acknowledged later.
            assert found.refused is not None, at
            assert "its log cannot be read" in found.refused
            assert "put a backup in its place" in found.refused
        else:
            assert found.refused is not None or found.events >= TURNS - 1, at


@pytest.mark.parametrize("shape", WITH_LOG)
def test_pages_of_zeroes_in_the_log_are_seen(shapes, shape, tmp_path):
    whole = shapes[shape]
    for number, end in enumerate(commits(whole.log)[:-2]):
        log = bytearray(whole.log)
        log[end - FRAME : end] = bytes(FRAME)
        found = look(Copy(whole.file, bytes(log)).put(tmp_path / str(number)))
        assert found.refused is not None
        assert "its log cannot be read" in found.refused


def test_what_was_taken_back_is_not_taken_for_what_came_later(shapes, tmp_path):
    """The power fails in the middle of a commit, over the rest of one that failed."""
    before = shapes["the log not worked in"]
    assert before.log is not None
    begin = len(before.log)

    def then(name: str, statement: str) -> Copy:
        path = before.put(tmp_path / name)
        uri = f"{path.as_uri()}?mode=rw"
        with closing(connect_sqlite(uri)) as connection:
            connection.execute(statement)
            return take(path)

    failed = then("failed", "UPDATE events SET body = randomblob(20000)").log or b""
    after = then("after", "UPDATE meta SET owner_epoch = owner_epoch + 1")
    torn = bytearray(after.log or b"")
    torn[-SECTOR:] = failed[len(torn) - SECTOR : len(torn)]
    for log in (torn, torn + failed[len(torn) :]):
        assert begin < len(log) <= len(failed)
        found = look(Copy(after.file, bytes(log)).put(tmp_path / str(len(log))))
        assert (found.refused, found.events) == (None, TURNS)


@pytest.mark.parametrize("kind", ["flipped", "zeroed", "swapped"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_page_that_changed_in_a_small_file_is_seen_unless_it_is_only_text(
    shapes, shape, kind, tmp_path
):
    """SQLite has no sums over the pages of a file: nobody sees what is in a text."""
    whole, rng = shapes[shape], random.Random(5)
    pages = len(whole.file) // PAGE
    for number in range(30):
        file = bytearray(whole.file)
        page = slice(at := rng.randrange(pages) * PAGE, at + PAGE)
        if kind == "flipped":
            file[at + rng.randrange(12)] ^= 1 << rng.randrange(8)  # the page's header
        elif kind == "zeroed":
            file[page] = bytes(PAGE)
        else:
            other = rng.randrange(pages) * PAGE
            file[page] = whole.file[other : other + PAGE]
        path = Copy(bytes(file), whole.log).put(tmp_path / str(number))
        found = look(path, exactly=False)
        assert found.refused or found.broken or found.events == TURNS


@pytest.mark.parametrize("kind", ["flipped", "zeroed"])
def test_a_page_that_changed_in_a_large_file_is_found_when_it_is_used(
    shapes, kind, tmp_path, monkeypatch
):
    monkeypatch.setattr(_examining, "LOOKED_THROUGH", 0)
    whole, rng, outcomes = shapes["closed"], random.Random(5), set()
    for number in range(30):
        file = bytearray(whole.file)
        at = rng.randrange(len(whole.file) // PAGE) * PAGE
        if kind == "flipped":
            file[at] ^= 0xFF
        else:
            file[at : at + PAGE] = bytes(PAGE)
        try:
            path = Copy(bytes(file), None).put(tmp_path / str(number))
            found = look(path, exactly=False)
        except AssertionError:  # a table that seems to be empty
            continue
        outcomes.add((found.refused is not None, found.broken))
    assert (True, False) in outcomes
    assert (False, True) in outcomes


def test_a_log_from_earlier_days_is_refused(shapes, tmp_path):
    """Put back from a backup, say, without its file."""
    path = tmp_path / "now" / "ledger.db"
    path.parent.mkdir()
    logs = []
    for epoch in (1, 2, 3):
        with closing(open_database(path, LEDGER)) as connection:
            connection.execute("DELETE FROM meta")
            connection.execute("INSERT INTO meta VALUES ('default', ?)", (epoch,))
            logs.append(path.with_name("ledger.db-wal").read_bytes())
    for number, log in enumerate(logs[:2]):
        found = look(Copy(path.read_bytes(), log).put(tmp_path / str(number)))
        assert "the log beside it is from earlier days" in str(found.refused)


def test_a_log_of_another_database_is_refused(shapes, tmp_path):
    other = tmp_path / "other.db"
    with closing(connect_sqlite(f"{other.as_uri()}?mode=rwc")) as connection:
        connection.execute("PRAGMA journal_mode=wal").fetchall()
        connection.execute("PRAGMA application_id=7").fetchall()
        connection.execute("CREATE TABLE mine (a)")
        log = other.with_name("other.db-wal").read_bytes()
        found = look(Copy(shapes["closed"].file, log).put(tmp_path / "here"))
    assert "belongs to another program" in str(found.refused)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_refused_and_nobody_waits_for_it(tmp_path, make):
    path = tmp_path / "ledger.db"
    make(path)
    for opening in (partial(open_database, path, LEDGER), partial(survey, path, {})):
        with pytest.raises(DataFolderError, match=r"ledger\.db is not a file; move"):
            opening()


def test_a_file_without_one_of_its_tables_is_refused(shapes, tmp_path):
    path = shapes["closed"].put(tmp_path)
    with closing(connect_sqlite(f"{path.as_uri()}?mode=rw")) as connection:
        connection.execute("DROP TABLE inbox")
    assert "it has no inbox" in str(look(path).refused)


def test_a_log_that_was_made_and_never_written_is_nothing(shapes, tmp_path):
    """The power failed after the file had its length, and before it had its content."""
    copy = Copy(shapes["closed"].file, bytes(32))
    assert look(copy.put(tmp_path)).events == TURNS


@pytest.mark.slow
def test_a_folder_copied_while_the_node_runs_is_whole_or_refused(tmp_path):
    """File by file, as ``cp`` does: in the middle of commits and of working in."""
    rng, whole = random.Random(6), 0
    path = tmp_path / "ledger.db"
    with open_book(path) as opened:
        opened.serve(message())
        for number in range(40):
            grow(opened, range(number, number + 1))
            if rng.random() < 0.3:
                opened.writes._connection.execute(
                    "PRAGMA wal_checkpoint(PASSIVE)"
                ).fetchall()
            folder = tmp_path / str(number)
            folder.mkdir()
            for name in rng.sample(["ledger.db", "ledger.db-wal"], 2):
                shutil.copy(tmp_path / name, folder)
            found = look(folder / "ledger.db")
            whole += found.events == number + 1
            assert found.refused or found.events == number + 1
    assert whole
