"""The benchmarks: ``python -m tests.benchmarks [names] [--json FILE]``.

Each ``bench_*.py`` is a program that prints a JSON line per row; it runs in a process of
its own, one after the other. At the end stands a table of all rows. ``--json`` keeps
them with what they were measured on, beside those of benchmarks that were not run;
``docs/reference/performance.md`` is made from
that file by ``python -m tests.benchmarks.page``.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import attrs
import orjson

from tests.benchmarks import page, report

HERE = Path(__file__).parent
FIRST = ["start", "node", "ledger"]  # what people ask for first
FOUND = sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))
NAMES = [*FIRST, *(name for name in FOUND if name not in FIRST)]
ASKED_FOR = {"openclaw"}  # minutes, and a program that is not ours

BASELINES = {"supervision": "bare Trio"}


def run(name: str) -> list[str]:
    """The JSON lines of one benchmark, printed as they come."""
    command = [sys.executable, "-m", f"tests.benchmarks.bench_{name}"]
    lines: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    if process.returncode:
        raise SystemExit(f"benchmark {name} failed ({process.returncode})")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description=__doc__
    )
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(NAMES))
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the rows here")
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - set(NAMES):
        parser.error(f"no benchmark {min(unknown)!r}; there are {NAMES}")
    rows = [
        attrs.evolve(
            row,
            against=row.against or BASELINES.get(name, ""),
            benchmark=name,
            pace=pace,
        )
        for name in chosen.names or (each for each in NAMES if each not in ASKED_FOR)
        for pace in (report.pace(),)
        for row in report.parse(run(name))
    ]
    print()
    print(report.table(rows))
    if chosen.json is not None:
        kept = page.kept(page.merged(chosen.json, rows))
        options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
        chosen.json.write_bytes(orjson.dumps(kept, option=options))
    return 0 if all(row.holds(row.must) is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
