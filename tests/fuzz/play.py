"""Attempts against one node, beside a client that has to be answered all the time."""

import random
from collections.abc import Callable

import trio

from beamclaw.config.schema import SocketConfig
from tests.beamclaw.gateway.edge import Node, read_all, running, until
from tests.beamclaw.gateway.socket.talk import connected
from tests.conformance.websocket.test_websocket import Raw
from tests.fuzz import chance

KINDS = ("http", "stranger", "client")


async def attempt(node: Node, seed: int, number: int) -> None:
    """One connection: requests, frames of who was not let in, or of who was."""
    luck = random.Random(f"{seed} {number}")
    kind = luck.choice(KINDS)
    stream = await trio.open_tcp_stream("127.0.0.1", node.port)
    async with stream:
        raw = Raw(stream)
        data = chance.http(luck)
        if kind != "http":
            await raw.connect(node.port, greets=kind == "client")
            data = chance.frames(luck)
        try:
            cut = luck.randrange(len(data) + 1)
            await stream.send_all(data[:cut])
            await trio.lowlevel.checkpoint()
            await stream.send_all(data[cut:])
            await stream.send_eof()
            if kind == "http":
                with trio.fail_after(60):
                    await read_all(stream)
            else:
                while (await raw.frame())[0] != -1:
                    pass
        except trio.BrokenResourceError:
            pass  # it was refused before it was whole


async def play(seed: int, goes_on: Callable[[int], bool]) -> int:
    """Attempts as long as *goes_on* says so of their number; how many those were.

    Raises:
        AssertionError: Something broke; it names the attempt.
    """
    number = 0
    socket = SocketConfig(max_payload=65_536)
    async with running(socket=socket) as node, connected(node.port) as other:
        while goes_on(number):
            await attempt(node, seed, number)
            where = f"seed {seed}, attempt {number}"
            assert (await other.call("system-presence"))["ok"], where
            broken = [str(each) for each in node.events if "crash" in each.name]
            assert broken == [], where
            node.events.clear()
            number += 1
        await until(lambda: node.now.connections == 1)
    return number
