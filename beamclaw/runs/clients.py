"""The tenant's own connections to model providers, opened when first needed."""

import attrs

import supervision
from beamclaw.contracts.providers import Connect, Provider


@attrs.define(eq=False)
class Clients:
    """Provider and key to connection. The registry value of the process ``clients``."""

    _connect: Connect
    _open: dict[tuple[str, int], Provider] = attrs.field(
        factory=dict[tuple[str, int], Provider], init=False
    )

    def get(self, name: str, key: int = 0) -> Provider:
        """The connection to provider *name*, by one of its keys (0 is the first)."""
        provider = self._open.get((name, key))
        if provider is None:
            provider = self._open[name, key] = self._connect(name, key)
        return provider

    async def aclose(self) -> None:
        """Close them all."""
        while self._open:
            _, provider = self._open.popitem()
            await provider.aclose()


class ClientsServer(supervision.Server):
    """Makes the connections findable, and closes them when the tenant stops.

    They belong to the tenant's runs: killed, it closes nothing, and the next one goes on
    with the same connections, which cuts no stream and leaves no socket behind.
    """

    trap_exit = True

    def __init__(self, name: str, clients: Clients) -> None:
        self._name = name
        self._clients = clients

    async def init(self) -> None:
        """Make the connections findable."""
        supervision.update_value(self._name, self._clients)

    async def terminate(self, reason: supervision.ExitReason) -> None:
        """Close all connections."""
        await self._clients.aclose()
