"""Put the table of methods anew into `docs/reference/gateway-protocol.md`; a test compares.

python -m scripts.methods
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import attrs

from beamclaw.arguments.schema import camel
from beamclaw.gateway.methods._method import Method
from beamclaw.gateway.methods.table import METHODS

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "gateway-protocol.md"
BEGIN = "<!-- made by python -m scripts.methods -->\n"
# Methods that OpenClaw has published, in the release whose schema the tests read.
PUBLISHED = 410


def table(methods: Iterable[Method]) -> str:
    """The table, and a line with its sums."""
    rows = list(methods)
    theirs = sum(each.published for each in rows)
    return "\n".join(
        [
            f"{theirs} of {PUBLISHED} published methods, and {len(rows) - theirs} ours.\n",
            "| method | scope | parameters | |",
            "| --- | --- | --- | --- |",
            *_rows(rows),
            "",
        ]
    )


def _rows(methods: Iterable[Method]) -> Iterator[str]:
    for each in methods:
        scope = f"`{each.scope}`{', and more' if each.more else ''}"
        name = f"`{each.name}`{'' if each.published else ' (ours)'}"
        summary = each.summary.replace("|", "\\|").replace("*", "`")
        yield f"| {name} | {scope} | {_params(each.params)} | {summary} |"


def _params(params: type) -> str:
    return ", ".join(
        f"**`{camel(field.name)}`**"
        if field.default is attrs.NOTHING
        else f"`{camel(field.name)}`"
        for field in attrs.fields(params)
    )


def page(text: str) -> str:
    """*text*, the page, with the table anew."""
    before, _, _ = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{table(METHODS.values())}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
