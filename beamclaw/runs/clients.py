"""The tenant's own connections to model providers, opened when first needed."""

import attrs

import supervision
from beamclaw.contracts.providers import Connect, Provider


@attrs.define(eq=False)
class Clients:
    """Provider name to connection. The registry value of the process ``clients``."""

    _connect: Connect
    _open: dict[str, Provider] = attrs.field(factory=dict[str, Provider], init=False)

    def get(self, name: str) -> Provider:
        """The connection to provider *name*."""
        provider = self._open.get(name)
        if provider is None:
            provider = self._open[name] = self._connect(name)
        return provider

    async def aclose(self) -> None:
        """Close them all."""
        while self._open:
            _, provider = self._open.popitem()
            await provider.aclose()


class ClientsServer(supervision.Server):
    """Owns the connections: they are closed when it ends, whatever ends it."""

    trap_exit = True

    def __init__(self, name: str, connect: Connect) -> None:
        self._name = name
        self._clients = Clients(connect)

    async def init(self) -> None:
        """Make the connections findable."""
        supervision.update_value(self._name, self._clients)

    async def terminate(self, reason: supervision.ExitReason) -> None:
        """Close all connections."""
        await self._clients.aclose()
