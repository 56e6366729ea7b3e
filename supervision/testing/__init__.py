"""Small things for tests of code that stands on `supervision`.

Nothing here sleeps for luck: everything waits for the event that it is named after.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import attrs
import trio
import trio.testing

from supervision._pid import Pid
from supervision._process import Process, find, forget, notify_end, runtime
from supervision._reasons import NOPROC, ExitReason
from supervision._registry import whereis
from supervision._signals import Down
from supervision._telemetry import Event, attach

__all__ = ["Recorder", "settle", "wait_exit", "wait_name"]


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
    """Wait until every task has nothing left to do."""
    await trio.testing.wait_all_tasks_blocked()


@attrs.define
class Recorder:
    """Keeps the telemetry events of a block, in order.

    >>> with Recorder.attached() as recorder:
    ...     pass
    >>> recorder.names()
    []
    """

    events: list[Event] = attrs.field(factory=list[Event])

    @classmethod
    @contextmanager
    def attached(cls) -> Generator[Recorder]:
        """Record for the length of a block."""
        recorder = cls()
        detach = attach(recorder.events.append)
        try:
            yield recorder
        finally:
            detach()

    def names(self) -> list[str]:
        """The names of the events."""
        return [event.name for event in self.events]

    def named(self, name: str) -> list[Event]:
        """The events of one name."""
        return [event for event in self.events if event.name == name]
