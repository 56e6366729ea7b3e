"""Plays scenarios on real Erlang: one `erl` for a whole batch."""

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import attrs

from .scenario import Scenario, Trace
from .terms import decode, encode

SOURCE = Path(__file__).with_name("difftest.erl")
UNIT = 60  # milliseconds of real time for one unit of a scenario with a clock


@cache
def _folder() -> Path:
    """Where the compiled module is; it is compiled once per version of its source."""
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
    place = Path(tempfile.gettempdir()) / f"difftest-{digest}"
    if not (place / "difftest.beam").exists():
        place.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory() as making:
            command = ["erlc", "-o", making, str(SOURCE)]
            subprocess.run(command, check=True)
            shutil.copy(Path(making) / "difftest.beam", place / "making")
            (place / "making").replace(place / "difftest.beam")
    return place


@attrs.define
class Batch:
    """Scenarios that Erlang is playing right now."""

    scenarios: Sequence[Scenario]
    _work: tempfile.TemporaryDirectory[str] = attrs.field(init=False)
    _erl: subprocess.Popen[bytes] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._work = tempfile.TemporaryDirectory(prefix="difftest-")
        place = Path(self._work.name)
        terms = [
            (index, one.timed, list(one.setup), list(one.steps))
            for index, one in enumerate(self.scenarios)
        ]
        (place / "in").write_bytes(encode(terms))
        arguments = [str(place / "in"), str(place / "out"), str(UNIT)]
        self._erl = subprocess.Popen(
            [
                *("erl", "+S", "1:1", "+SDio", "1", "-noshell", "-noinput"),
                *("-pa", str(_folder()), "-run", "difftest", "main"),
                *arguments,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=place,
        )

    def traces(self) -> list[Trace | str]:
        """Wait for the traces; a string says that one could not be timed."""
        said, _ = self._erl.communicate()
        out = Path(self._work.name) / "out"
        if not out.exists():
            raise RuntimeError("erl failed: " + said.decode(errors="replace")[-2000:])
        found = dict(decode(out.read_bytes()))
        self._work.cleanup()
        return [found[index] for index in range(len(self.scenarios))]


def play(scenarios: Sequence[Scenario]) -> list[Trace | str]:
    """Play *scenarios* on Erlang."""
    return Batch(scenarios).traces()
