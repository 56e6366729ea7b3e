"""``python -m beamclaw.cli.reference`` puts the help of all verbs into the docs."""

import contextlib
import io
from pathlib import Path

from beamclaw.cli.parser import GROUPS, PROGRAM, VERBS, parse


def reference() -> str:
    """The help of all verbs, for the reference page."""
    names = ["", *(verb.name for verb in VERBS)]
    for group in GROUPS:
        first = next(name for name in names if name.startswith(f"{group} "))
        names.insert(names.index(first), group)
    parts: list[str] = []
    for name in names:
        page = io.StringIO()
        with contextlib.redirect_stdout(page):
            parse([*name.split(), "--help"])
        parts.append(f"## {PROGRAM} {name}".rstrip())
        parts.append(f"```text\n{page.getvalue().rstrip()}\n```")
    return "\n\n".join(parts) + "\n"


def write(page: Path) -> None:
    """Put the help of all verbs anew into the reference page."""
    before, _, _ = page.read_text().partition(f"## {PROGRAM}\n")
    page.write_text(before + reference())


if __name__ == "__main__":
    write(Path("docs/reference/command-line.md"))
