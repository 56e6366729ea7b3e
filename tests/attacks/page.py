"""The list as a page; ``python -m tests.attacks.page`` writes it."""

from pathlib import Path
from typing import Final

from tests.attacks.book import ATTACKS

PAGE: Final = Path(__file__).parents[2] / "docs" / "reference" / "attacks.md"
_HEAD: Final = """\
# What is tried on the gateway

What somebody tries who means no good, and what comes of it. Each row has tests, which fail where
its guard is missing: their list is `tests/attacks/book.py`, and this page is written from it by
`python -m tests.attacks.page`. How the guards work says [Why the gateway has
guards](../explanation/gateway-guards.md).

A path, method or tool that is added without saying who may use it fails the tests, too.
"""


def text() -> str:
    """The page."""
    lines = [_HEAD]
    for group, attacks in ATTACKS.items():
        lines += [f"## {group}", "", "| tried | what comes of it |", "| --- | --- |"]
        lines += [f"| {attack.name} | {attack.outcome} |" for attack in attacks]
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(text())
