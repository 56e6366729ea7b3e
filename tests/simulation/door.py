"""The node's door: where its gateway accepts connections, on the network in memory."""

import random
from collections.abc import Iterator
from functools import partial
from typing import Any

import attrs
import trio

from beamclaw.contracts.gateway import Address
from tests.simulation.network import NODE, Network, Socket


@attrs.define(eq=False)
class Door:
    """All sockets of one life of the node; they go with it."""

    network: Network
    random: random.Random
    _gates: list["Gate"] = attrs.field(factory=list["Gate"])
    _open: dict[Socket, None] = attrs.field(factory=dict[Socket, None])

    async def listen(self, host: str, port: int, backlog: int) -> "Gate":
        """See :data:`beamclaw.contracts.listening.Listen`."""
        del backlog
        await trio.lowlevel.checkpoint()
        gate = Gate(self, Address(host, port or NODE[1]))
        self._gates.append(gate)
        return gate

    def accepted(self, far: Socket) -> "Accepted":
        """A connection that is the node's now."""
        self._open[far] = None
        far.closing = partial(self._open.pop, far, None)
        return Accepted(self.random, far)

    def hang_up(self) -> None:
        """Every connection breaks."""
        for each in tuple(self._open):
            each.aborts = True
            each.close()

    def pull(self) -> None:
        """The node is dead, and the system closes what it had."""
        for each in (*self._open, *self._gates):
            each.close()


class Gate:
    """What the gateway listens on; closed with the last reference, as a real one."""

    def __init__(self, door: Door, address: Address) -> None:
        self.address = address
        self._door = door
        self._socket = Socket(door.network)
        self._socket.listen_at(NODE)

    def close(self) -> None:
        self._socket.close()

    __del__ = close

    async def wait_incoming(self) -> None:
        if not await self._socket.wait_incoming():
            await trio.sleep_forever()  # the node is dead

    def accept_nowait(self) -> Iterator["Accepted"]:
        while (far := self._socket.take()) is not None:
            yield self._door.accepted(far)


@attrs.frozen(eq=False)
class Accepted:
    """A connection as the gateway has it, which sends without waiting."""

    random: random.Random
    socket: Socket

    def send(self, data: bytes) -> int:
        """As much of it as there is room for."""
        room = self.random.choice((len(data), len(data), len(data) // 2, 0))
        if not room:
            raise BlockingIOError
        return self.socket.send_now(data[:room])

    def setsockopt(self, level: int, option: int, value: bytes) -> None:
        del level, option, value
        self.socket.aborts = True

    def shutdown(self, how: int) -> None:
        self.socket.shutdown(how)

    def getpeername(self) -> Any:
        return self.socket.getpeername()

    def getsockname(self) -> Any:
        return self.socket.getsockname()

    def stream(self) -> trio.SocketStream:
        return trio.SocketStream(self.socket)

    def close(self) -> None:
        self.socket.close()
