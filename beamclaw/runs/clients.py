"""The tenant's own connections to model providers, opened when first needed."""

from collections.abc import Mapping

import attrs

import supervision
from beamclaw.contracts.loading import Loading
from beamclaw.contracts.providers import Connect, Provider


@attrs.define(eq=False)
class Clients:
    """Provider and key to connection. The registry value of the process ``clients``.

    What a connection is made of is loaded first, by provider, away from the loop.
    """

    _connect: Connect
    _loading: Mapping[str, Loading] = attrs.field(factory=dict[str, Loading])
    _open: dict[tuple[str, int], Provider] = attrs.field(
        factory=dict[tuple[str, int], Provider], init=False
    )

    async def get(self, name: str, key: int = 0) -> Provider:
        """The connection to provider *name*, by one of its keys (0 is the first).

        Cancelled, it is opened by whoever asks next.
        """
        if name in self._loading:
            await self._loading[name].wait()
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
