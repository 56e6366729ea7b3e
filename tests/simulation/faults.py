"""Whatever goes wrong in a world, when its plan says so."""

import random
from collections.abc import Mapping
from functools import partial

import attrs
import trio

import supervision
from tests.simulation.disk import DiskFault, StoreFault
from tests.simulation.node import Life, Machine
from tests.simulation.plan import Fault, FaultKind
from tests.simulation.trace import Trace
from tests.simulation.vectors import Vectors

_OF_STORE: Mapping[StoreFault, DiskFault] = {
    "store-commit-lost": "commit-lost",
    "store-commit-unknown": "commit-unknown",
    "store-commit-crash": "commit-crash",
    "store-committed-crash": "committed-crash",
    "store-statement": "statement",
}


@attrs.define(eq=False)
class Faults:
    """Carries out the faults of a plan, in order.

    Attributes:
        deaths: How many processes or nodes were killed.
        jumps: How often the wall's clock was put on.
    """

    machine: Machine
    vectors: Vectors
    trace: Trace
    random: random.Random
    deaths: int = 0
    jumps: int = 0

    async def happen(self, faults: tuple[Fault, ...]) -> None:
        """All of them."""
        for fault in faults:
            reached = trio.Event()

            def at_point(
                name: str, fault: Fault = fault, reached: trio.Event = reached
            ) -> None:
                if not fault.steps:
                    self._happen(fault, name)
                reached.set()

            self.trace.reached = at_point
            self.trace.due = self.trace.points + fault.points
            with trio.move_on_after(fault.seconds):
                await reached.wait()
            self.trace.due = None
            if fault.steps or not reached.is_set():
                for _ in range(fault.steps):
                    await trio.lowlevel.checkpoint()
                self._happen(fault, "rest")
            if fault.kind == "drain":
                await self.machine.stop()

    def _happen(self, fault: Fault, place: str) -> None:
        """Here and now: no process does a step in between."""
        machine, rng = self.machine, self.random
        life = machine.life
        if life is None or life.dead:
            return
        match fault.kind:
            case "crash":
                self.deaths += 1
                machine.crash(place)
            case "kill":
                self._kill(place)
            case "drop":
                self.trace.note("network", "all connections break")
                life.hang_up()
            case "drain":
                pass  # takes a while
            case "slow-disk":
                most = rng.choice((0.001, 0.05, 2.0))
                until = trio.current_time() + rng.choice((0.1, 5.0, 600.0))
                life.disk.slow = until, most
                self.trace.note("disk", f"slow, {most:g} s")
            case "clock":
                self.jumps += 1
                machine.wall.ahead += rng.choice((-30.0, 1.0, 3_600.0, 100_000.0))
                self.trace.note("clock", "jumps")
            case "launcher":
                self.deaths += 1
                self.trace.note("kill", f"what starts programs, at {place}")
                life.programs.lose()
            case _:
                self.deaths += 1
                self._wait_for(fault.kind, life)

    def _wait_for(self, kind: FaultKind, life: Life) -> None:
        """It strikes when there is next something that it is about."""
        match kind:
            case "file-crash" | "file-fails":
                life.files.due, life.files.steps = kind, self.random.randint(1, 25)
            case "vectors-crash":
                crash = self.machine.crash
                self.vectors.due = partial(crash, "between vectors and bill")
            case "vectors-kill":
                self.vectors.due = self._kill_embedding
            case (
                "store-commit-lost"
                | "store-commit-unknown"
                | "store-commit-crash"
                | "store-committed-crash"
                | "store-statement"
            ):
                self.machine.store.append(_OF_STORE[kind])
            case (
                "commit-lost"
                | "commit-unknown"
                | "commit-crash"
                | "committed-crash"
                | "statement"
            ):
                life.disk.due = kind
            case _:
                raise AssertionError(kind)

    def _kill_embedding(self) -> None:
        life = self.machine.life
        for pid in () if life is None else life.embedding():
            self.trace.note("kill", "what wants vectors")
            supervision.exit(pid, supervision.KILL)

    def _kill(self, place: str) -> None:
        life = self.machine.life
        assert life is not None
        victims = [info for info in life.processes() if info.pid is not None]
        if not victims:
            return
        # Those that come and go are as likely as all that is always there.
        lively = [info for info in victims if info.restart == "temporary"]
        chosen = self.random.choice(
            lively if lively and self.random.random() < 0.6 else victims[1:] or victims
        )
        assert chosen.pid is not None
        self.deaths += 1
        self.trace.note("kill", f"{chosen.name or chosen.id} at {place}")
        supervision.exit(chosen.pid, supervision.KILL)
