"""What must not be left behind when a tree has ended: looked for from outside.

Nothing here knows what a test did. It knows what was made in the meantime (homes, timers,
processes) and what has to be true of it at the end of the run and of the block.
"""

from __future__ import annotations

import gc
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, Final

import attrs

from supervision import _life
from supervision._children import Child
from supervision._engine import Engine
from supervision._groups import GroupRef
from supervision._life import Process
from supervision._mailbox import Mailbox
from supervision._pid import Ref
from supervision._runtime import Home
from supervision._signals import From
from supervision._timers import Alarm, Timer, Timers
from supervision._trio_parts import Splice

# Of these no instance may be alive when the Trio run is over.
_MORTAL: Final = (
    *(Process, Mailbox, Ref, From, Alarm, Timer, Timers, Child, Engine, Home, Splice),
)


@contextmanager
def assert_no_leaks(*, memory: bool = True) -> Generator[Leaks]:
    """Assert that nothing of the trees that a block opens is left when it ends.

    The block has to contain the whole life of its trees; around a whole Trio run it may
    be, too, and for *memory* it has to be. No process, name, group, link, monitor, call
    that waits, or timer may be left, and the tables of each tree have to agree with each
    other at its end.

    Args:
        memory: Also assert that nothing of them is left in memory. Whoever keeps a crash
            keeps its traceback, and by that the process, so this is for blocks that keep
            none. The objects that exist before the block are not looked at.

    Yields:
        What is known so far; its *memory* may be changed.

    Raises:
        AssertionError: Something is left, when the block itself raises nothing.
    """
    leaks = Leaks(memory)
    if memory:
        gc.freeze()
    try:
        with _noted_by(leaks):
            yield leaks
        faults = leaks.faults()
        if faults:
            raise AssertionError("\n".join(["left behind:", *faults]))
    finally:
        if memory:
            gc.unfreeze()


@attrs.define
class Leaks:
    """What was made since a block of `assert_no_leaks` began.

    Attributes:
        memory: Whether to look through the memory, too.
        ignore: Look for nothing at all: for who abandons a whole run on purpose.
    """

    memory: bool = True
    ignore: bool = False
    _homes: list[Home] = attrs.field(factory=list[Home], init=False)
    _timers: list[Timers] = attrs.field(factory=list[Timers], init=False)
    _seen: list[str] = attrs.field(factory=list[str], init=False)

    def faults(self) -> list[str]:
        """Everything that is left, in words; what was noted so far is forgotten."""
        found = [*self._seen, *self._faults_of_homes(), *self._faults_of_timers()]
        tasks = _life._by_task  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        ours = {id(home) for home in self._homes}
        found += [
            f"{process} still has a task"
            for process in tasks.values()
            if id(process.home) in ours
        ]
        self._homes.clear()
        self._timers.clear()
        self._seen.clear()
        if self.ignore:
            return []
        return found + (_still_in_memory() if self.memory else [])

    def _faults_of_homes(self) -> Iterator[str]:
        for home in self._homes:
            if not home.host_done.is_set() or not home.closing.is_set():
                yield f"the tree of {home.root} was never closed"
            yield from (f"{left} still runs" for left in home.processes)
            tables = home.runtime
            if tables.homes:
                continue  # another tree of the same run, which goes on
            for table in ("names", "values", "groups"):
                if getattr(tables, table):
                    yield f"the table of {table} is not empty"

    def _faults_of_timers(self) -> Iterator[str]:
        for timers in self._timers:
            heap = timers._heap  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
            for when, _, alarm in heap:
                if alarm.fire is not None:
                    yield f"a timer for {when} is left: {alarm.fire}"


@contextmanager
def _noted_by(leaks: Leaks) -> Generator[None]:
    """Have everything that is made noted."""
    homes: Any = Home
    processes: Any = Process
    heaps: Any = Timers
    init_home, init_timers = Home.__init__, Timers.__init__
    close, finish = Home.close, Process.finish

    def make_home(home: Home) -> None:
        init_home(home)
        leaks._homes.append(home)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]

    def make_timers(timers: Timers) -> None:
        init_timers(timers)
        leaks._timers.append(timers)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]

    async def close_home(home: Home, grace: float) -> None:
        seen = leaks._seen  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        seen.extend(faults_of_tables(home))
        await close(home, grace)
        seen.extend(f"{left} outlived its tree" for left in home.processes)

    def finish_process(process: Process, reason: Any) -> None:
        finish(process, reason)
        seen = leaks._seen  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        seen.extend(faults_of_dead(process))

    homes.__init__ = make_home
    homes.close = close_home
    heaps.__init__ = make_timers
    processes.finish = finish_process
    try:
        yield
    finally:
        homes.__init__ = init_home
        homes.close = close
        heaps.__init__ = init_timers
        processes.finish = finish


# --- tables that contradict themselves


def faults_of_tables(home: Home) -> Iterator[str]:
    """Say where the tables of a tree that still runs contradict themselves."""
    runtime = home.runtime
    for name, holder in runtime.names.items():
        if not holder.alive or name not in (holder.names or ()):
            yield f"the name {name!r} belongs to {holder}, who does not hold it"
    for name in runtime.values.keys() - runtime.names.keys():
        yield f"a value of the free name {name!r} is left"
    for process in home.processes:
        yield from _faults_of_process(process)


def _comes_as_message(slot: From) -> bool:
    """Whether a process has asked that lives, and goes on until there is a reply."""
    asks = None if slot.pid is None else slot.pid.process
    wanted: object = getattr(slot, "told", None)
    return wanted is not None and asks is not None and asks.alive


def _faults_of_process(process: Process) -> Iterator[str]:
    if not process.alive:
        yield f"{process} is dead and still in its tree"
    for other in process.links or ():
        if not other.alive or process not in (other.links or ()):
            yield f"{process} is linked to {other}, who knows nothing of it"
    for ref in process.monitors or ():
        if ref.target is not process:
            yield f"{process} has the monitor {ref} of somebody else"
        if ref.watcher is not None and ref not in (ref.watcher.watching or ()):
            yield f"{process} is watched by {ref.watcher}, who knows nothing of it"
    for slot in process.pending:
        if slot.task is None and not _comes_as_message(slot):
            yield f"{process} keeps the call {slot!r}, for which nobody waits"
    yield from _faults_of_watching(process)


def _faults_of_watching(process: Process) -> Iterator[str]:
    for ref in process.watching or ():
        if isinstance(ref, GroupRef):
            continue
        if ref.target is None or ref not in (ref.target.monitors or ()):
            yield f"{process} has the monitor {ref}, which watches nobody"


_GIVEN_UP: Final = ("links", "monitors", "watching", "names", "tables", "mailbox")


def faults_of_dead(process: Process) -> Iterator[str]:
    """Say what a process has kept that its exit step had to give up."""
    for kept in _GIVEN_UP:
        if getattr(process, kept, None):
            yield f"{process} has ended and kept its {kept}"
    if process.pending:
        yield f"{process} has ended, and callers wait for it"
    if process.pid.process is not None:
        yield f"{process} has ended, and its pid does not know"


def _still_in_memory() -> list[str]:
    """Instances made since ``gc.freeze()`` that nobody should refer to any more."""
    gc.collect()
    left = [found for found in gc.get_objects() if isinstance(found, _MORTAL)]
    return [f"still in memory: {found!r}" for found in left]
