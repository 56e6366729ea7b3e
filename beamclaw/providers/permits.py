"""The permit server of a provider's key: the place for rate, breaker and figures.

Streams do not pass through here. A run asks for a permit, calls the provider in its own
task, and gives the permit back with what the call cost. A run that dies, waiting or
calling, loses its place or its permit in the same step. When the permit server itself
dies, calls go on; its successor does not know of them, so for as long as they last there
may be more at once than configured.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import attrs
import trio

import supervision
from beamclaw.config.schema import Config, ProviderConfig
from beamclaw.contracts import names
from beamclaw.contracts.messages import Usage
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.points import point
from beamclaw.contracts.providers import (
    ANSWERS_AGAIN,
    LEFT_ALONE,
    TRANSIENT,
    Acquire,
    Alive,
    GetPermits,
    KeyTaken,
    Permit,
    PermitStatus,
    ProviderBusy,
    ProviderUnwell,
    Release,
)
from beamclaw.contracts.retry import PATIENCE, RetryPolicy
from beamclaw.providers.breaker import Breaker, BreakerPolicy
from beamclaw.providers.permit_queue import PermitQueue
from beamclaw.values import frozen
from supervision.abc import NoReply

# What to tell whom the queue turns away, if nothing better is known.
_SOON = 1.0


@frozen(kw_only=True)
class PermitLimits:
    """What a permit server enforces.

    Attributes:
        longest_pause: Seconds that a provider's ``retry-after`` can stop everybody; a
            longer one is told to each caller by its own call.
    """

    max_concurrent: int = 1000
    max_waiting: int = 10_000
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    longest_pause: float = 120.0
    breaker: BreakerPolicy = attrs.field(factory=BreakerPolicy)

    @classmethod
    def of(cls, config: ProviderConfig) -> "PermitLimits":
        """Those of the configuration."""
        return cls(
            max_concurrent=config.max_concurrent,
            max_waiting=config.max_waiting,
            requests_per_minute=config.requests_per_minute,
            tokens_per_minute=config.tokens_per_minute,
            longest_pause=RetryPolicy(most=config.retry_most).patience,
            breaker=BreakerPolicy(
                failures=config.breaker_failures,
                window=config.breaker_window,
                first=config.breaker_first,
                most=config.breaker_most,
                hold=config.key_hold,
            ),
        )


class PermitServer(supervision.Server):
    """Registered as ``providers/<name>``; answers ``Acquire`` and ``GetPermits``.

    Args:
        provider: Its name in the configuration.
        limits: What is enforced.
        key: Which of its keys this one is for; 0 is the first.
        random: In [0, 1).
    """

    def __init__(
        self,
        provider: str,
        limits: PermitLimits,
        key: int,
        random: Callable[[], float],
    ) -> None:
        self._provider = provider
        self._key = key
        self._random = random
        self._limits = limits
        self._queue = PermitQueue(
            limits.max_concurrent,
            limits.max_waiting,
            limits.requests_per_minute,
            limits.tokens_per_minute,
            limits.longest_pause,
            Breaker(limits.breaker),
        )
        self._askers: dict[int, supervision.From] = {}
        # The monitor of each ticket's process, and back.
        self._watches: dict[int, supervision.Ref] = {}
        self._tickets: dict[supervision.Ref, int] = {}
        self._calls = 0
        self._errors = 0
        self._usage = Usage()
        self._last_error = ""

    async def handle_call(
        self, request: supervision.Call[Any], sender: supervision.From
    ) -> object:
        """A permit (now or later), or how things stand."""
        match request:
            case Acquire():
                self._ask(request, sender)
                return NoReply(self._go_on())
            case GetPermits():
                return supervision.Reply(self._status(), self._go_on())
            case _:
                return await super().handle_call(request, sender)

    async def handle_cast(self, message: object) -> supervision.Timeout | None:
        """Take a permit back, or hear that a probe is being answered."""
        if isinstance(message, Release):
            self._take_back(message)
        elif isinstance(message, Alive) and self._queue.breaker.answered(
            message.permit
        ):
            self._closed()
        return self._go_on()

    async def handle_info(self, message: object) -> supervision.Timeout | None:
        """Somebody died, or time has passed."""
        if isinstance(message, supervision.Down):
            ticket = self._tickets.get(message.ref)
            if ticket is not None:
                self._queue.breaker.lost(ticket)
                self._forget(ticket)
        return self._go_on()

    def describe(self) -> dict[str, object]:
        """The status, for whoever looks in."""
        return attrs.asdict(self._status())

    def _ask(self, request: Acquire, sender: supervision.From) -> None:
        now = trio.current_time()
        refusal = self._refusal(request, now)
        ticket = None if refusal else self._queue.ask(now, request.tokens)
        if ticket is None:
            wait = max(_SOON, self._queue.blocked_for(now))
            busy = ProviderBusy(self._provider, self._queue.waiting, wait)
            supervision.reply_error(sender, refusal or busy)
            return
        self._askers[ticket] = sender
        if sender.pid is not None:
            ref = supervision.monitor(sender.pid)
            self._watches[ticket] = ref
            self._tickets[ref] = ticket

    def _refusal(self, request: Acquire, now: float) -> Exception | None:
        """Why *request* is not even let into the queue."""
        if not self._queue.breaker.admits(now):
            unwell = self._unwell(now)
            # Nobody waits for a person to pay a bill.
            if not request.patient or unwell.kind not in TRANSIENT:
                return unwell
        pause = self._queue.blocked_for(now)
        if pause > PATIENCE and not request.patient:
            words = f"provider {self._provider} has asked to wait for {pause:.0f} s"
            return ProviderUnwell("rate_limit", words, retry_after=pause)
        if not request.wait:
            wait = self._queue.wait(now, request.tokens)
            if wait > 0:
                return KeyTaken(wait)
        return None

    def _unwell(self, now: float) -> ProviderUnwell:
        breaker = self._queue.breaker
        left = breaker.left(now)
        again = f"in {left:.0f} s" if left >= 1 else "in a moment"
        words = f"{breaker.words}; it is left alone and asked again {again}"
        return ProviderUnwell(breaker.kind or "overloaded", words, retry_after=left)

    def _take_back(self, release: Release) -> None:
        used = release.usage.input + release.usage.output
        billed = None if release.unknown else used
        if not self._forget(release.permit, billed):
            return  # of an earlier incarnation, or freed by a death
        now = trio.current_time()
        if release.rates is not None:
            self._queue.tell(release.rates, now)
        self._calls += 1
        self._usage += release.usage
        if release.unknown:
            self._queue.breaker.lost(release.permit)
            return
        if release.error is None:
            if self._queue.breaker.answered(release.permit):
                self._closed()
            return
        self._errors += 1
        self._last_error = release.words
        self._failed(release, now)
        if release.error == "rate_limit" and release.retry_after is not None:
            pause = min(release.retry_after, self._limits.longest_pause)
            self._queue.block(pause, now)

    def _failed(self, release: Release, now: float) -> None:
        breaker, kind = self._queue.breaker, release.error
        assert kind is not None
        was_closed = breaker.is_closed
        seconds = breaker.failed(
            release.permit, kind, release.words, now, self._random()
        )
        if seconds is not None:
            supervision.emit(
                LEFT_ALONE,
                {"seconds": seconds},
                {
                    "provider": self._provider,
                    "key": self._key + 1,
                    "kind": kind,
                    "why": release.words,
                },
            )
        elif breaker.is_closed and not was_closed:
            self._closed()

    def _closed(self) -> None:
        supervision.emit(
            ANSWERS_AGAIN,
            {},
            {"provider": self._provider, "key": self._key + 1},
        )

    def _forget(self, ticket: int, used: int | None = None) -> bool:
        self._askers.pop(ticket, None)
        ref = self._watches.pop(ticket, None)
        if ref is not None:
            del self._tickets[ref]
            supervision.demonitor(ref, flush=True)
        return self._queue.leave(ticket, trio.current_time(), used)

    def _turn_away(self, ticket: int, error: Exception) -> None:
        sender = self._askers[ticket]
        self._forget(ticket)
        supervision.reply_error(sender, error)

    def _go_on(self) -> supervision.Timeout | None:
        """Let those start whose turn it is; when to look again without a message."""
        now = trio.current_time()
        for ticket in self._queue.overdue(now):
            self._turn_away(ticket, self._unwell(now))
        for grant in self._queue.grants(now):
            sender = self._askers.pop(grant.ticket)
            permit = Permit(grant.ticket, grant.waited, grant.probe)
            with point("permit.grant"):
                supervision.reply(sender, permit)
        wait = self._queue.next_look(now)
        return None if wait is None else supervision.Timeout(wait)

    def _status(self) -> PermitStatus:
        now, queue = trio.current_time(), self._queue
        return PermitStatus(
            provider=self._provider,
            key=self._key,
            in_use=queue.in_use,
            waiting=queue.waiting,
            limit=self._limits.max_concurrent,
            calls=self._calls,
            errors=self._errors,
            usage=self._usage,
            blocked_for=queue.blocked_for(now),
            breaker=queue.breaker.state(now),
            opens_in=queue.breaker.left(now),
            last_error=self._last_error,
        )


def supervisor(
    config: Config, outside: Outside | None = None
) -> supervision.Supervisor:
    """One permit server per provider of *config*, and key.

    one_for_one, and a child that keeps dying cools down: no provider's trouble is
    another's, and none is a reason for the node to stop.
    """
    random = (outside or Outside()).random
    return supervision.Supervisor(
        [
            supervision.ChildSpec(
                names.of_key(name, key),
                partial(PermitServer, name, PermitLimits.of(provider), key, random),
                name=names.permits(name, key),
            )
            for name, provider in config.providers.items()
            for key in range(provider.key_count)
        ],
        strategy="one_for_one",
        cool_down=supervision.CoolDown(),
    )
