"""One call of a model: wait for leave, ask, gather what comes, give the leave back."""

from collections.abc import Callable

import attrs

import supervision
from beamclaw.contracts import names
from beamclaw.contracts.messages import Usage
from beamclaw.contracts.points import reach
from beamclaw.contracts.providers import (
    Acquire,
    ModelRequest,
    Permit,
    ProviderBusy,
    ProviderError,
    Release,
)
from beamclaw.contracts.sessions import Phase
from beamclaw.runs.answer import Answer
from beamclaw.runs.clients import Clients
from beamclaw.runs.wiring import Wiring


@attrs.frozen
class ModelCall:
    """One call; a value that is used once.

    Attributes:
        run_id: For whom the leave is asked.
        wait_for: Is told what is waited for: the provider's leave, then the model.
        say: Is given the text that a person sees, as it comes.
    """

    wiring: Wiring
    run_id: str
    provider: str
    request: ModelRequest
    wait_for: Callable[[Phase, str], None]
    say: Callable[[str], None]

    async def make(self, answer: Answer) -> None:
        """Ask; what comes is added to *answer*, and passed on, as it comes.

        Raises:
            ProviderError: It failed, at whatever point. What had come is in *answer*.
        """
        bus, permits = self.wiring.bus, names.permits(self.provider)
        self.wait_for("permit", self.provider)
        permit = await self._permit(permits)
        release = Release(permit.id)
        try:
            self.wait_for("model", f"{self.provider}/{self.request.model}")
            await self._stream(answer)
            release = Release(permit.id, answer.usage or Usage())
        except ProviderError as error:
            release = Release(permit.id, Usage(), error.kind, error.retry_after)
            raise
        finally:
            reach("permit.release.before")
            bus.cast(permits, release)
            reach("permit.release.after")

    async def _permit(self, permits: str) -> Permit:
        bus = self.wiring.bus
        try:
            reach("permit.acquire.before")
            permit = await bus.call(permits, Acquire(self.run_id), timeout=None)
            reach("permit.acquire.after")
        except ProviderBusy as busy:
            raise ProviderError(
                "overloaded", str(busy), retry_after=busy.retry_after
            ) from None
        except supervision.CallFailed as error:
            # The permit server is being restarted: wait for it like for a provider.
            raise ProviderError("overloaded", f"no permit: {error}") from error
        return permit

    async def _stream(self, answer: Answer) -> None:
        client = self._clients().get(self.provider)
        async with client.stream(self.request) as events:
            async for event in events:
                text = answer.take(event)
                if text:
                    self.say(text)

    def _clients(self) -> Clients:
        entry = supervision.lookup(names.of_tenant(self.wiring.tenant, "clients"))
        if entry is None or not isinstance(entry.value, Clients):
            msg = "the tenant's connections to providers are being restarted"
            raise ProviderError("network", msg)
        return entry.value
