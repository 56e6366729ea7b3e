"""Put the tables of metrics anew into `docs/reference/metrics.md`; a test compares.

python -m scripts.metrics
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from beamclaw.telemetry.metrics import table
from beamclaw.telemetry.metrics.families import Family

PAGE: Final = Path(__file__).parents[1] / "docs" / "reference" / "metrics.md"
BEGIN: Final = "<!-- made by python -m scripts.metrics -->\n"

# The headings, and how the names below each begin. What is not here is about processes.
PROCESSES: Final = "Processes and the event loop"
GROUPS: Final = {
    "The node and its machine": ("beamclaw_info", "beamclaw_gc_", "process_"),
    "Messages, turns and sessions": (
        "beamclaw_message",
        "beamclaw_turn",
        "beamclaw_limits_",
        "beamclaw_sessions_",
    ),
    "Calls of models": ("beamclaw_model_",),
    "Providers": ("beamclaw_provider_",),
    "Tools, approvals and commands": (
        "beamclaw_tool_",
        "beamclaw_approvals_",
        "beamclaw_command",
    ),
    "The gateway": ("beamclaw_http_", "beamclaw_gateway_"),
    "The ledger": ("beamclaw_ledger_",),
    PROCESSES: (),
    "What is told": ("beamclaw_events_", "beamclaw_metrics_", "beamclaw_traces_"),
}


def page(text: str) -> str:
    """*text*, the page, with the tables anew."""
    before, _, _ = text.partition(BEGIN)
    return f"{before}{BEGIN}\n" + "\n".join(_tables())


def group_of(name: str) -> str:
    """The heading under which the metric of that *name* stands."""
    found = (group for group, begins in GROUPS.items() if name.startswith(begins))
    return next(found, PROCESSES)


def _tables() -> Iterator[str]:
    families = table()
    for group in GROUPS:
        yield f"## {group}\n"
        yield "| metric | kind | labels | unit | |"
        yield "| --- | --- | --- | --- | --- |"
        yield from (
            _row(family) for family in families if group_of(family.name) == group
        )
        yield ""


def _row(family: Family) -> str:
    labels = ", ".join(f"`{label}`" for label in family.labels)
    cells = (f"`{family.name}`", family.kind, labels, family.unit, family.doc)
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
