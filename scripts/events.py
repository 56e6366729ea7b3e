"""Put the tables of events anew into `docs/reference/events.md`; a test compares.

python -m scripts.events
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from beamclaw.telemetry.contract import EVENTS, EventSpec, Measure

PAGE: Final = Path(__file__).parents[1] / "docs" / "reference" / "events.md"
BEGIN: Final = "<!-- made by python -m scripts.events -->\n"


def page(text: str) -> str:
    """*text*, the page, with the tables anew."""
    before, _, _ = text.partition(BEGIN)
    return f"{before}{BEGIN}\n" + "\n".join(_tables())


def _tables() -> Iterator[str]:
    ours = [spec for spec in EVENTS.values() if spec.name.startswith("beamclaw.")]
    theirs = [spec for spec in EVENTS.values() if spec not in ours]
    yield "## Of the node\n"
    yield from _table(ours)
    yield "## Of its processes\n"
    yield (
        "They come from the library that supervises, see [supervision](supervision.md).\n"
    )
    yield from _table(theirs)


def _table(specs: list[EventSpec]) -> Iterator[str]:
    yield "| event | level | measurements | metadata | |"
    yield "| --- | --- | --- | --- | --- |"
    for spec in specs:
        measured = "; ".join(map(_measured, spec.measured, spec.measured.values()))
        told = "; ".join(_told(key, doc) for key, doc in spec.told.items())
        audit = " (audit)" if spec.audit else ""
        yield f"| `{spec.name}` | {spec.level} | {measured} | {told} | {spec.doc}{audit} |"
    yield ""


def _measured(key: str, measure: Measure) -> str:
    # A number of what the words say, or of what its key says.
    unit = "" if measure.unit in ("count", key) else measure.unit
    words = ", ".join(part for part in (unit, measure.doc) if part)
    return _told(key, words)


def _told(key: str, doc: str) -> str:
    return f"`{key}`: {doc}" if doc else f"`{key}`"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
