"""The network in memory: what it does to bytes, and how it says so."""

import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import trio

from tests.simulation.door import Door
from tests.simulation.network import NODE, Fate, Moment, Network, Socket
from tests.simulation.server import HOSTS
from tests.simulation.trace import Trace

DATA = bytes(range(256)) * 100


def network(fate: Fate = "fine", left: int = 1_000, seed: int = 1) -> Network:
    """One on which each connection has this fate, after *left* bytes."""

    class Fixed(random.Random):
        def random(self) -> float:
            return 0.0

        def choice(self, seq):
            if "bytes" in seq:
                return "bytes"
            return fate if fate in seq else super().choice(seq)

        def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:
            del start, stop, step
            return left

    made = Network(Fixed(seed), Trace(), float(fate != "fine"), HOSTS)
    made.enable()
    return made


@asynccontextmanager
async def listening(
    sends: bytes = b"", end: bool = True
) -> AsyncGenerator[dict[str, bytes]]:
    """Somebody who writes down what comes, and says *sends*."""
    heard = {"data": b"", "error": b""}

    async def serve(stream: trio.SocketStream) -> None:
        try:
            await stream.send_all(sends)
            async for data in stream:
                heard["data"] += data
            if end:
                await stream.send_eof()
        except trio.BrokenResourceError:
            heard["error"] = b"broken"

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(80, host=HOSTS["a.world"])
        nursery.start_soon(trio.serve_listeners, serve, listeners)
        yield heard
        nursery.cancel_scope.cancel()


async def all_of(stream: trio.SocketStream) -> bytes:
    return b"".join([data async for data in stream])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
async def test_bytes_arrive_in_order_and_in_other_pieces(autojump_clock, seed) -> None:
    network(seed=seed)
    async with listening(DATA) as heard:
        stream = await trio.open_tcp_stream("a.world", 80)
        await stream.send_all(DATA[::-1])
        await stream.send_eof()
        pieces = [data async for data in stream]
        assert b"".join(pieces) == DATA
        assert len(pieces) > 1
        assert heard == {"data": DATA[::-1], "error": b""}


async def test_a_reset_is_told_to_both_sides(autojump_clock) -> None:
    # What listing says first, after DATA: so many bytes are let through in all.
    network("reset", left=600)
    async with listening(DATA) as heard:
        stream = await trio.open_tcp_stream("a.world", 80)
        with pytest.raises(trio.BrokenResourceError):
            await all_of(stream)
        await trio.testing.wait_all_tasks_blocked()
        assert heard["error"] == b"broken"


async def test_silence_is_told_to_nobody(autojump_clock) -> None:
    network("silent", left=100)
    async with listening(DATA) as heard:
        stream = await trio.open_tcp_stream("a.world", 80)
        with trio.move_on_after(1e6) as scope:
            await all_of(stream)
        await stream.send_all(b"are you there?")
        await stream.aclose()
        assert scope.cancelled_caught
        assert heard == {"data": b"", "error": b""}


@pytest.mark.parametrize("fate", ["refused", "unreachable", "nobody"])
async def test_what_cannot_be_reached_fails_in_the_systems_words(
    autojump_clock, fate
) -> None:
    network(fate)
    async with listening():
        with pytest.raises(OSError, match=r"all attempts|not known"):
            await trio.open_tcp_stream("a.world", 80)


async def test_a_name_that_nobody_has_is_not_found(autojump_clock) -> None:
    network()
    with pytest.raises(OSError, match="not known"):
        await trio.open_tcp_stream("c.world", 80)


async def test_where_nobody_listens_any_more_is_refused(autojump_clock) -> None:
    network()
    async with listening():
        pass
    with pytest.raises(OSError, match=r"all attempts|not known"):
        await trio.open_tcp_stream("a.world", 80)


async def test_who_closes_with_unread_bytes_resets(autojump_clock) -> None:
    network()
    async with listening(DATA, end=False) as heard:
        stream = await trio.open_tcp_stream("a.world", 80)
        await stream.receive_some(1)
        await stream.aclose()
        await trio.sleep(10)
        assert heard["error"] == b"broken"


async def answering(network: Network, moment: Moment) -> tuple[bytes, bytes]:
    """What comes of an answer on a connection that is reset at *moment*: there, here."""
    node, here = Socket(network), Socket(network)
    node.listen_at(NODE)
    await here.connect(NODE)
    far = node.take()
    assert far is not None
    link = here._link
    assert link is not None
    link.fate, link.moment = "reset", moment
    await here.send(b"?")
    await trio.sleep(1)
    heard = await far.recv(100)
    try:
        await far.send(b"HTTP/1.1 200 OK\r\n\r\n")
        await far.send(b"0\r\n\r\n")
    except OSError:
        heard += b", broken"
    try:
        return heard, await here.recv(100)
    except ConnectionResetError:
        return heard, b""


async def test_a_connection_breaks_before_the_first_byte_of_an_answer(autojump_clock):
    """The request is there, and nobody learns what came of it."""
    assert await answering(network(), "head") == (b"?, broken", b"")


async def test_a_connection_breaks_after_the_last_byte_of_an_answer(autojump_clock):
    """Who sent it believes that it has arrived."""
    assert await answering(network(), "end") == (b"?", b"")


async def test_what_a_dead_node_had_open_is_closed(autojump_clock) -> None:
    made = network()
    door = Door(made, random.Random(1))
    gate = await door.listen("127.0.0.1", 0, 10)
    there, waits = Socket(made), Socket(made)
    await there.connect(NODE)
    (connected,) = gate.accept_nowait()
    await waits.connect(NODE)

    door.pull()

    assert await there.recv(10) == await waits.recv(10) == b""
    with pytest.raises(OSError, match="descriptor"):
        connected.socket.send_now(b"too late")
    with pytest.raises(ConnectionRefusedError):
        await Socket(made).connect(NODE)
