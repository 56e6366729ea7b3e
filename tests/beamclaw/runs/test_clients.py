"""The tenant's connections to models, when what holds them is stopped."""

from contextlib import asynccontextmanager
from functools import partial

import trio

import supervision
from beamclaw.runs.clients import LEFT, Clients, ClientsServer
from supervision.testing import wait_exit, wait_name

NAMES = ("openai", "anthropic")


class Connection:
    """One to a model, which tells when it is closed."""

    def __init__(self, told: list[str]) -> None:
        self._told = told

    async def aclose(self) -> None:
        self._told.append("closed")


async def reads(told: list[str]) -> None:
    """A run in the middle of a stream, which needs a second to let go of it."""
    try:
        await trio.sleep_forever()
    finally:
        with trio.CancelScope(shield=True):
            await trio.sleep(1)
        told.append("over")


@asynccontextmanager
async def running(told: list[str]):
    """The supervisor of a tenant's runs, by its name; it is not started again."""
    clients = Clients(lambda name, key: Connection(told))  # type: ignore[arg-type]
    for name in NAMES:
        await clients.get(name)

    def runs() -> supervision.Supervisor:
        server = partial(ClientsServer, "clients", clients, "turns")
        turns = partial(reads, told)
        return supervision.Supervisor(
            [
                supervision.ChildSpec("clients", server, name="clients"),
                supervision.ChildSpec("turns", turns, name="turns"),
            ]
        )

    spec = supervision.ChildSpec("runs", runs, name="runs", restart="temporary")
    async with supervision.open_supervisor([spec]):
        yield


def whose(name: str) -> supervision.Pid:
    pid = supervision.whereis(name)
    assert pid is not None
    return pid


async def test_killed_with_the_runs_it_waits_for_the_last_one(autojump_clock):
    told: list[str] = []
    async with running(told):
        runs = whose("runs")
        supervision.exit(runs, supervision.KILL)
        await wait_exit(runs)
        assert told == ["over", "closed", "closed"]


async def test_the_next_server_goes_on_with_them(autojump_clock):
    told: list[str] = []
    async with running(told):
        server = whose("clients")
        supervision.exit(server, supervision.KILL)
        await wait_exit(server)
        await supervision.stop(await wait_name("clients"), "by a person")
        assert not told
    assert told == ["over", "closed", "closed"]


async def test_while_an_old_one_is_closed_all_get_the_same_new_one(autojump_clock):
    class Slow:
        async def aclose(self) -> None:
            await trio.sleep(1)

    now, made, got = [0], [], []

    def connect(name: str, key: int) -> Slow:
        made.append(Slow())
        return made[-1]

    clients = Clients(connect, settings=lambda name: now[0])  # type: ignore[arg-type]
    for now[0] in range(LEFT + 1):
        await clients.get("openai")
    now[0] += 1

    async def ask() -> None:
        got.append(await clients.get("openai"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        nursery.start_soon(ask)
    assert got == [made[-1]] * 2
    assert len(made) == LEFT + 2
