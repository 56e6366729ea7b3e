"""What must not be left behind: looked for after every test of `supervision`.

Nothing here knows what a test did. It knows what was made in the meantime (homes, timers,
processes) and what has to be true of it at the end of the run and at the end of the test.
"""

import gc
from collections.abc import Iterator
from typing import Any

import attrs
import pytest

from supervision import _life
from supervision._children import Child
from supervision._engine import Engine
from supervision._groups import GroupRef
from supervision._life import Process
from supervision._mailbox import Mailbox
from supervision._pid import Ref
from supervision._runtime import Home
from supervision._signals import From
from supervision._timers import Timer, Timers
from supervision._trio_parts import Splice

# Of these no instance may be alive when a test and its Trio run are over.
MORTAL = (Process, Mailbox, Ref, From, Timer, Timers, Child, Engine, Home, Splice)


def faults_of_tables(home: Home) -> Iterator[str]:
    """Say where the tables of a home that still runs contradict themselves."""
    runtime = home.runtime
    for name, holder in runtime.names.items():
        if not holder.alive or name not in (holder.names or ()):
            yield f"the name {name!r} belongs to {holder}, who does not hold it"
    for name in runtime.values.keys() - runtime.names.keys():
        yield f"a value of the free name {name!r} is left"
    for process in home.processes:
        yield from _faults_of_process(process)


def _faults_of_process(process: Process) -> Iterator[str]:
    if not process.alive:
        yield f"{process} is dead and still at home"
    for other in process.links or ():
        if not other.alive or process not in (other.links or ()):
            yield f"{process} is linked to {other}, who knows nothing of it"
    for ref in process.monitors or ():
        if ref.target is not process:
            yield f"{process} has the monitor {ref} of somebody else"
        if ref.watcher is not None and ref not in (ref.watcher.watching or ()):
            yield f"{process} is watched by {ref.watcher}, who knows nothing of it"
    for slot in process.pending:
        if slot.task is None:
            yield f"{process} keeps the call {slot!r}, for which nobody waits"
    yield from _faults_of_watching(process)


def _faults_of_watching(process: Process) -> Iterator[str]:
    for ref in process.watching or ():
        if isinstance(ref, GroupRef):
            continue
        if ref.target is None or ref not in (ref.target.monitors or ()):
            yield f"{process} has the monitor {ref}, which watches nobody"


def faults_of_dead(process: Process) -> Iterator[str]:
    """Say what a process has kept that its exit step had to give up."""
    for kept in ("links", "monitors", "watching", "names", "tables", "mailbox"):
        if getattr(process, kept, None):
            yield f"{process} has ended and kept its {kept}"
    if process.pending:
        yield f"{process} has ended, and callers wait for it"
    if process.pid.process is not None:
        yield f"{process} has ended, and its pid does not know"


@attrs.define
class Watch:
    """Notes what is made while a test runs; `faults` says what is left of it."""

    homes: list[Home] = attrs.field(factory=list[Home])
    timers: list[Timers] = attrs.field(factory=list[Timers])
    seen: list[str] = attrs.field(factory=list[str])
    # What a test does on purpose: it keeps crashes, and so the frames of processes; it
    # abandons a whole run.
    keeps_crashes: bool = False
    abandons: bool = False

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Have everything that is made noted."""
        watch = self
        init_home, init_timers = Home.__init__, Timers.__init__
        close, finish = Home.close, Process.finish

        def make_home(home: Home, *args: Any, **options: Any) -> None:
            init_home(home, *args, **options)
            watch.homes.append(home)

        def make_timers(timers: Timers) -> None:
            init_timers(timers)
            watch.timers.append(timers)

        async def close_home(home: Home, grace: float) -> None:
            watch.seen.extend(faults_of_tables(home))
            await close(home, grace)
            watch.seen.extend(f"{left} outlived its home" for left in home.processes)

        def finish_process(process: Process, reason: Any) -> None:
            finish(process, reason)
            watch.seen.extend(faults_of_dead(process))

        patch.setattr(Home, "__init__", make_home)
        patch.setattr(Home, "close", close_home)
        patch.setattr(Timers, "__init__", make_timers)
        patch.setattr(Process, "finish", finish_process)

    def faults(self) -> list[str]:
        """Everything that is left; forgets what it noted."""
        found = [*self.seen, *self._faults_of_homes(), *self._faults_of_timers()]
        found += [f"{task} is still a process" for task in _life._by_task]
        self.homes.clear()
        self.timers.clear()
        self.seen.clear()
        return [] if self.abandons else found

    def _faults_of_homes(self) -> Iterator[str]:
        for home in self.homes:
            if not home.host_done.is_set() or not home.closing.is_set():
                yield f"the home of {home.root} was never closed"
            yield from (f"{left} is left at home" for left in home.processes)
            tables = home.runtime
            for table in ("names", "values", "groups", "homes"):
                if getattr(tables, table, None):
                    yield f"the table of {table} is not empty"

    def _faults_of_timers(self) -> Iterator[str]:
        for timers in self.timers:
            for when, _, timer in timers._heap:
                if timer.fire is not None:
                    yield f"a timer for {when} is left: {timer.fire}"


def still_in_memory() -> list[str]:
    """Instances made since ``gc.freeze()`` that nobody should refer to any more."""
    gc.collect()
    left = [found for found in gc.get_objects() if isinstance(found, MORTAL)]
    return [f"still in memory: {found!r}" for found in left]
