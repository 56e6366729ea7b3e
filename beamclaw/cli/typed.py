"""Commands as this person has to type them, from this folder and for this data."""

import os
import shutil
import sys
from pathlib import Path

from beamclaw.contracts.shell import data_folder


def command(words: str, data: Path, rest: str = "") -> str:
    """``beamclaw <words> <rest>``, with the program and the ``--data`` needed here.

    *words* is the verb; the option goes behind its first word, unless there is a *rest*.
    """
    if not rest:
        words, _, rest = words.partition(" ")
    option = "" if data == data_folder(os.environ) else f" --data {data}"
    return f"{program(sys.argv[0])} {words}{option}{f' {rest}' if rest else ''}"


def program(started_as: str) -> str:
    """What to type for the program that was *started_as* that: as short as it works."""
    started = Path(started_as)
    if started.name == "__main__.py" and started.parent.name == "beamclaw":
        return f"{_shortest(Path(sys.executable))} -m beamclaw"
    return _shortest(started) if started.name == "beamclaw" else "beamclaw"


def _shortest(started: Path) -> str:
    found = shutil.which(started.name)
    if found is not None and started.exists() and started.samefile(found):
        return started.name
    here, path = Path.cwd(), started.absolute()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
