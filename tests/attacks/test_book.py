"""What is proved: each attack has a test that is there and runs, and the page lists them."""

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.attacks import page
from tests.attacks.book import attacks

TESTS = Path(__file__).parents[1]
# A mark of these would take a test out of every run.
LEFT_OUT = {"skip", "xfail"}


@cache
def functions(file: str) -> dict[str, set[str]]:
    """Tests of a file with the marks they have."""
    tree = ast.parse((TESTS / file).read_text())
    return {
        node.name: {
            part.attr
            for decorator in node.decorator_list
            for part in ast.walk(decorator)
            if isinstance(part, ast.Attribute)
        }
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


@pytest.mark.parametrize("attack", attacks(), ids=lambda attack: attack.name[:60])
def test_each_attack_has_tests_that_run(attack):
    assert attack.tests
    for test in attack.tests:
        file, _, name = test.partition("::")
        assert (TESTS / file).is_file(), test
        assert name in functions(file), test
        assert not functions(file)[name] & LEFT_OUT, test


def test_each_stands_once():
    names = [attack.name for attack in attacks()]
    assert len(set(names)) == len(names)


def test_the_page_is_what_the_list_says():
    assert page.PAGE.read_text() == page.text(), (
        "write it anew: python -m tests.attacks.page"
    )
