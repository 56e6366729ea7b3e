"""A provider that says again what was said last, for `api: parrot`."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

import attrs
import trio

from beamclaw.config.schema import ProviderConfig
from beamclaw.contracts.messages import Usage
from beamclaw.contracts.providers import (
    End,
    ModelRequest,
    ProviderEvent,
    TextDelta,
    UsageReport,
)


@attrs.frozen
class Parrot:
    """See `beamclaw.contracts.providers.Provider`."""

    name: str

    @asynccontextmanager
    async def stream(
        self, request: ModelRequest
    ) -> AsyncGenerator[AsyncIterator[ProviderEvent]]:
        """One answer, in the caller's own task."""
        async with aclosing(self._answer(request.messages[-1].text)) as events:
            yield events

    async def _answer(self, said: str) -> AsyncGenerator[ProviderEvent]:
        await trio.lowlevel.checkpoint()
        yield TextDelta(f"Squawk! {said}")
        yield UsageReport(Usage(input=len(said), output=len(said)))
        yield End("stop")

    async def aclose(self) -> None:
        """Nothing is open."""


def connect(name: str, config: ProviderConfig) -> Parrot:
    """A connection to the provider *name*; *config* has at most one key."""
    del config
    return Parrot(name)
