"""Many rows with one statement."""

import sqlite3

import pytest

from beamclaw.storage import Rows

PUT = Rows("INSERT INTO t (owner, a, b) VALUES", width=2, shared=1)
FIND = Rows("SELECT a FROM t WHERE a IN (VALUES", width=1, tail=") ORDER BY a")


@pytest.fixture
def statements():
    return []


@pytest.fixture
def connection(statements):
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (owner, a, b)")
    connection.set_trace_callback(statements.append)
    yield connection
    connection.close()


@pytest.mark.parametrize("count", [1, 2, 31, 32, 33, 64, 100])
def test_any_number_of_rows_is_written_in_few_statements(connection, statements, count):
    flat = [value for n in range(count) for value in (n, f"b{n}")]
    assert PUT.write(connection, ("me",), flat) == count
    written = [s for s in statements if s.startswith("INSERT")]
    assert len(written) == -(-count // 32)
    rows = connection.execute("SELECT * FROM t ORDER BY a").fetchall()
    assert rows == [("me", n, f"b{n}") for n in range(count)]


@pytest.mark.parametrize("count", [0, 1, 33, 100])
def test_any_number_of_rows_is_looked_up(connection, count):
    flat = [value for n in range(50) for value in (n, None)]
    PUT.write(connection, ("me",), flat)
    found = FIND.read(connection, list(range(count)))
    assert [row[0] for row in found] == list(range(min(count, 50)))
