"""The page of figures says what the stored figures say."""

import orjson

from tests.benchmarks.page import DATA, PAGE, page
from tests.benchmarks.report import Row, parse


def test_the_page_is_made_from_the_stored_figures():
    text = PAGE.read_text()

    assert text == page(text, orjson.loads(DATA.read_bytes()))


def test_every_row_that_must_hold_holds():
    rows = [Row(**row) for row in orjson.loads(DATA.read_bytes())["rows"]]

    assert [row.name for row in rows if row.holds(row.must) is False] == []


def test_a_limit_is_about_the_value_or_with_an_x_about_the_ratio():
    row = Row(name="n", value=50, unit="s", baseline=25, must="< 60", aim="≥ 0.7x")

    assert row.holds(row.must) is True
    assert row.holds(row.aim) is False
    assert row.holds("") is None
    assert row.holds("≥ 15,000") is False


def test_lines_that_are_no_rows_are_left_out():
    lines = ["warming up\n", '{"name":"n","value":1,"unit":"s","more":2}\n']

    assert parse(lines) == [Row(name="n", value=1, unit="s")]
