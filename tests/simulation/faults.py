"""Whatever goes wrong in a world, when its plan says so."""

import random

import attrs
import trio

import supervision
from tests.simulation.node import Machine
from tests.simulation.plan import Fault
from tests.simulation.trace import Trace


@attrs.define(eq=False)
class Faults:
    """Carries out the faults of a plan, in order.

    Attributes:
        deaths: How many processes or nodes were killed.
        jumps: How often the wall's clock was put on.
    """

    machine: Machine
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
            case "file-crash" | "file-fails":
                self.deaths += 1
                life.files.due, life.files.steps = fault.kind, rng.randint(1, 25)
            case _:
                self.deaths += 1
                life.disk.due = fault.kind

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
