"""Waiting for what processes do: an end, a name, rest. Nothing here sleeps for luck."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import trio
import trio.testing
from trio.lowlevel import current_task

from supervision._engine import Engine
from supervision._pid import Dest, Pid
from supervision._process import (
    NOT_WAITING,
    STARTING,
    Process,
    find,
    forget,
    notify_end,
    process_of_task,
    runtime,
    wait_points,
)
from supervision._reasons import NOPROC, ExitReason
from supervision._registry import whereis
from supervision._signals import Down

_RESTING: Final = frozenset({"running", "undefined"})
# Frames that say nothing to the reader: ours, and those of Trio's core.
_INNER: Final = (
    str(Path(__file__).parents[1]),
    str(Path(trio.lowlevel.__file__).parent / "_core"),
)


async def wait_exit(pid: Pid) -> ExitReason:
    """Wait until the process has ended; returns its reason, ``NOPROC`` if it had before.

    Works from any task.
    """
    process: Process | None = find(pid)
    if process is None:
        return NOPROC
    downs: list[Down] = []
    ended = trio.Event()

    def note(down: Down) -> None:
        downs.append(down)
        ended.set()

    ref = notify_end(process, note)
    try:
        await ended.wait()
    finally:
        forget(ref)
    return downs[0].reason


async def wait_name(name: str) -> Pid:
    """Wait until some process holds *name*; returns its pid."""
    await trio.lowlevel.checkpoint()
    tables = runtime()
    while (pid := whereis(name)) is None:
        if tables.name_claimed is None:
            tables.name_claimed = trio.Event()
        await tables.name_claimed.wait()
    return pid


async def settle() -> None:
    """Wait until every task has nothing left to do, unless the clock moves.

    Whoever sleeps, waits for a socket or cools down counts as settled; with
    `wait_at_rest` they do not.
    """
    await trio.testing.wait_all_tasks_blocked()


class NotAtRest(AssertionError):  # noqa: N818 - named by its situation
    """Somebody did not come to rest in time; the message says who, and where they are."""


async def wait_at_rest(*, timeout: float = 10.0, ignoring: Iterable[Dest] = ()) -> None:
    """Wait until every process has done its work and waits for messages.

    At rest is a process that waits in `supervision.receive` or in the loop of its
    behaviour, with nothing in its mailbox that it would take. Not at rest is one that
    starts or ends, sleeps, waits for a reply, a thread, a socket or inner tasks; nor is
    a supervisor with a child that starts, ends, is about to be restarted or cools down.
    What the inner tasks of a process do that itself waits for messages is its own affair.

    Timers that will bring a message later change nothing: only what has happened
    counts. While somebody is not at rest, time goes on; under the virtual clock it jumps.
    Nothing is polled: it looks again after any task has taken a step.

    Args:
        timeout: Seconds until it gives up.
        ignoring: Processes that never rest, for example one that accepts connections. A
            name stands for whoever holds it then. The calling process is not looked at
            either.

    Raises:
        NotAtRest: Somebody still was not.
        NoRuntime: No supervisor is open.
    """
    ignored = tuple(ignoring)
    activity = _Activity(current_task())
    trio.lowlevel.add_instrument(activity)
    try:
        with trio.move_on_after(timeout):
            while True:
                await settle()
                activity.seen = trio.Event()
                if next(_restless(ignored), None) is None:
                    return
                await activity.seen.wait()
    finally:
        trio.lowlevel.remove_instrument(activity)
    lines = "\n".join(f"  {line}" for line in _restless(ignored))
    raise NotAtRest(f"after {timeout:g} s these are not at rest:\n{lines}")


class _Activity(trio.abc.Instrument):
    """Notes that some other task has taken a step."""

    def __init__(self, mine: trio.lowlevel.Task) -> None:
        self._mine = mine
        self.seen = trio.Event()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is not self._mine:
            self.seen.set()


def _restless(ignored: Iterable[Dest]) -> Iterator[str]:
    """Say who is not at rest, and why."""
    left_out = {process_of_task(current_task()), *map(find, ignored)}
    for home in runtime().homes:
        for process in sorted(home.processes, key=lambda each: each.pid.serial):
            if process not in left_out:
                yield from _unrest(process)


def _unrest(process: Process) -> Iterator[str]:
    who = f"{process.label} {process.pid}"
    if process.name is not None and process.name != process.label:
        who += f" ({process.name})"
    engine: Engine | None = process.engine
    if process.reason is not None:
        yield f"{who} is ending: {process.reason}{_where(process)}"
    elif process.status is STARTING:
        yield f"{who} is starting{_where(process)}"
    elif engine is not None:
        for child in engine.children():
            # What a running child does is its own affair, and said of itself.
            if child.status not in _RESTING:
                yield f"{who} has the child {child.spec.id!r}, which is {child.status}"
    elif process.waiting == NOT_WAITING:
        yield f"{who} does not wait for messages{_where(process)}"


def _where(process: Process) -> str:
    told = [point for point in wait_points(process) if not point.startswith(_INNER)]
    return "".join(f"\n    at {point}" for point in told)
