"""Put the table of tools anew into `docs/reference/tools.md`; a test compares them.

python -m scripts.tools
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from beamclaw.config import Config
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.tools import ToolSpec
from beamclaw.toolbox import all_tools
from beamclaw.tools import Plugins
from beamclaw.tree import subagent_rules

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "tools.md"
BEGIN = "<!-- made by python -m scripts.tools -->\n"


def specs() -> list[ToolSpec]:
    """All that are built in, by group and name."""
    config = Config()
    rules = subagent_rules(config)
    tools_of = all_tools(config, Outside(), "default", rules, Plugins())
    found = [tool.spec for tool in tools_of("main").values()]
    return sorted(found, key=lambda spec: (spec.group, spec.name))


def sections(found: Iterable[ToolSpec]) -> str:
    """One section for each tool."""
    return "\n".join("\n".join(_section(spec)) for spec in found)


def _section(spec: ToolSpec) -> Iterator[str]:
    yield f"## {spec.name}\n"
    asks = {"never": "asks nobody", "by-call": "asks a person at times"}
    words = [f"`group:{spec.group}`", spec.effect, asks.get(spec.asks, "asks a person")]
    if spec.untrusted:
        words.append("brings words of strangers")
    yield f"{', '.join(words)}\n"
    yield f"{_safe(spec.description)}\n"
    rows = [*_rows(spec.parameters, "")]
    if rows:
        yield "| argument | | |\n| --- | --- | --- |"
        yield from rows
        yield ""


def _rows(schema: Any, before: str) -> Iterator[str]:
    required = schema.get("required", ())
    for name, inner in schema.get("properties", {}).items():
        kind = _kind(inner)
        if name not in required:
            kind += (
                f", default {json.dumps(inner['default'])}"
                if "default" in inner
                else ", optional"
            )
        words = _safe(inner.get("description", ""))
        yield f"| `{before}{name}` | {_safe(kind)} | {words} |"
        yield from _rows(inner, f"{before}{name}.")
        yield from _rows(inner.get("items", {}), f"{before}{name}[].")


def _kind(schema: Any) -> str:
    if "enum" in schema:
        return " or ".join(schema["enum"])
    if "anyOf" in schema:
        return " or ".join(map(_kind, schema["anyOf"]))
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}"
    words = {"integer": "whole number", "string": "text", "boolean": "true or false"}
    kind = str(schema.get("type", "anything"))
    least, most = schema.get("minimum"), schema.get("maximum")
    limits = "" if least is None and most is None else f" {least} to {most}"
    return f"{words.get(kind, kind)}{limits if most is not None else ''}"


def _safe(text: str) -> str:
    """*text* in one line of a table, with nothing that Markdown makes something of."""
    for sign in "\\*_|<>`[]":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())


def page(text: str) -> str:
    """*text*, the page, with the sections anew."""
    before, _, _ = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{sections(specs())}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
