"""The disk of a world: what its faults leave in either database."""

import random
import sqlite3
from pathlib import Path

import pytest
import trio

from tests.simulation.disk import Disk, DiskFault, Faulty
from tests.simulation.trace import Trace

NODE, LEDGER = "node.db", "ledger.db"


def disk_of(crashed: list[str]) -> Disk:
    return Disk(Trace(), random.Random(1), crashed.append)


def opened(disk: Disk, path: Path) -> Faulty:
    connection = disk.connect(path.as_uri())
    connection.execute("CREATE TABLE IF NOT EXISTS t (x)")
    return connection


def put(connection: Faulty, value: int) -> None:
    connection.execute("BEGIN")
    connection.execute("INSERT INTO t VALUES (?)", (value,))
    connection.execute("COMMIT")


def left(path: Path) -> list[int]:
    connection = sqlite3.connect(path)
    try:
        return [row[0] for row in connection.execute("SELECT x FROM t ORDER BY x")]
    finally:
        connection.close()


@pytest.mark.parametrize(
    "due, there",
    [
        ("commit-lost", []),
        ("commit-unknown", [1]),
        ("commit-crash", []),
        ("committed-crash", [1]),
        ("statement", []),
    ],
)
@pytest.mark.parametrize("name", [NODE, LEDGER])
async def test_a_fault_leaves_what_its_name_says(
    tmp_path: Path,
    autojump_clock: trio.testing.MockClock,
    name: str,
    due: DiskFault,
    there: list[int],
) -> None:
    crashed = list[str]()
    disk = disk_of(crashed)
    connection = opened(disk, tmp_path / name)
    if name == NODE:
        disk.store.append(due)
    else:
        disk.due = due

    with pytest.raises(sqlite3.OperationalError):
        put(connection, 1)
    disk.pull()

    assert left(tmp_path / name) == there
    assert crashed == [due] * due.endswith("crash")
    assert not disk.store
    assert disk.due is None


async def test_a_fault_of_one_database_is_none_of_the_other_and_waits_for_its_own(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    disk = disk_of([])
    disk.store.append("statement")
    node = opened(disk, tmp_path / NODE)
    ledger = opened(disk, tmp_path / LEDGER)

    put(ledger, 1)
    with pytest.raises(sqlite3.OperationalError, match="full"):
        put(node, 2)

    disk.pull()
    later = Disk(Trace(), random.Random(1), lambda _: None, disk.store)
    put(opened(later, tmp_path / NODE), 3)
    later.pull()
    assert (left(tmp_path / LEDGER), left(tmp_path / NODE)) == ([1], [3])
