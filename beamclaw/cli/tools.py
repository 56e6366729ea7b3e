"""``beamclaw tools``."""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from beamclaw.cli.output import counted, result, result_json
from beamclaw.cli.status import ask


def run(options: argparse.Namespace) -> int:
    """Print which tools an agent has, and why not the others."""
    asked = {"agent": options.agent, "model": options.model, "depth": options.depth}
    params = {name: value for name, value in asked.items() if value is not None}
    found = ask(options, "tools", params)
    if options.json:
        result_json(found)
        return 0
    for line in lines(found):
        result(line)
    return 0


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """In words: what it has, what it has not, and which packages are at fault."""
    tools: Sequence[Mapping[str, Any]] = found["tools"]
    where = f"agent {found['agent']}, {found['model']}"
    if found["depth"]:
        where += f", as a sub-agent on level {found['depth']}"
    yield f"{where}: {counted(len(tools), 'tool')}, {counted(found['tokens'], 'token')}"
    rows = [_row(tool) for tool in tools]
    rows += [(each["name"], "no", each["why"]) for each in found["denied"]]
    widths = [max((len(row[place]) for row in rows), default=0) for place in (0, 1)]
    for name, kind, words in rows:
        yield f"  {name:<{widths[0]}}  {kind:<{widths[1]}}  {words}".rstrip()
    for fault in found["faults"]:
        yield f"left out: {fault['why']}"


def _row(tool: Mapping[str, Any]) -> tuple[str, str, str]:
    words = [tool["effect"]]
    if tool["asks"] != "never":
        words.append(
            "asks a person" + (" at times" if tool["asks"] == "by-call" else "")
        )
    if tool["untrusted"]:
        words.append("brings words of strangers")
    if tool["source"] != "built in":
        words.append(f"of the package {tool['source']}")
    return tool["name"], tool["group"] or "-", ", ".join(words)
