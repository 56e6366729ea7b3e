"""A node in a world: started, killed, drained, and started again on what is left."""

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import attrs
import trio

import supervision
from beamclaw import tree as composition
from beamclaw.config.schema import Config
from beamclaw.contracts import sandbox
from beamclaw.contracts.outside import InlineWorker, Outside
from beamclaw.contracts.providers import Provider
from beamclaw.contracts.subagents import SessionTool
from beamclaw.contracts.tools import Tool
from beamclaw.runs.embedding import carry_out
from beamclaw.storage import private_folder
from beamclaw.testing._programs import Programs
from supervision import ProcessInfo
from tests.simulation.disk import Disk, DiskFault, Files
from tests.simulation.door import Door
from tests.simulation.trace import Trace

# A moment in which this was written, so that the days look like days.
EPOCH = 1_790_000_000.0
GRACE = 10.0
TOP = "top"


@attrs.define(eq=False)
class Wall:
    """The wall's clock: goes with the virtual one, and is put on now and then."""

    ahead: float = EPOCH

    def __call__(self) -> float:
        return self.ahead + trio.current_time()


@attrs.define(eq=False)
class Life:
    """One life of the node, from a start to its end.

    Attributes:
        number: Counted from 1.
        programs: What it has started.
        files: What becomes of its work on them.
        up: Set when it is ready.
        lines: The scopes of whoever is connected; cancelled when it dies.
    """

    number: int
    disk: Disk
    door: Door
    programs: Programs
    files: Files
    up: trio.Event = attrs.field(factory=trio.Event)
    over: trio.Event = attrs.field(factory=trio.Event)
    lines: dict[trio.CancelScope, None] = attrs.field(
        factory=dict[trio.CancelScope, None]
    )
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    draining: bool = False

    @property
    def dead(self) -> bool:
        """Whether it has been killed: what is left of it does nothing any more."""
        return self.disk.dead

    @contextmanager
    def line(self) -> Iterator[trio.CancelScope]:
        """A connection to it; cancelled when that breaks."""
        with trio.CancelScope() as scope:
            self.lines[scope] = None
            try:
                yield scope
            finally:
                self.lines.pop(scope, None)

    def pull(self) -> None:
        """It is gone: from disk, from the network, and its programs with it."""
        self.disk.pull()
        self.door.pull()
        self.programs.lose()

    def hang_up(self) -> None:
        """Break every connection."""
        self.door.hang_up()
        for scope in tuple(self.lines):
            scope.cancel()

    def embedding(self) -> list[supervision.Pid]:
        """The processes that have texts made into vectors."""
        found = (i.pid for i in self.processes() if i.id == carry_out.__qualname__)
        return [pid for pid in found if pid is not None]

    def processes(self) -> list[ProcessInfo]:
        """Every process that lives, parents first."""
        root = supervision.whereis(TOP)
        return [] if root is None else list(_walk(supervision.tree(root)))


def _walk(info: ProcessInfo) -> Iterator[ProcessInfo]:
    if info.pid is not None:
        yield info
    for child in info.children:
        yield from _walk(child)


@attrs.define(eq=False)
class Machine:
    """What the node runs on: its folder, its clock, and who starts it again.

    Attributes:
        life: The present one, while there is one.
        pace: Seconds that all work of the disk takes.
        store: What the next transactions of node.db fail with, of whichever life.
    """

    config: Config
    trace: Trace
    wall: Wall
    random: random.Random
    connect: Callable[[Life, str, int], Provider] | None
    toolbox: Callable[[Life, Outside], Mapping[str, Tool | SessionTool]]
    programs: Callable[[], Programs]
    door: Callable[[], Door]
    killed: Callable[[], None]
    pace: float = 0.0
    life: Life | None = None
    store: list[DiskFault] = attrs.field(factory=list[DiskFault])
    lives: int = 0
    ended: bool = False
    _changed: trio.Event = attrs.field(factory=trio.Event)

    @property
    def ledger(self) -> Path:
        """Its file."""
        return self.config.data / "tenants" / "default" / "ledger.db"

    @property
    def running(self) -> list[str]:
        """What its programs are called that have not ended."""
        return [] if self.life is None else self.life.programs.running

    @property
    def embeds(self) -> bool:
        """Whether texts are being made into vectors, for whoever may have left."""
        return self.life is not None and bool(self.life.embedding())

    async def run(self) -> None:
        """Start the node, and start it again whenever it ends."""
        private_folder(self.config.data)
        async with trio.open_nursery() as nursery:
            while not self.ended:
                await self._live(nursery)
                await trio.sleep(self.random.choice((0.01, 0.1, 1.0, 20.0)))

    async def wait_up(self) -> Life:
        """The life of the node, once it is ready."""
        while True:
            life = self.life
            if life is not None and life.up.is_set() and not life.dead:
                return life
            await self._changed.wait()

    async def _live(self, nursery: trio.Nursery) -> None:
        self.lives += 1
        disk = Disk(self.trace, self.random, self.crash, self.store, pace=self.pace)
        life = self.life = Life(
            self.lives,
            disk,
            self.door(),
            self.programs(),
            Files(self.trace, self.crash),
        )
        self.trace.note("node", f"start {life.number}")
        try:
            with life.scope:
                await self._tree(life, disk, nursery)
        except (supervision.SupervisorGaveUp, supervision.StartFailed) as error:
            if not life.dead:
                self.trace.note("node", f"ended by itself: {type(error).__name__}")
                self.killed()
        life.pull()
        life.hang_up()
        self.trace.note("node", f"end {life.number}")
        self.life = None
        life.over.set()

    async def _tree(self, life: Life, disk: Disk, nursery: trio.Nursery) -> None:
        outside = Outside(
            wall=self.wall,
            new_id=self._new_id,
            random=self.random.random,
            worker=InlineWorker,
            threads=False,
            later=disk.later(nursery),
            database=disk.connect,
            connect=self.connect and partial(self.connect, life),
            launcher=life.programs.open,
            listen=life.door.listen,
            machine=sandbox.Machine(why="this machine is played"),
        )
        tools = self.toolbox(life, outside)
        top = supervision.ChildSpec(
            "beamclaw",
            partial(composition.tree, self.config, outside, lambda _: tools),
            type="supervisor",
            shutdown=None,
        )
        async with supervision.open_supervisor([top], grace=GRACE, name=TOP):
            life.up.set()
            self._changed.set()
            self._changed = trio.Event()
            self.trace.note("node", f"ready {life.number}")
            await trio.sleep_forever()

    def _new_id(self) -> str:
        digits = f"{self.random.getrandbits(128):032x}"
        return "-".join(
            (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
        )

    # --- what is done to it

    def crash(self, why: str) -> None:
        """kill -9, now: no process of it does one more step."""
        life = self.life
        if life is None or life.dead:
            return
        self.trace.note("node", f"crash ({why})")
        life.pull()
        self.killed()
        for info in life.processes():
            assert info.pid is not None
            supervision.exit(info.pid, supervision.KILL)
        life.hang_up()
        life.scope.cancel()

    async def stop(self) -> None:
        """Drain it and stop it in order, if it lives; the next one is started."""
        life = self.life
        if life is None or life.dead or not life.up.is_set() or life.draining:
            return
        life.draining = True
        self.trace.note("node", "drain")
        with life.line(), suppress(supervision.CallFailed):
            await composition.drain(self.config, _tell_nobody)
        self.trace.note("node", "stop")
        life.scope.cancel()
        await life.over.wait()


def _tell_nobody(turns: int) -> None:
    del turns
