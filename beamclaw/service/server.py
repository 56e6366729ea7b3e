"""The process ``service``: tells the service manager that the node is up, and lives.

**What a ping proves.** That within the last third of ``WatchdogSec`` Trio's loop ran this
process, the ledger's process took a message, its writer thread committed a transaction
and synced it to the disk, and the loop brought the answer back. A disk that refuses, as a
full one does, is an answer: the node says so and tries again, and a restart would make
nothing better. A disk, thread or process that hangs is none: the pings end, and the
service manager kills the node, which loses nothing that was acknowledged.

It does not prove that a model answers, nor that any one session gets on: these have
time-outs and supervisors of their own.
"""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar, Final

import supervision
from beamclaw.contracts import names
from beamclaw.contracts.bus import Bus
from beamclaw.contracts.ledger import ProveCommit
from beamclaw.contracts.ledger_errors import LedgerError
from beamclaw.contracts.service import NAME, NodeIsUp, NodeStops
from beamclaw.service.notifying import Notifier
from beamclaw.values import frozen

_APPLIED: Final = "beamclaw.config.applied"
_MICRO: Final = 1_000_000


@frozen
class _Tick:
    """It is time to see whether all is well."""


@frozen
class _Reloaded:
    """Another configuration holds."""


class Told:
    """What the service manager knows; outlives the process, which may be killed.

    Attributes:
        up: The address that the gateway was last said to listen on; None: not up yet.
    """

    def __init__(self) -> None:
        self.up: str | None = None
        self.detach: Callable[[], None] | None = None


class ServiceServer(supervision.Server):
    """See the module.

    Args:
        notifier: Sends to the service manager.
        bus: The way to the ledger.
        told: What it knows already.
    """

    trap_exit: ClassVar[bool] = True

    def __init__(self, notifier: Notifier, bus: Bus, told: Told) -> None:
        self._notifier = notifier
        self._bus = bus
        self._told = told
        self._stopping = False
        self._pings = 0
        self._missed = 0
        self._trouble = ""

    async def init(self) -> None:
        """Begin to look, in the place of a predecessor."""
        if self._told.detach is not None:
            self._told.detach()
        self._told.detach = supervision.telemetry.attach(
            partial(_hear, supervision.self_pid())
        )
        if self._told.up is not None:
            self._tick_later(0)

    async def handle_cast(self, message: object) -> None:
        """The node is up, or stops."""
        if isinstance(message, NodeIsUp):
            first = self._told.up is None
            self._told.up = message.address
            self._notifier.send(READY="1", STATUS=self._words())
            if first:  # from here on the service manager waits for pings
                self._tick_later(0)
        elif isinstance(message, NodeStops):
            self._stopping = True
            self._notifier.send(STOPPING="1", STATUS="stopping: open turns end")

    async def handle_info(self, message: object) -> supervision.Stop | None:
        """It is time, or another configuration holds."""
        if isinstance(message, supervision.Exit):
            return supervision.Stop(message.reason)
        if isinstance(message, _Reloaded) and self._told.up is not None:
            # For Type=notify-reload, which wants to see both.
            now = int(time.clock_gettime(time.CLOCK_MONOTONIC) * _MICRO)
            self._notifier.send(RELOADING="1", MONOTONIC_USEC=str(now))
            self._notifier.send(READY="1", STATUS=f"{self._words()}, reloaded")
        if isinstance(message, _Tick):
            await self._look()
        return None

    async def terminate(self, reason: supervision.ExitReason) -> None:
        """Hear no more."""
        if self._told.detach is not None:
            self._told.detach()
            self._told.detach = None

    async def _look(self) -> None:
        every = self._notifier.manager.every
        before = self._trouble
        if await self._lives(every):
            self._pings += 1
            if self._notifier.manager.within is not None:
                self._notifier.send(WATCHDOG="1")
        else:
            self._missed += 1
        if self._trouble != before and self._told.up is not None and not self._stopping:
            self._notifier.send(STATUS=self._words())
        self._tick_later(every)

    async def _lives(self, seconds: float) -> bool:
        """Whether the ledger's way to the disk answers within *seconds*."""
        ledger = names.of_tenant(names.DEFAULT_TENANT, "ledger")
        try:
            await self._bus.call(ledger, ProveCommit(), timeout=seconds)
        except LedgerError as refusal:
            self._trouble = f"the ledger cannot write: {refusal}"
            return True
        except supervision.CallFailed as failure:
            self._trouble = f"the ledger does not answer: {failure}"
            return False
        self._trouble = ""
        return True

    def _tick_later(self, seconds: float) -> None:
        supervision.send_after(seconds, supervision.self_pid(), _Tick())

    def _words(self) -> str:
        return self._trouble or f"listening on {self._told.up}"

    def describe(self) -> Mapping[str, object]:
        """Figures of it."""
        return {
            "up": self._told.up,
            "within": self._notifier.manager.within,
            "pings": self._pings,
            "missed": self._missed,
            "trouble": self._trouble or None,
        }


def _hear(me: supervision.Pid, event: Any) -> None:
    if event.name == _APPLIED:
        supervision.send(me, _Reloaded())


def child(notifier: Notifier) -> Callable[[Bus], supervision.ChildSpec]:
    """What makes the child of the tree; tried again for ever, as a sink is."""
    told = Told()

    def spec(bus: Bus) -> supervision.ChildSpec:
        start = partial(ServiceServer, notifier, bus, told)
        return supervision.ChildSpec(
            "service", start, name=NAME, cool_down=supervision.CoolDown()
        )

    return spec
