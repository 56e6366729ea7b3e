"""``docs/reference/performance.md`` from ``performance.json``, and back never.

    python -m tests.benchmarks.page

writes the page's table anew, and the figures beside OpenClaw in the README; a test compares
them.
"""

import datetime as dt
import platform
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import attrs
import orjson

from tests.benchmarks.report import HEADER, Row, beside, cells, figure

ROOT = Path(__file__).parents[2]
README, DOCS = ROOT / "README.md", ROOT / "docs" / "reference"
PAGE, DATA = DOCS / "performance.md", DOCS / "performance.json"
BEGIN = "<!-- made by python -m tests.benchmarks.page -->\n"
END = "<!-- end -->\n"
LIBRARIES = ("trio", "hypercorn", "quart", "quart-trio", "httpx2", "h11", "orjson")


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    info = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2] for line in info if line.startswith("model name")]
    memory = Path("/proc/meminfo").read_text().split()[1]
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "machine": f"{len(models)} cores, {models[0].strip() if models else '?'}, "
        f"{int(memory) / 2**20:.0f} GB",
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "libraries": ", ".join(f"{name} {version(name)}" for name in LIBRARIES),
    }


def merged(data: Path, rows: Sequence[Row]) -> list[Row]:
    """*rows*, in the place of the older ones of their benchmarks in *data*."""
    if not data.exists():
        return list(rows)
    before = [Row(**row) for row in orjson.loads(data.read_bytes())["rows"]]
    now = {row.benchmark for row in rows}
    names = {row.name for row in rows}
    left = [row for row in before if row.benchmark not in now and row.name not in names]
    return [*left, *rows]


def kept(rows: Sequence[Row]) -> dict[str, Any]:
    """What ``performance.json`` holds."""
    return {"measured": machine(), "rows": [attrs.asdict(row) for row in rows]}


def rendered(data: dict[str, Any]) -> str:
    """The part of the page that is made."""
    measured = data["measured"]
    rows = [Row(**row) for row in data["rows"]]
    where = f"{measured['machine']}, {measured['system']}"
    lines = [
        f"Measured on {measured['date']}: {where}.",
        f"Python {measured['python']}; {measured['libraries']}.",
        "",
        *_table([HEADER, *map(cells, rows)]),
    ]
    notes = [f"- {row.name}: {row.note}" for row in rows if row.note]
    if peers := beside(rows):
        # A heading of its own, so that others can point there.
        notes += ["", "## Beside its peers", "", *_table(peers)]
    return "\n".join([*lines, "", *notes]).rstrip("\n") + "\n"


def _table(texts: Sequence[Sequence[str]]) -> list[str]:
    header, *rows = texts
    return [_line(header), _line(["---"] * len(header)), *map(_line, rows)]


def _line(texts: Sequence[str]) -> str:
    return f"| {' | '.join(texts)} |"


def beside_openclaw(data: dict[str, Any]) -> str:
    """The table of the README."""
    rows = [Row(**row) for row in data["rows"] if row["benchmark"] == "openclaw"]
    lines = [("", "BeamClaw", "OpenClaw", "")]
    for row in rows:
        name = row.name.removeprefix("beside OpenClaw: ")
        times = f"{figure(row.ratio)}x"
        theirs = f"{figure(row.baseline)} {row.unit}"
        lines.append((name, f"{figure(row.value)} {row.unit}", theirs, times))
    return "\n".join(_table(lines)) + "\n"


def page(
    old: str,
    data: dict[str, Any],
    made: Callable[[dict[str, Any]], str] = rendered,
) -> str:
    """*old* with the part between the marks made anew from *data*."""
    before, _, rest = old.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{made(data)}\n{END}{after}"


def main() -> int:
    data = orjson.loads(DATA.read_bytes())
    PAGE.write_text(page(PAGE.read_text(), data))
    README.write_text(page(README.read_text(), data, beside_openclaw))
    return 0


if __name__ == "__main__":
    sys.exit(main())
