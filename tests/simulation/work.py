"""What agents of a world work at: files in a real folder, and programs that are played.

The tools are the node's own. Work on a file is one step, a moment after it was asked for;
a node that dies within it stops at the point that it has reached. What reads the pages
that they fetch is the node's own program, played as the others are.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import attrs
import orjson
import trio

from beamclaw import toolbox, tree
from beamclaw.config.schema import Config
from beamclaw.contracts import names
from beamclaw.contracts.approvals import Clearance
from beamclaw.contracts.commands import Ended, Launch
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.tools import Forgets, Order, Output, Tool, ToolSpec
from beamclaw.testing._programs import (
    Pause,
    Programs,
    ReadAll,
    Say,
    Step,
    known_programs,
)
from beamclaw.tools import Plugins
from beamclaw.web import _reader, reading
from tests.audit.known import Program
from tests.simulation.model import markers
from tests.simulation.node import Life
from tests.simulation.plan import LOG
from tests.simulation.tools import Done, Effects
from tests.simulation.trace import Trace

T = TypeVar("T")

# What a log ends with; what comes is put before it.
END = "end\n"


class NodeDiedError(Exception):
    """Whoever works on files for a node that has died stops."""


@attrs.define(eq=False)
class Work:
    """All of it.

    Attributes:
        folder: The agent's workspace.
        config: Of the node.
        begun: Is told of each tool that starts.
        known: What programs have said and how they ended, by the marks in their lines.
    """

    folder: Path
    config: Config
    effects: Effects
    trace: Trace
    random: random.Random
    begun: Callable[[Order], None]
    known: dict[str, Program] = attrs.field(factory=dict[str, Program])
    _orders: dict[str, Order] = attrs.field(factory=dict[str, Order])
    _readers: set[str] = attrs.field(factory=set[str])

    def prepare(self) -> None:
        """Somebody keeps a log, in which agents are going to write."""
        log = self.folder / LOG
        log.parent.mkdir(parents=True)
        log.write_text(END)

    def tools(
        self, life: Life, outside: Outside, chosen: Iterable[str]
    ) -> Mapping[str, Tool]:
        """Those of the node that are *chosen*, as one life of it has them."""
        worker = FileWorker(self.trace, self.random, life)
        outside = attrs.evolve(outside, worker=lambda: worker)
        rules = tree.subagent_rules(self.config)
        of = toolbox.all_tools(
            self.config, outside, names.DEFAULT_TENANT, rules, Plugins()
        )
        found = of("main")
        return {name: _Tool(self, found[name]) for name in chosen}  # type: ignore[arg-type] -- none of them is about sessions

    def order(self, order: Order) -> None:
        """A tool begins."""
        self.trace.note("tool", f"{order.tool} begins {order.key}")
        self.begun(order)
        for marker in markers(str(order.arguments.get("command"))):
            self._orders[marker] = order

    def programs(self) -> Programs:
        """What starts programs, for one life of the node."""
        return Programs(self.play, self.over, self.typed)

    def play(self, launch: Launch) -> Iterator[Step]:
        """What a program does."""
        return self._reads() if _is_reader(launch) else self._plays(launch)

    def _reads(self) -> Iterator[Step]:
        """A page is read, and sometimes that takes longer than it may."""
        yield Pause(self.random.choice((0.0, 0.0, 0.1, 3.0, 30.0)))
        yield ReadAll(_read)

    def _plays(self, launch: Launch) -> Iterator[Step]:
        """It leaves a trace of itself, and goes on as real ones do."""
        marker = markers(launch.argv[-1])[0]
        order = self._orders[marker]
        self.trace.note("program", f"{marker} begins")
        person = marker.partition(".")[0]
        place = order.key, order.run_id, order.call_id
        self.effects.done.append(Done("exec", *place, 0, trio.current_time(), person))
        said: list[str] = []
        program = self.known[marker] = Program()
        for step in known_programs(launch):
            if isinstance(step, Say):
                said.append(step.data.decode())
            elif isinstance(step, ReadAll):
                self._readers.add(marker)
            program.said = None if marker in self._readers else "".join(said)
            yield step
        self.trace.note("program", f"{marker} ends by itself")

    def over(self, launch: Launch, ended: Ended) -> None:
        """A program has come to its end, whoever has made it."""
        if _is_reader(launch):
            return
        program = self.known.get(markers(launch.argv[-1])[0])
        if program is not None and ended.by == "itself":
            program.code, program.signal = ended.code, ended.signal

    def typed(self, launch: Launch, data: bytes) -> None:
        """A program was given something to read."""
        if _is_reader(launch):
            return
        marker = markers(launch.argv[-1])[0]
        order, now = self._orders[marker], trio.current_time()
        self.trace.note("program", f"{marker} is given {data!r}")
        person, text = marker.partition(".")[0], data.decode().strip()
        place = order.key, order.run_id, order.call_id
        self.effects.done.append(Done("typed", *place, 0, now, person, text=text))

    def files(self) -> dict[str, str]:
        """What is there, by the paths that agents use."""
        there = self.folder / Path(LOG).parent
        return {
            str(path.relative_to(self.folder)): path.read_text()
            for path in sorted(there.rglob("*"))
            if path.is_file() and not path.name.startswith(".")
        }

    @staticmethod
    def marks(files: Mapping[str, str]) -> set[str]:
        """The calls that have changed them, as far as it is still seen."""
        return {mark for text in files.values() for mark in markers(text)}


def _is_reader(launch: Launch) -> bool:
    return launch.argv[-1] == str(reading.PROGRAM)


def _read(data: bytes) -> bytes:
    """What the program that reads pages writes."""
    order, _, page = data.partition(b"\n")
    return orjson.dumps(_reader.read(orjson.loads(order), page))


@attrs.frozen
class FileWorker:
    """Does the work on files for one life of a node."""

    trace: Trace
    random: random.Random
    life: Life

    async def run(self, fn: Callable[[], T]) -> T:
        """See :class:`beamclaw.contracts.outside.Worker`."""
        await self._pause()
        if self.life.dead:
            raise NodeDiedError
        with self.trace.inside(self._point):
            found = fn()
        await self._pause()
        return found

    async def _pause(self) -> None:
        """A disk takes its time."""
        await trio.sleep(self.random.choice((0.0, 0.0, 0.0, 0.01, 0.3, 4.0)))

    def _point(self, name: str) -> None:
        if name.startswith("file."):
            self.life.files.step(name)
        if self.life.dead:
            raise NodeDiedError


@attrs.frozen
class _Tool:
    """One of the node's own; it begins as all others do."""

    work: Work
    tool: Tool

    @property
    def spec(self) -> ToolSpec:
        return self.tool.spec

    async def run(self, order: Order) -> Output:
        self.work.order(order)
        return await self.tool.run(order)

    async def check(self, order: Order) -> Output | None:
        self.work.trace.note("tool", f"{order.tool} checks {order.key}")
        return await self.tool.check(order)

    async def clear(self, order: Order) -> Clearance:
        return await self.tool.clear(order)

    async def forget(self, order: Order) -> None:
        if isinstance(self.tool, Forgets):
            await self.tool.forget(order)
