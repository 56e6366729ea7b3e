"""The permit server of a provider: its one place for rate, concurrency and figures.

Streams do not pass through here. A run asks for a permit, calls the provider in its own
task, and gives the permit back with what the call cost. A run that dies, waiting or
calling, loses its place or its permit in the same step. When the permit server itself
dies, calls go on; its successor does not know of them, so for as long as they last there
may be more at once than configured.
"""

from functools import partial
from typing import Any

import attrs
import trio

import supervision
from beamclaw.config.schema import Config, ProviderConfig
from beamclaw.contracts import names
from beamclaw.contracts.messages import Usage
from beamclaw.contracts.points import reach
from beamclaw.contracts.providers import (
    Acquire,
    GetPermits,
    Permit,
    PermitStatus,
    ProviderBusy,
    Release,
)
from beamclaw.contracts.retry import RetryPolicy
from beamclaw.providers.permit_queue import PermitQueue
from supervision.abc import NoReply

# What to tell whom the queue turns away, if nothing better is known.
_SOON = 1.0


@attrs.frozen(kw_only=True)
class PermitLimits:
    """What a permit server enforces.

    Attributes:
        longest_pause: Seconds that a provider's ``retry-after`` can stop everybody; a
            longer one is told to each caller by its own call.
    """

    max_concurrent: int = 1000
    max_waiting: int = 10_000
    requests_per_minute: int | None = None
    longest_pause: float = 120.0

    @classmethod
    def of(cls, config: ProviderConfig) -> "PermitLimits":
        """Those of the configuration."""
        return cls(
            max_concurrent=config.max_concurrent,
            max_waiting=config.max_waiting,
            requests_per_minute=config.requests_per_minute,
            longest_pause=RetryPolicy(most=config.retry_most).patience,
        )


class PermitServer(supervision.Server):
    """Registered as ``providers/<name>``; answers ``Acquire`` and ``GetPermits``."""

    def __init__(self, provider: str, limits: PermitLimits) -> None:
        self._provider = provider
        self._limits = limits
        self._queue = PermitQueue(
            limits.max_concurrent, limits.max_waiting, limits.requests_per_minute
        )
        self._askers: dict[int, supervision.From] = {}
        # The monitor of each ticket's process, and back.
        self._watches: dict[int, supervision.Ref] = {}
        self._tickets: dict[supervision.Ref, int] = {}
        self._calls = 0
        self._errors = 0
        self._usage = Usage()

    async def handle_call(
        self, request: supervision.Call[Any], sender: supervision.From
    ) -> object:
        """A permit (now or later), or how things stand."""
        match request:
            case Acquire():
                self._ask(sender)
                return NoReply(self._go_on())
            case GetPermits():
                return supervision.Reply(self._status(), self._go_on())
            case _:
                return await super().handle_call(request, sender)

    async def handle_cast(self, message: object) -> supervision.Timeout | None:
        """Take a permit back."""
        if isinstance(message, Release):
            self._take_back(message)
        return self._go_on()

    async def handle_info(self, message: object) -> supervision.Timeout | None:
        """Somebody died, or time has passed."""
        if isinstance(message, supervision.Down):
            ticket = self._tickets.get(message.ref)
            if ticket is not None:
                self._forget(ticket)
        return self._go_on()

    def describe(self) -> dict[str, object]:
        """The status, for whoever looks in."""
        return attrs.asdict(self._status())

    def _ask(self, sender: supervision.From) -> None:
        now = trio.current_time()
        ticket = self._queue.ask(now)
        if ticket is None:
            wait = max(_SOON, self._queue.blocked_for(now))
            busy = ProviderBusy(self._provider, self._queue.waiting, wait)
            supervision.reply_error(sender, busy)
            return
        self._askers[ticket] = sender
        if sender.pid is not None:
            ref = supervision.monitor(sender.pid)
            self._watches[ticket] = ref
            self._tickets[ref] = ticket

    def _take_back(self, release: Release) -> None:
        if not self._forget(release.permit):
            return  # of an earlier incarnation, or freed by a death
        self._calls += 1
        self._usage += release.usage
        if release.error is not None:
            self._errors += 1
        if release.error == "rate_limit" and release.retry_after is not None:
            pause = min(release.retry_after, self._limits.longest_pause)
            self._queue.block(pause, trio.current_time())

    def _forget(self, ticket: int) -> bool:
        self._askers.pop(ticket, None)
        ref = self._watches.pop(ticket, None)
        if ref is not None:
            del self._tickets[ref]
            supervision.demonitor(ref, flush=True)
        return self._queue.leave(ticket)

    def _go_on(self) -> supervision.Timeout | None:
        """Let those start whose turn it is; when to look again without a message."""
        now = trio.current_time()
        for grant in self._queue.grants(now):
            sender = self._askers.pop(grant.ticket)
            reach("permit.grant.before")
            supervision.reply(sender, Permit(grant.ticket, grant.waited))
            reach("permit.grant.after")
        wait = self._queue.next_look(now)
        return None if wait is None else supervision.Timeout(wait)

    def _status(self) -> PermitStatus:
        return PermitStatus(
            provider=self._provider,
            in_use=self._queue.in_use,
            waiting=self._queue.waiting,
            limit=self._limits.max_concurrent,
            calls=self._calls,
            errors=self._errors,
            usage=self._usage,
            blocked_for=self._queue.blocked_for(trio.current_time()),
        )


def supervisor(config: Config) -> supervision.Supervisor:
    """One permit server per provider of *config*.

    one_for_one, and a child that keeps dying cools down: no provider's trouble is
    another's, and none is a reason for the node to stop.
    """
    return supervision.Supervisor(
        [
            supervision.ChildSpec(
                name,
                partial(PermitServer, name, PermitLimits.of(provider)),
                name=names.permits(name),
            )
            for name, provider in config.providers.items()
        ],
        strategy="one_for_one",
        cool_down=supervision.CoolDown(),
    )
