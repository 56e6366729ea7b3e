"""Every event that is emitted anywhere is in the contract, with what it promises."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from beamclaw.telemetry.contract import EVENTS
from beamclaw.telemetry.metrics import table
from scripts import events, metrics

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*ROOT.glob("supervision/**/*.py"), *ROOT.glob("beamclaw/**/*.py")])

# What has an event in it, or the name of one.
WORTH = re.compile(
    r"\bemit\b|^\w+: .*= \(?\s*\"(?:beamclaw|supervision)\.", re.MULTILINE
)

# name: measurements, metadata
Catalogue = dict[str, tuple[frozenset[str], frozenset[str]]]


def catalogue(page: str) -> Catalogue:
    """The tables of *page*. What is in backticks and is no path is a key."""
    found: Catalogue = {}
    for line in (ROOT / "docs/reference" / page).read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        name = re.fullmatch(r"`((?:beamclaw|supervision)(?:\.\w+){2,})`", cells[0])
        if name:
            measured, told = cells[-2:]
            found[name[1]] = (_keys(measured), _keys(told))
    return found


def _keys(cell: str) -> frozenset[str]:
    return frozenset(re.findall(r"`(\w+)`", cell))


def emitted() -> Iterator[tuple[str, str, frozenset[str], frozenset[str]]]:
    """Where, name, measurements and metadata of every ``emit(...)``."""
    texts = {path: path.read_text() for path in SOURCES}
    # Reading a module as a tree takes long; a constant that was missed is a KeyError.
    trees = {p: ast.parse(text) for p, text in texts.items() if WORTH.search(text)}
    constants = {
        node.target.id: node.value.value
        for tree in trees.values()
        for node in tree.body
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and isinstance(node.value, ast.Constant)
    }
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _called(node.func) == "emit":
                name, *dicts = node.args
                text = constants[name.id] if isinstance(name, ast.Name) else _text(name)
                where = f"{path.relative_to(ROOT)}:{node.lineno}"
                keys = [_literal_keys(value) for value in dicts]
                measured, told, *_ = [*keys, frozenset[str](), frozenset[str]()]
                yield where, str(text), measured, told


def _called(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
        return function.attr if function.value.id == "supervision" else ""
    return function.id if isinstance(function, ast.Name) else ""


def _text(node: ast.expr) -> str:
    assert isinstance(node, ast.Constant), "an event is named by a constant"
    return str(node.value)


def _literal_keys(node: ast.expr) -> frozenset[str]:
    assert isinstance(node, ast.Dict), "an event is told in place, to be found"
    return frozenset(_text(key) for key in node.keys if key is not None)


EMITTED = list(emitted())


@pytest.mark.parametrize(
    "where, name, measured, told",
    EMITTED,
    ids=[f"{row[0]} {row[1]}" for row in EMITTED],
)
def test_what_is_emitted_is_in_the_contract(where, name, measured, told):
    assert name in EVENTS
    spec = EVENTS[name]
    assert (frozenset(spec.measured), frozenset(spec.told)) == (measured, told)


def test_what_is_in_the_contract_is_emitted():
    assert set(EVENTS) == {name for _, name, *_ in EMITTED}


def test_the_page_is_made_from_the_contract():
    text = events.PAGE.read_text()
    assert text == events.page(text), "python -m scripts.events"


def test_an_event_s_unit_is_left_out_only_where_it_is_its_name():
    page = events.PAGE.read_text()
    for spec in EVENTS.values():
        (row,) = (line for line in page.splitlines() if f"| `{spec.name}` |" in line)
        for key, measure in spec.measured.items():
            if measure.unit not in ("count", key):
                assert f"`{key}`: {measure.unit}" in row


def test_the_page_of_metrics_is_made_from_the_table_of_families():
    text = metrics.PAGE.read_text()
    assert text == metrics.page(text), "python -m scripts.metrics"


def test_a_metric_is_in_the_table_once_named_as_its_kind_is_and_told_in_a_sentence():
    families = table()
    assert len({family.name for family in families}) == len(families)
    for family in families:
        assert family.kind in ("counter", "gauge", "histogram")
        assert family.name.endswith("_total") == (family.kind == "counter")
        assert re.fullmatch(r"[A-Z][^|]*\w[^|]*\.", family.doc), family.name


def test_the_page_of_supervision_tells_of_its_events_in_the_same_way():
    ours = {
        name: (frozenset(spec.measured), frozenset(spec.told))
        for name, spec in EVENTS.items()
        if name.startswith("supervision.")
    }
    assert catalogue("supervision.md") == ours
