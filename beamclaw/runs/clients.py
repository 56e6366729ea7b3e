"""The tenant's own connections to model providers, opened when first needed."""

from collections.abc import Callable, Mapping
from typing import Final

import attrs

import supervision
from beamclaw.contracts.loading import Loading
from beamclaw.contracts.providers import Connect, Provider
from beamclaw.values import frozen

# Connections that were left for newer ones, at most: the oldest is closed, and whoever
# is still reading from it goes on by the rule for a stream that was cut.
LEFT: Final = 16


@frozen(eq=False)
class Connection:
    """An open one, and what it was made by."""

    provider: Provider
    settings: object


def always(name: str) -> object:
    """Settings of a provider that never change."""
    del name
    return None


@attrs.define(eq=False)
class Clients:
    """Provider and key to connection. The registry value of the process ``clients``.

    What a connection is made of is loaded first, by provider, away from the loop. One
    whose settings have changed is opened anew by whoever asks next; the one before is
    left to those who use it, and closed with the tenant.
    """

    _connect: Connect
    _loading: Callable[[], Mapping[str, Loading]] = dict
    _settings: Callable[[str], object] = always
    _open: dict[tuple[str, int], Connection] = attrs.field(
        factory=dict[tuple[str, int], Connection], init=False
    )
    _left: list[Connection] = attrs.field(factory=list[Connection], init=False)

    async def get(self, name: str, key: int = 0) -> Provider:
        """The connection to provider *name*, by one of its keys (0 is the first).

        Cancelled, it is opened by whoever asks next.
        """
        loading = self._loading()
        if name in loading:
            await loading[name].wait()
        settings = self._settings(name)
        held = self._open.get((name, key))
        if held is not None and held.settings != settings:
            # Who is in the middle of a stream reads it to its end.
            self._left.append(self._open.pop((name, key)))
            held = None
        if held is None:
            held = Connection(self._connect(name, key), settings)
            self._open[name, key] = held
        # Last: while it waits, others ask for the same.
        while len(self._left) > LEFT:
            await self._left.pop(0).provider.aclose()
        return held.provider

    async def aclose(self) -> None:
        """Close them all."""
        while self._open:
            _, held = self._open.popitem()
            await held.provider.aclose()
        while self._left:
            await self._left.pop().provider.aclose()


class ClientsServer(supervision.Server):
    """Makes the connections findable, and closes them when the tenant's runs are over.

    They belong to the tenant's runs: ended alone it closes nothing, and the next one goes
    on with the same connections, which cuts no stream and leaves no socket behind.

    Args:
        name: Its own.
        turns: The name of the supervisor of the runs, which ends before this one when
            the tenant is stopped. Where the supervisor of both is killed they hear of it
            at once: a run whose connection is closed before it is stopped itself would
            take that for its provider's end, and its turn would fail, not be continued.
    """

    trap_exit = True

    def __init__(self, name: str, clients: Clients, turns: str) -> None:
        self._name = name
        self._turns = turns
        self._clients = clients

    async def init(self) -> None:
        """Make the connections findable."""
        supervision.update_value(self._name, self._clients)

    async def terminate(self, reason: supervision.ExitReason) -> None:
        """Close all connections, if nobody reads from them any more."""
        if reason == supervision.KILLED:
            supervision.monitor(self._turns)
            await supervision.receive(supervision.Down)
        if supervision.whereis(self._turns) is None:
            await self._clients.aclose()
