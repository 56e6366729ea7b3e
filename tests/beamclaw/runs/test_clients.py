"""The tenant's connections to models, when what holds them is stopped."""

from contextlib import asynccontextmanager
from functools import partial

import trio

import supervision
from beamclaw.runs.clients import Clients, ClientsServer
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
