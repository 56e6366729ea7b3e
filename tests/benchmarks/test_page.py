"""The page of figures says what the stored figures say."""

import sys

import attrs
import orjson
import pytest

from tests.benchmarks import peers
from tests.benchmarks.page import (
    DATA,
    PAGE,
    README,
    beside_openclaw,
    merged,
    page,
    rendered,
)
from tests.benchmarks.report import Row, beside, cells, parse, table


def test_the_page_is_made_from_the_stored_figures():
    text = PAGE.read_text()

    assert text == page(text, orjson.loads(DATA.read_bytes()))


def test_the_figures_of_the_readme_are_the_stored_ones():
    text, data = README.read_text(), orjson.loads(DATA.read_bytes())

    assert text == page(text, data, beside_openclaw)
    assert beside_openclaw(data).count("| BeamClaw | OpenClaw |") == 1


def test_every_row_that_must_hold_holds():
    rows = [Row(**row) for row in orjson.loads(DATA.read_bytes())["rows"]]

    rows = [row.at_usual_pace() for row in rows]
    assert [row.name for row in rows if row.holds(row.must) is False] == []


def test_on_a_slower_machine_a_figure_says_what_it_would_be_on_the_usual_one():
    row = Row(name="n", value=1.4, unit="s", must="< 1", aim="< 0.5", pace=0.7)
    rate = Row(name="n", value=100, unit="/s", must="> 150", pace=0.7)
    held = Row(name="n", value=120, unit="MB", must="< 100", pace=0.7)
    usual = Row(name="n", value=1.4, unit="s", must="< 1", pace=0.35)

    assert row.at_usual_pace().value == pytest.approx(0.7)
    assert rate.at_usual_pace().value == pytest.approx(200)
    assert held.at_usual_pace() == held
    assert usual.at_usual_pace() == usual
    assert cells(row)[4:] == ("< 1 ✗ (✓ at 0.35)", "< 0.5 ✗", "0.7")
    assert cells(usual)[4] == "< 1 ✗"


def test_a_limit_is_about_the_value_or_with_an_x_about_the_ratio():
    row = Row(name="n", value=50, unit="s", baseline=25, must="< 60", aim="≥ 0.7x")

    assert row.holds(row.must) is True
    assert row.holds(row.aim) is False
    assert row.holds("") is None
    assert row.holds("≥ 15,000") is False


def test_lines_that_are_no_rows_are_left_out():
    lines = ["warming up\n", '{"name":"n","value":1,"unit":"s","more":2}\n']

    assert parse(lines) == [Row(name="n", value=1, unit="s")]


def test_rows_of_a_benchmark_that_was_not_run_stay(tmp_path):
    data = tmp_path / "data.json"
    old = [
        Row(name="gone", value=1, unit="s", benchmark="a"),
        Row(name="stays", value=1, unit="s", benchmark="b"),
    ]
    assert merged(data, old) == old
    data.write_bytes(orjson.dumps({"rows": [attrs.asdict(row) for row in old]}))
    new = [Row(name="new", value=2, unit="s", benchmark="a")]
    assert merged(data, new) == [old[1], *new]


def test_peers_stand_in_a_table_of_their_own():
    rows = [
        Row(name="alone", value=1, unit="s"),
        Row(name="n", value=2, unit="us", baseline=3, peers={"a": 4.0, "b": "none"}),
        Row(name="m", value=5, unit="s", peers={"b": 6.0}),
    ]

    assert beside(rows) == [
        ("what", "supervision", "bare Trio", "a", "b"),
        ("n, us", "2", "3", "4", "none"),
        ("m, s", "5", "", "none", "6"),
    ]
    assert "| n, us | 2 | 3 | 4 | none |" in rendered(
        {
            "measured": dict.fromkeys(
                ("date", "machine", "system", "python", "libraries"), "?"
            ),
            "rows": [attrs.asdict(row) for row in rows],
        }
    )
    assert "bare Trio" not in table(rows[:1])
    assert beside(rows[:1]) == []


def test_a_peer_that_is_not_there_is_absent_and_said_how_to_get(capfd, monkeypatch):
    one = (sys.executable, "-c", 'print(\'{"name": "n", "value": 1.5}\')')
    there = [peers.Other("here", one), peers.Other("away", None, "apt-get it")]
    monkeypatch.setattr(peers, "others", lambda: there)
    found = peers.Beside()
    found.measure(10, [])

    assert found.of("n") == {"here": 1.5, "away": "absent"}
    assert found.of("another row") == {"here": "none", "away": "absent"}
    assert capfd.readouterr().err == "away: absent; to get it: apt-get it\n"
    assert peers.Beside().of("n") == {}
