"""The world beyond the process, as one value that a test replaces.

Wall clock, ids, randomness and threads are reached through :class:`Outside` only. An
architecture test forbids going round it, which is what makes a simulation of the whole
node possible. Durations are never measured here: those are on ``trio.current_time()``.
"""

import random
import time
import uuid
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import attrs
import trio

from beamclaw.contracts.commands import OpenLauncher
from beamclaw.contracts.listening import Listen
from beamclaw.contracts.providers import Connect
from beamclaw.contracts.sandbox import Machine
from beamclaw.values import frozen

T = TypeVar("T")


class Worker(Protocol):
    """Runs blocking functions one after the other, away from the event loop."""

    async def run(self, fn: Callable[[], T]) -> T:
        """Run *fn*; cancelling the caller abandons the answer, never the call."""
        ...


@frozen
class ThreadWorker:
    """A worker on Trio's thread pool, one call at a time."""

    _one_at_a_time: trio.CapacityLimiter = attrs.field(
        factory=lambda: trio.CapacityLimiter(1)
    )

    async def run(self, fn: Callable[[], T]) -> T:
        """See :class:`Worker`."""
        return await trio.to_thread.run_sync(
            fn, limiter=self._one_at_a_time, abandon_on_cancel=True
        )


@frozen
class InlineWorker:
    """Runs the function at once, on the loop: for tests on a virtual clock."""

    async def run(self, fn: Callable[[], T]) -> T:
        """See :class:`Worker`."""
        await trio.lowlevel.checkpoint()
        return fn()


def _new_id() -> str:
    return str(uuid.uuid4())


@frozen(kw_only=True)
class Outside:
    """Everything the node takes from the world.

    Attributes:
        wall: Seconds since the epoch, as float.
        new_id: A fresh UUID (version 4) as text.
        random: A float in [0, 1), for jitter only, never for secrets.
        worker: Makes a worker for blocking calls (a database connection's reads).
        threads: Whether writer threads may be started; ``False`` drives them inline.
        later: Without threads: has a database's work done, a moment later. None: in
            the next step of the event loop.
        database: Opens a connection to a database file, by its URI. None: SQLite's own.
        connect: Makes the connection to a provider. None: as that is configured.
        launcher: Starts what starts programs. None: an operating system process.
        machine: What commands can be isolated by. None: what is found out.
        listen: Opens what the gateway accepts connections from. None: the system's
            sockets.
    """

    wall: Callable[[], float] = time.time
    new_id: Callable[[], str] = _new_id
    random: Callable[[], float] = random.random
    worker: Callable[[], Worker] = ThreadWorker
    threads: bool = True
    later: Callable[[Callable[[], None]], object] | None = None
    database: Callable[[str], Any] | None = None
    connect: Connect | None = None
    launcher: OpenLauncher | None = None
    machine: Machine | None = None
    listen: Listen | None = None
