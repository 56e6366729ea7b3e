"""Running a scenario: under the virtual clock, in an order that a seed decides."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable
from contextlib import asynccontextmanager, contextmanager
from importlib import import_module
from typing import Any, TypeVar, TypeVarTuple

import trio
import trio.testing

from supervision._application import open_supervisor
from supervision._child_spec import ChildSpec
from supervision._dynamic_supervisor import DynamicSupervisor, adopt
from supervision._introspect import tree
from supervision._links import trap_exits as set_trap_exits
from supervision._pid import Pid
from supervision._steps import count_anew

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# Trio's scheduler has a source of chance of its own, and a switch that Hypothesis uses.
# They are private; in a Trio without them a seed decides less.
_scheduler: Any = import_module("trio._core._run")
_SWITCH = "_ALLOW_DETERMINISTIC_SCHEDULING"


def run(
    fn: Callable[[*Ts], Awaitable[T]],
    *args: *Ts,
    seed: int | None = None,
) -> T:
    """Run an async function in a Trio of its own, whose clock jumps over all waiting.

    For tests without pytest-trio, whose ``autojump_clock`` does the same for a test that
    it runs. An hour of sleep takes no time; code that is busy takes none of the clock's.

    Args:
        fn: An async function.
        args: Its arguments.
        seed: As for `seeded`; chance decides when it is ``None``.

    Returns:
        What *fn* returns; it raises what *fn* raises.
    """
    clock = trio.testing.MockClock(autojump_threshold=0)
    if seed is None:
        return trio.run(fn, *args, clock=clock)
    with seeded(seed):
        return trio.run(fn, *args, clock=clock)


def run_seeds(
    fn: Callable[[*Ts], Awaitable[T]],
    *args: *Ts,
    seeds: int | Iterable[int] = 20,
) -> list[T]:
    """Run a scenario once for each seed, so in as many orders of scheduling.

    An exception goes on its way with a note that names the seed, and so how to repeat it.

    Args:
        fn: An async function; each run is a Trio of its own under the virtual clock.
        args: Its arguments.
        seeds: How many, beginning with 0, or which ones.

    Returns:
        What *fn* has returned, seed by seed.
    """
    results: list[T] = []
    for seed in range(seeds) if isinstance(seeds, int) else seeds:
        try:
            results.append(run(fn, *args, seed=seed))
        except BaseException as error:
            name = getattr(fn, "__qualname__", repr(fn))
            error.add_note(
                f"with seed {seed}; to repeat it: supervision.testing.run({name}, "
                f"{''.join(f'{arg!r}, ' for arg in args)}seed={seed})"
            )
            raise
    return results


@contextmanager
def seeded(seed: int) -> Generator[None]:
    """Have *seed* decide in which order Trio lets tasks run, for the length of a block.

    Of the tasks that can run Trio lets a random one run first, so that nobody relies on
    an order; with the same seed it is the same each time, as long as the program is the
    same. The functions of ``random`` are seeded, too: the waits of a
    `supervision.CoolDown` depend on them. Afterwards everything is as it was.
    """
    order = getattr(_scheduler, "_r", None)
    switch = getattr(_scheduler, _SWITCH, None)
    before = None if order is None else order.getstate(), random.getstate()
    try:
        random.seed(seed)
        count_anew()
        if order is not None:
            order.seed(seed)
        if switch is not None:
            setattr(_scheduler, _SWITCH, True)
        yield
    finally:
        if order is not None:
            order.setstate(before[0])
        if switch is not None:
            setattr(_scheduler, _SWITCH, switch)
        random.setstate(before[1])


@asynccontextmanager
async def as_process(
    name: str | None = None, *, trap_exits: bool = False, grace: float = 5.0
) -> AsyncGenerator[Pid]:
    """Make the calling task a process for the length of a block, in a tree of its own.

    So a test itself can receive, link, monitor and be called. Its tree is the innermost
    one that is open: what is spawned in the block ends with it.

    An exit signal that it does not trap cancels the block: control goes on behind it, so
    what the block asserts at its end is never asserted. To have that noticed the block
    then raises.

    Args:
        name: Registered for the process.
        trap_exits: Get exit signals as messages instead.
        grace: Seconds for the orderly end of what was spawned; then it is killed.

    Raises:
        AssertionError: An exit signal has ended the process.
    """
    dynamic = ChildSpec("tests", DynamicSupervisor, type="supervisor")
    async with open_supervisor([dynamic], grace=grace) as root:
        (child,) = tree(root).children
        assert child.pid is not None
        done = False
        async with adopt(child.pid, "test", name=name) as pid:
            set_trap_exits(trap_exits)
            yield pid
            done = True
        if not done:
            raise AssertionError("an exit signal has ended the test; trap_exits=True?")
