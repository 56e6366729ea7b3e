"""What is proved: how long a comparison takes says nothing of a secret."""

import ast
import hmac
from pathlib import Path

import pytest

from beamclaw.contracts.secret import Secret

ROOT = Path(__file__).parents[2]


def comparisons(source: str) -> list[int]:
    """Lines where what a secret holds is compared by an operator."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Compare)
        and not isinstance(node.ops[0], ast.Is | ast.IsNot)
        for side in (node.left, *node.comparators)
        if any(
            isinstance(part, ast.Attribute) and part.attr == "reveal"
            for part in ast.walk(side)
        )
    ]


def test_no_secret_is_compared_letter_by_letter(monkeypatch):
    found = {
        str(file.relative_to(ROOT)): lines
        for file in (ROOT / "beamclaw").rglob("*.py")
        if (lines := comparisons(file.read_text()))
    }
    assert found == {}, "compare by Secret.matches"
    # And that one compares all of it.
    compared: list[tuple[bytes, bytes]] = []

    def digest(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr(hmac, "compare_digest", digest)
    assert not Secret("abc").matches("abd")
    assert Secret("abc") == Secret("abc")
    assert compared == [(b"abc", b"abd"), (b"abc", b"abc")]


@pytest.mark.parametrize(
    "source, lines",
    [
        ("token.reveal() == given", [1]),
        ("x\ngiven in (token.reveal(), 1)", [2]),
        ("'x' != f'{token.reveal()}'", [1]),
        ("token.matches(given)", []),
        ("why(token.reveal()) is None", []),
    ],
)
def test_one_that_is_planted_is_found(source: str, lines: list[int]):
    assert comparisons(source) == lines
