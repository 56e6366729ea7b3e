"""Plays scenarios on real Erlang: one `erl` for a whole batch."""

import hashlib
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

import attrs

from .scenario import Scenario, Trace
from .terms import decode, encode

SOURCES = [
    Path(__file__).with_name(f"{name}.erl") for name in ("difftest", "difftest_machine")
]
UNIT = 100  # milliseconds of real time for one unit of a scenario with a clock


# The callback modules of state machines, and what each says of its callbacks.
MODES = {
    "m_functions": "state_functions",
    "m_functions_enter": "[state_functions, state_enter]",
    "m_events": "handle_event_function",
    "m_events_enter": "[handle_event_function, state_enter]",
}
STATES = ("a", "b", "c")


def callbacks(name: str, mode: str) -> str:
    """Write a callback module for state machines."""
    functions = [
        f"{state}(enter, O, D) -> difftest_machine:enter({name}, O, {state}, D);\n"
        f"{state}(T, C, D) -> difftest_machine:handle({name}, T, C, {state}, D)."
        for state in STATES
    ]
    return "\n".join(
        (
            f"-module({name}).",
            "-compile([export_all, nowarn_export_all]).",
            f"callback_mode() -> {mode}.",
            "init(Argument) -> difftest_machine:init(Argument).",
            f"terminate(R, S, _) -> difftest_machine:terminate({name}, R, S).",
            f"handle_event(enter, O, S, D) -> difftest_machine:enter({name}, O, S, D);",
            f"handle_event(T, C, S, D) -> difftest_machine:handle({name}, T, C, S, D).",
            *functions,
            "",
        )
    )


@cache
def _folder() -> Path:
    """Where the compiled module is; it is compiled once per version of its source."""
    sources = {source.name: source.read_text() for source in SOURCES}
    sources |= {f"{name}.erl": callbacks(name, mode) for name, mode in MODES.items()}
    digest = hashlib.sha256("".join(sources.values()).encode()).hexdigest()[:16]
    place = Path(tempfile.gettempdir()) / f"difftest-{digest}"
    if not place.exists():
        with tempfile.TemporaryDirectory(prefix="difftest-") as making:
            for name, text in sources.items():
                (Path(making) / name).write_text(text)
            subprocess.run(["erlc", *sources], check=True, cwd=making)
            with suppress(OSError):  # somebody else was faster
                Path(making).rename(place)
                Path(making).mkdir()
    return place


@attrs.define
class Batch:
    """Scenarios that Erlang is playing right now, *unit* milliseconds for each of theirs."""

    scenarios: Sequence[Scenario]
    unit: int = UNIT
    _work: tempfile.TemporaryDirectory[str] = attrs.field(init=False)
    _erl: subprocess.Popen[bytes] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._work = tempfile.TemporaryDirectory(prefix="difftest-")
        place = Path(self._work.name)
        terms = [
            (index, one.timed or False, list(one.setup), list(one.steps))
            for index, one in enumerate(self.scenarios)
        ]
        (place / "in").write_bytes(encode(terms))
        arguments = [str(place / "in"), str(place / "out"), str(self.unit)]
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
        try:
            said, _ = self._erl.communicate()
        except BaseException:  # a time limit of a test: it would play on
            self._erl.kill()
            self._erl.communicate()
            raise
        out = Path(self._work.name) / "out"
        if not out.exists():
            raise RuntimeError("erl failed: " + said.decode(errors="replace")[-2000:])
        found = dict(decode(out.read_bytes()))
        self._work.cleanup()
        return [found[index] for index in range(len(self.scenarios))]


def play(scenarios: Sequence[Scenario]) -> list[Trace | str]:
    """Play *scenarios* on Erlang."""
    return Batch(scenarios).traces()
