"""What a trace shows: the items of the checklist, actions, combinations.

Everything here reads what Erlang wrote down, so it counts what really happened, not what
a generator had in mind: a call that found nobody counts as one that found nobody, and a
restart as a restart when the child was there again.
"""

import ast
import re
from collections import Counter
from pathlib import Path

from tests.differential.scenario import Scenario, Trace

from . import actions, machines, processes, servers, supervisors
from .expected import ITEMS, TIMES, expected

ROOT = Path(__file__).parents[3]


def shown(scenario: Scenario, trace: Trace) -> Counter[str]:
    """Count what *trace*, which Erlang wrote, shows."""
    counts: Counter[str] = Counter()
    for reader in (actions, processes, supervisors, servers, machines):
        reader.read(scenario, trace, counts)
    return counts


def seldom(counts: Counter[str]) -> list[str]:
    """What has to be shown and was not, or not often enough."""
    return [
        f"{key}: {counts[key]}, not {TIMES}"
        for key in expected()
        if counts[key] < TIMES
    ]


def elsewhere() -> dict[str, list[str]]:
    """The items that are not shown here, and the tests that are marked with them."""
    page = (ROOT / "docs" / "reference" / "otp.md").read_text()
    items = re.findall(r"^\| ([TQ]?\d+) \|", page, re.MULTILINE)
    shown_here = {str(number) for number in ITEMS}
    tests: dict[str, list[str]] = {item: [] for item in items if item not in shown_here}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for name, marked in _marked(path):
            if marked in tests:
                tests[marked].append(f"{path.name}::{name}")
    return tests


def _marked(path: Path) -> list[tuple[str, str]]:
    """The tests of a file, each with an item that it is marked with."""
    source = path.read_text()
    if "mark.otp" not in source:
        return []
    return [
        (node.name, str(argument.value))
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for mark in node.decorator_list
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.otp"
        for argument in mark.args
        if isinstance(argument, ast.Constant)
    ]
