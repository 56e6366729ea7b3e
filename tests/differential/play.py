"""Plays scenarios on `supervision`; says the same as `difftest.erl`, line by line."""

import signal
import traceback
from collections.abc import Awaitable, Callable
from functools import partial
from types import FrameType
from typing import Any

import trio
import trio.testing

import supervision
from supervision.testing import Recorder

from .ours.machines import machine_of
from .ours.processes import start_plain
from .ours.servers import Actor, call, dest_of, stop
from .ours.supervisors import answer, start_of
from .ours.words import Ctl, Do, Info, program, real, term_to_reason
from .ours.world import World
from .scenario import Action, Scenario, Trace

# Seconds of processor time after which a scenario counts as one that never rests.
PATIENCE = 3.0
# Units between an action and a time-out: less than that is not compared.
MARGIN = 0.13


class Untimable(Exception):
    """A time-out falls so close to an action that real time could not tell."""


class NeverRests(BaseException):
    """A scenario kept the processor busy for too long."""


async def play_here(scenario: Scenario, clock: trio.testing.MockClock) -> Trace:
    """Play *scenario* in the Trio run that we are in."""
    trace: Trace = []
    async with (
        supervision.open_supervisor([], grace=0.0) as root,
        trio.open_nursery() as nursery,
    ):
        world = World(nursery)
        home = root.process.parent_pid
        world.know("d", home)
        world.pids["parent"] = home
        for part in scenario.setup:
            await act(world, part, clock)
            await settle(world)
        world.look()
        trace.append(world.events)
        for action in scenario.steps:
            world.events = []
            await act(world, action, clock)
            await settle(world)
            world.look()
            trace.append(world.events)
        world.events = []
        nursery.cancel_scope.cancel()
        clock.autojump_threshold = 0
    return trace


async def settle(world: World) -> None:
    await trio.testing.wait_all_tasks_blocked()


async def advance(clock: trio.testing.MockClock, units: float) -> None:
    """Let time pass; each time-out fires at its own moment."""
    left = units
    while True:
        await trio.testing.wait_all_tasks_blocked()
        until = trio.lowlevel.current_statistics().seconds_to_next_deadline
        if until > left:
            break
        until = max(until, 0.0)
        clock.jump(until)
        left -= until
        if left < MARGIN or units - MARGIN < left < units:
            raise Untimable
    clock.jump(left)


def play(scenario: Scenario) -> Trace | str:
    """Play *scenario* on `supervision`; a string says why there is no trace."""
    clock = trio.testing.MockClock()
    patience = Patience()
    try:
        with patience, Recorder.attached():
            trace = trio.run(play_here, scenario, clock, clock=clock)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - what a fault did is a result
        error = _leaf(error)
        if isinstance(error, Untimable):
            return "late"
        where = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {error} ({where.filename}:{where.lineno})"
    # Whoever was interrupted took it for a crash of its own.
    return "NeverRests" if patience.over else trace


class Patience:
    """Interrupts a scenario that keeps the processor busy for too long."""

    def __init__(self) -> None:
        self.over = False
        self._before: Any = None

    def __enter__(self) -> None:
        self._before = signal.signal(signal.SIGVTALRM, self._interrupt)
        signal.setitimer(signal.ITIMER_VIRTUAL, PATIENCE, 0.5)

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, self._before)

    def _interrupt(self, signum: int, frame: FrameType | None) -> None:
        self.over = True
        raise NeverRests


def _leaf(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


# --- actions


async def act(world: World, action: Action, clock: trio.testing.MockClock) -> None:
    match action:
        case ("advance", units):
            await advance(clock, units)
        case ("plain", name):
            start_plain(world, name, "loop", supervision.spawn)
        case ("cmd", name, commands):
            # What a blocked process would do later, at once, has no defined order.
            if name in world.pids and name not in world.blocked:
                supervision.send(world.pids[name], Ctl(commands))
        case ("signal" | "parent", name, reason):
            if name in world.pids:
                supervision.exit(world.pids[name], term_to_reason(reason))
        case ("root", name, what):
            pid = supervision.spawn(start_of(world, name, what))
            world.starting.append((0, pid.process))
        case ("tell", id, command):
            if id in world.pids:
                supervision.send(world.pids[id], Do(command))
        case ("req", number, sup, request):
            client(world, number, partial(answer, world, sup, request))
        case "home":
            pass  # the parent of all that is started here is there already
        case ("server", name, registered, trap, init, term):
            start = partial(Actor, world, name, trap, init, term)
            start_server(world, name, start, registered)
        case ("machine", name, *_):
            start_server(world, name, partial(machine_of, world, action), "none")
        case ("cast", name, todo):
            dest = dest_of(world, name)
            if dest is not None:
                supervision.cast(dest, program(todo))
        case ("info", name, todo):
            if name in world.pids:
                supervision.send(world.pids[name], Info(program(todo)))
        case ("call", number, name, todo, timeout):
            client(world, number, partial(call, world, name, todo, timeout))
        case ("stop", number, name, reason, timeout):
            client(world, number, partial(stop, world, name, reason, timeout))
        case _:
            raise ValueError(action)


def start_server(world: World, name: str, start: Any, registered: str) -> None:
    try:
        wanted = None if registered == "none" else real(registered)
        pid = supervision.spawn(start, name=wanted)
    except supervision.NameTaken as error:
        found = ("already_started", world.name_of(error.pid))
        world.ev(("result", name, ("error", found)))
    else:
        world.starting.append((name, pid.process))


def client(world: World, number: int, ask: Callable[[], Awaitable[Any]]) -> None:
    """Ask somebody something, in a task of its own."""

    async def run() -> None:
        world.ev(("result", number, await ask()))

    world.nursery.start_soon(run)
