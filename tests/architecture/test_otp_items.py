"""What the page about OTP promises has a test that says so, or a reason why not.

A test says it with ``@pytest.mark.otp("43", "Q1")``. Tests of another kind, as those
against Erlang itself, count as well: what matters is that somebody proves the item.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "otp.md"
ITEMS = [
    *(str(number) for number in range(1, 104)),
    *(f"T{number}" for number in range(1, 22)),
    *(f"Q{number}" for number in range(1, 7)),
]

# Items whose test is still to be written. It may only get smaller.
STILL_WITHOUT = frozenset(
    [
        "19",
        "30",
        "31",
        "32",
        "39",
        "55",
        "90",
        "100",
        "101",
        "102",
        "103",
        "T1",
        "T7",
        "T10",
        "T11",
        "T15",
        "T16",
        "T17",
        "T19",
    ]
)


def rows() -> dict[str, str]:
    """The rows of the page: item, and what its last column says."""
    found: dict[str, str] = {}
    for line in PAGE.read_text().splitlines():
        row = re.fullmatch(r"\| ([TQ]?\d+) \| .* \| (.*) \|", line)
        if row:
            assert row[1] not in found, f"item {row[1]} stands twice"
            found[row[1]] = row[2]
    return found


def marked() -> Iterator[tuple[str, str]]:
    """Item and place of every ``pytest.mark.otp``, also those in parameters."""
    for path in sorted((ROOT / "tests").rglob("*.py")):
        source = path.read_text()
        if "mark.otp" not in source:
            continue
        for node in ast.walk(ast.parse(source)):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and ast.unparse(node.func) == "pytest.mark.otp"
            ):
                where = f"{path.relative_to(ROOT)}:{node.lineno}"
                for item in node.args:
                    assert isinstance(item, ast.Constant), f"{where}: not a literal"
                    yield str(item.value), where


MARKED = list(marked())


def test_every_item_is_on_the_page():
    assert sorted(rows()) == sorted(ITEMS)


@pytest.mark.parametrize("item", ITEMS)
def test_an_item_has_a_test_or_a_reason(item):
    proved = [where for marker, where in MARKED if marker == item]
    excused = re.search(r"\bno test: \w+", rows().get(item, "")) is not None
    assert proved or excused or item in STILL_WITHOUT, f"nothing proves {item}"


def test_a_marker_names_items_of_the_page():
    unknown = [(item, where) for item, where in MARKED if item not in ITEMS]
    assert not unknown
