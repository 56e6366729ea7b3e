"""One call of a model: wait for leave, ask, gather what comes, give the leave back."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

import attrs
import trio

import supervision
from beamclaw.contracts import names, news
from beamclaw.contracts.budgets import Price
from beamclaw.contracts.messages import Usage
from beamclaw.contracts.points import point
from beamclaw.contracts.providers import (
    Acquire,
    Alive,
    KeyTaken,
    ModelRequest,
    Permit,
    Provider,
    ProviderBusy,
    ProviderError,
    ProviderEvent,
    ProviderUnwell,
    Rates,
    Release,
)
from beamclaw.contracts.sessions import Phase
from beamclaw.runs.answer import Answer
from beamclaw.runs.clients import Clients
from beamclaw.runs.wiring import Wiring
from beamclaw.values import frozen

LONGEST_TOKEN: Final = 32
"""Characters that an answer may have for each token that was allowed for it.

Hardly any token has as many. Who sends more does not keep to the limit, and would not
end by itself.
"""


Events = AbstractAsyncContextManager[AsyncIterator[ProviderEvent]]


class OutOfTimeError(Exception):
    """A call has taken as long as it may."""


@attrs.define
class _Times:
    """When a call was begun, got leave, and heard the first of the answer."""

    began: float
    asked: float | None = None
    first: float | None = None

    def told(self, now: float) -> tuple[float, float, float]:
        """Seconds of waiting for leave, until something came, and of the call itself."""
        if self.asked is None:
            return now - self.began, 0.0, 0.0
        first = now if self.first is None else self.first
        return self.asked - self.began, first - self.asked, now - self.asked


@frozen(kw_only=True)
class ModelCall:
    """One call; a value that is used once.

    Attributes:
        run_id: For whom the leave is asked.
        attempt: Which call of that run it is, from 1.
        resends: How often it was made before, and failed.
        purpose: What for.
        bound: What the call may use at most.
        keys: The provider's keys, in the order in which they are tried.
        patient: There is no other model: wait for this one also if it is ill.
        wait_for: Is told what is waited for: the provider's leave, then the model.
        say: Is given the text that a person sees, as it comes.
        heard: Is told how many tokens everything that has come can be.
        use: Is told which key is used.
        begin: Begins the call; None: *request* is asked of the model.
        seconds: How long it may take, with the wait for leave.
    """

    wiring: Wiring
    run_id: str
    provider: str
    request: ModelRequest
    bound: Usage
    keys: tuple[int, ...]
    attempt: int
    resends: int = 0
    purpose: news.Purpose = "answer"
    patient: bool
    wait_for: Callable[[Phase, str, float | None], None]
    say: Callable[[str], None]
    heard: Callable[[int], None]
    use: Callable[[int], None]
    begin: Callable[[Provider], Events] | None = None
    seconds: float = float("inf")

    async def make(self, answer: Answer) -> None:
        """Ask; what comes is added to *answer*, and passed on, as it comes.

        Raises:
            ProviderError: It failed, at whatever point. What had come is in *answer*.
            OutOfTimeError: It was cut after *seconds*, and is unclear if it was begun.
        """
        times = _Times(trio.current_time())
        outcome, failed = "cancelled", None
        try:
            with trio.move_on_after(self.seconds) as scope:
                await self._make(answer, times)
                outcome = "ok"
            if scope.cancelled_caught:
                answer.unclear = answer.unheard = times.asked is not None
                raise OutOfTimeError
        except ProviderError as error:
            outcome, failed = error.kind, error
            raise
        finally:
            self._tell(answer, times, outcome, failed)

    def _tell(
        self,
        answer: Answer,
        times: _Times,
        outcome: str,
        failed: ProviderError | None,
    ) -> None:
        target = self.provider, self.request.model
        used = answer.spent(self.bound) if outcome != "ok" else answer.cost(self.bound)
        call = news.Called(
            tenant=self.wiring.tenant,
            run_id=self.run_id,
            attempt=self.attempt,
            resends=self.resends,
            purpose=self.purpose,
            target=target,
            asked=times.asked is not None,
            outcome=outcome,
            status=(failed and failed.status) or 0,
        )
        news.tell_called(
            call,
            times=times.told(trio.current_time()),
            usage=used,
            cost=(self.wiring.price(*target) or Price()).cost(used),
        )

    async def _make(self, answer: Answer, times: _Times) -> None:
        self.wait_for("permit", self.provider, None)
        key, permit = await self._permit()
        times.asked = trio.current_time()
        self.use(key)
        permits = names.permits(self.provider, key)
        release = Release(permit.id, unknown=True)
        try:
            self.wait_for("model", f"{self.provider}/{self.request.model}", None)
            client = await self._clients().get(self.provider, key)
            try:
                begin = self.begin or _asking(self.request)
                await self._stream(begin(client), answer, (permits, permit), times)
            except ProviderError as error:
                answer.unclear, answer.unheard = error.unclear, error.unheard
                release = Release(
                    permit.id,
                    answer.spent(self.bound),
                    error.kind,
                    error.retry_after,
                    error.message,
                    error.rates or answer.rates,
                )
                raise
            used = answer.cost(self.bound)
            release = Release(permit.id, used, rates=answer.rates)
        finally:
            with point("permit.release"):
                self.wiring.bus.cast(permits, release)

    # --- leave

    async def _permit(self) -> tuple[int, Permit]:
        key = self.keys[0]
        if len(self.keys) > 1:
            best = float("inf")
            for other in self.keys:
                try:
                    return other, await self._acquire(other, wait=False)
                except KeyTaken as taken:
                    wait = taken.retry_after
                except ProviderUnwell as unwell:
                    # One that no time makes well is taken last.
                    wait = (unwell.retry_after or 0.0) if unwell.transient else best
                if wait < best:
                    best, key = wait, other
        try:
            return key, await self._acquire(key)
        except ProviderUnwell as unwell:
            if not self.patient or not unwell.transient:
                raise
            self.wait_for("retry", unwell.message, unwell.retry_after)
        return key, await self._acquire(key, patient=True)

    async def _acquire(
        self, key: int, *, wait: bool = True, patient: bool = False
    ) -> Permit:
        tokens = self.bound.input + self.bound.output
        request = Acquire(self.run_id, tokens, patient, wait)
        permits = names.permits(self.provider, key)
        try:
            with point("permit.acquire"):
                permit = await self.wiring.bus.call(permits, request, timeout=None)
        except ProviderBusy as busy:
            raise ProviderError(
                "overloaded", str(busy), retry_after=busy.retry_after
            ) from None
        except supervision.CallFailed as error:
            # The permit server is being restarted: wait for it like for a provider.
            raise ProviderError("overloaded", f"no permit: {error}") from error
        return permit

    # --- the call

    async def _stream(
        self,
        stream: Events,
        answer: Answer,
        leave: tuple[str, Permit],
        times: _Times,
    ) -> None:
        most = self.bound.output * LONGEST_TOKEN
        waited_for = True
        async with stream as events:
            async for event in events:
                if waited_for and not isinstance(event, Rates):
                    waited_for = False
                    times.first = trio.current_time()
                    self._tell_alive(*leave)
                text = answer.take(event)
                self.heard(answer.most)
                if text:
                    self.say(text)
                if answer.length > most:
                    answer.break_off()
                    return

    def _tell_alive(self, permits: str, permit: Permit) -> None:
        """Whether the provider is well was to be found out by this call."""
        if permit.probe:
            with point("permit.alive"):
                self.wiring.bus.cast(permits, Alive(permit.id))

    def _clients(self) -> Clients:
        entry = supervision.lookup(names.of_tenant(self.wiring.tenant, "clients"))
        if entry is None or not isinstance(entry.value, Clients):
            msg = "the tenant's connections to providers are being restarted"
            raise ProviderError("network", msg)
        return entry.value


def _asking(request: ModelRequest) -> Callable[[Provider], Events]:
    return lambda client: client.stream(request)
