"""What the tests of `supervision` act on: processes that wait, crash, echo and tell."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

import attrs
import trio

import supervision
from supervision import ChildSpec, Pid
from supervision.testing import as_process


class OnPurpose(Exception):
    """A crash that a test wants."""


async def wait() -> None:
    await trio.sleep_forever()


async def listen() -> None:
    while True:
        await supervision.receive()


async def crash(message: str = "on purpose") -> None:
    raise OnPurpose(message)


async def keep(into: list[Any], *, trap: bool = False) -> None:
    """Put everything that is received into a list."""
    supervision.trap_exits(trap)
    while True:
        into.append(await supervision.receive())


@asynccontextmanager
async def tree(*children: ChildSpec, **options: Any) -> AsyncGenerator[Pid]:
    async with supervision.open_supervisor(children, **options) as pid:
        yield pid


def actor(*, trap: bool = False) -> AbstractAsyncContextManager[Pid]:
    """Make the test itself a process, in a tree of its own."""
    return as_process(trap_exits=trap)


@attrs.frozen
class Ask(supervision.Call[Any]):
    what: Any = None


class Echo(supervision.Server):
    """Answers with what it is asked; writes what happens to it into a list."""

    def __init__(self, log: list[Any] | None = None) -> None:
        self.log = [] if log is None else log

    async def init(self) -> Any:
        self.log.append("init")

    async def handle_call(self, request: Any, sender: supervision.From) -> Any:
        if request.what == "crash":
            raise OnPurpose
        if isinstance(request.what, supervision.Stop):
            return request.what
        return request.what

    async def handle_cast(self, message: Any) -> Any:
        self.log.append(("cast", message))
        return message if isinstance(message, supervision.Stop) else None

    async def handle_info(self, message: Any) -> Any:
        self.log.append(("info", message))

    async def terminate(self, reason: supervision.ExitReason) -> None:
        self.log.append(("terminate", reason))


class Trapping(Echo):
    trap_exit = True


def child(id: str, start: Any = listen, *args: Any, **options: Any) -> ChildSpec:
    return ChildSpec(id, partial(start, *args), name=id, **options)


def pid_of(name: str) -> Pid:
    """The process of that name, which there has to be."""
    pid = supervision.whereis(name)
    assert pid is not None
    return pid


def info_of(name: str) -> supervision.ProcessInfo:
    """What there is to see of the process of that name, which there has to be."""
    info = supervision.info(name)
    assert info is not None
    return info
