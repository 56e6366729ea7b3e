"""What the tests of `supervision` act on: processes that wait, crash, echo and tell."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import attrs
import trio

import supervision
from supervision import ChildSpec, Pid


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


@asynccontextmanager
async def actor(*, trap: bool = False, **options: Any) -> AsyncGenerator[Pid]:
    """Make the test itself a process, in a tree of its own."""
    dynamic = ChildSpec("actors", supervision.DynamicSupervisor, type="supervisor")
    async with supervision.open_supervisor([dynamic], **options) as root:
        (child,) = supervision.tree(root).children
        assert child.pid is not None
        async with supervision.adopt(child.pid, "test") as pid:
            supervision.trap_exits(trap)
            yield pid


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
