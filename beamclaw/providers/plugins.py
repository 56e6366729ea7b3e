"""Providers of other packages: which one speaks an API that is not ours.

An entry point of the group ``beamclaw.providers`` has the API's name and stands for a
function like :data:`Connector`. Only those that a configuration names are imported.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import cast

import attrs

from beamclaw.config.installed import PROVIDERS, CannotLoad, Fault, Found, found
from beamclaw.config.models import APIS
from beamclaw.config.schema import Config, ProviderConfig
from beamclaw.contracts.providers import (
    ModelRequest,
    Provider,
    ProviderError,
    ProviderEvent,
)
from beamclaw.values import frozen

Connector = Callable[[str, ProviderConfig], Provider]
"""Makes a connection: of the provider's name, and of its configuration with one key.

Called when the first call is made, on the event loop: it opens nothing and imports
nothing that takes long. What cannot work is told by each call.
"""


@frozen
class Plugins:
    """What packages bring.

    Attributes:
        connectors: By the name of the API; None: it cannot be used.
        faults: Why.
    """

    connectors: Mapping[str, Connector] = attrs.field(factory=dict[str, Connector])
    faults: Sequence[Fault] = ()

    def connect(self, name: str, config: ProviderConfig) -> Provider:
        """A connection; if the package is at fault, one whose calls say so."""
        connector = self.connectors.get(config.api)
        if connector is not None:
            return connector(name, config)
        words = [fault.words for fault in self.faults if fault.name == config.api]
        return Unusable(name, words[0] if words else f"nobody speaks {config.api!r}")


def load_plugins(config: Config) -> Plugins:
    """Import those that *config* names; called once, before the node starts."""
    named = {provider.api for provider in config.providers.values()} - {*APIS}
    if not named:
        return Plugins()
    connectors: dict[str, Connector] = {}
    faults: list[Fault] = []
    entries = found(PROVIDERS)
    for api in sorted(named):
        try:
            connectors[api] = _load(api, entries.get(api, ()))
        except CannotLoad as error:
            packages = " and ".join(point.package for point in entries.get(api, ()))
            faults.append(Fault(name=api, package=packages, words=str(error)))
    return Plugins(connectors, faults)


def _load(api: str, points: Sequence[Found]) -> Connector:
    if len(points) != 1:
        packages = " and ".join(point.package for point in points) or "no package"
        raise CannotLoad(f"{packages} speak {api!r}, and it has to be one")
    point = points[0]
    value = point.load()
    if not callable(value):
        raise CannotLoad(f"{point.value} of the package {point.package} is no function")
    return cast("Connector", value)


@frozen
class Unusable:
    """A provider that cannot be asked, and says why."""

    name: str
    words: str

    def stream(
        self, request: ModelRequest
    ) -> AbstractAsyncContextManager[AsyncIterator[ProviderEvent]]:
        """Refused; see :class:`beamclaw.contracts.providers.Provider`."""
        del request
        return self._refuse()

    @asynccontextmanager
    async def _refuse(self) -> AsyncGenerator[AsyncIterator[ProviderEvent]]:
        raise ProviderError("invalid", f"provider {self.name}: {self.words}")
        yield  # pyright: ignore[reportUnreachable] -- what makes it a generator

    async def aclose(self) -> None:
        """Nothing is open."""
