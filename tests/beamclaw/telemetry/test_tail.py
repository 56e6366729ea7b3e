"""What is proved: the log's last lines are read by their place, and never too many."""

import pytest

from beamclaw.contracts.logs import ReadLog
from beamclaw.telemetry.tail import Tail


def filled(count, limit=1_000):
    tail = Tail(limit)
    for number in range(count):
        tail.add(f"line {number:04}\n")  # ten bytes with its end
    return tail


def test_the_last_lines_are_given_in_their_order():
    read = filled(9).read(ReadLog(lines=2))
    assert read.lines == ("line 0007", "line 0008")
    assert (read.cursor, read.size, read.skipped, read.reset) == (90, 90, 0, False)


def test_behind_a_cursor_comes_what_is_new():
    tail = filled(3)
    cursor = tail.read(ReadLog()).cursor
    assert tail.read(ReadLog(cursor=cursor)).lines == ()
    tail.add("a\nb\n")
    assert tail.read(ReadLog(cursor=cursor)).lines == ("a", "b")


def test_what_is_not_kept_any_more_is_counted():
    tail = filled(200)
    read = tail.read(ReadLog(cursor=0))
    assert len(read.lines) == 100
    assert read.skipped == 1_000
    assert read.size == 2_000


@pytest.mark.parametrize(("size", "count"), [(9, 0), (10, 1), (35, 3), (1_000, 100)])
def test_no_more_bytes_are_given_than_wanted(size, count):
    read = filled(100).read(ReadLog(cursor=0, size=size, lines=5_000))
    assert len(read.lines) == count
    assert read.skipped == 1_000 - 10 * count


def test_a_log_that_began_anew_is_read_from_its_start():
    read = filled(2).read(ReadLog(cursor=500))
    assert read.reset
    assert len(read.lines) == 2


def test_bytes_count_and_not_characters():
    tail = Tail(10)
    tail.add("ääää")
    tail.add("öö")
    assert tail.read(ReadLog()).lines == ("öö",)


def test_a_line_longer_than_all_is_not_kept():
    tail = Tail(10)
    tail.add("x" * 50)
    read = tail.read(ReadLog(cursor=0))
    assert (read.lines, read.skipped) == ((), 51)
