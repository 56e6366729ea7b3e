"""What others do in the time that ours takes: asyncio, triotp and Erlang.

Each has a program here that does what the rows of ``bench_supervision`` are about, as far
as it has that, on the same machine right before ours.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import attrs

from tests.peers.plugin import PEERS, which

HERE = Path(__file__).parent


@attrs.frozen
class Other:
    """One of them.

    Attributes:
        name: What its column is called.
        command: How its program is run; ``None`` where it is absent.
        get: What a person types to have it.
    """

    name: str
    command: tuple[str, ...] | None
    get: str = ""


def others() -> list[Other]:
    """All of them, the absent ones, too."""
    triotp, escript = which("triotp"), which("escript")
    return [
        Other("asyncio", (sys.executable, str(HERE / "in_asyncio.py"))),
        Other(
            "triotp",
            None if triotp is None else (triotp, str(HERE / "in_triotp.py")),
            PEERS["triotp"].get,
        ),
        Other(
            "Erlang",
            None if escript is None else (escript, str(HERE / "in_erlang.escript")),
            PEERS["escript"].get,
        ),
    ]


class Beside:
    """The figures of all of them, by row."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, float]] = {}
        self._absent: list[Other] = []
        self._names: list[str] = []

    def measure(self, part: int, rows: Sequence[str]) -> None:
        """Have all of them measured, one after the other.

        Args:
            part: Do only so much of the work: 10 for a tenth.
            rows: Parts of names of rows; all when empty.
        """
        for other in others():
            self._names.append(other.name)
            if other.command is None:
                self._absent.append(other)
                print(f"{other.name}: absent; to get it: {other.get}", file=sys.stderr)
                continue
            found = _run((*other.command, str(part), *rows))
            for name, value in found.items():
                self._rows.setdefault(name, {})[other.name] = value

    def of(self, row: str) -> dict[str, float | str]:
        """What each of them takes for a row, or ``absent``, or ``none``: it has no such."""
        absent = {other.name for other in self._absent}
        figures = self._rows.get(row, {})
        return {
            name: "absent" if name in absent else figures.get(name, "none")
            for name in self._names
        }


def _run(command: Sequence[str]) -> dict[str, float]:
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    lines = map(json.loads, done.stdout.splitlines())
    return {line["name"]: round(line["value"], 4) for line in lines}
