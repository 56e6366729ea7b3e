"""Nodes by fork: what they import is imported once, by the process they come from.

Most of what a start costs are imports. A harness that starts thousands of nodes has them
forked by one process that has imported the program and has done nothing else: no thread,
no loop, no file of a node. What runs afterwards is the same program, in a process of its
own, with its own environment and files, and it dies of the same signals.

Who wants nodes has :func:`open_forks`; this module as a program is the other side.
"""

import gc
import os
import select
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import attrs
import orjson
import trio

ROOT = Path(__file__).parents[2]
_FRAME = 1 << 18
# What a node imports only when it calls a provider.
LATER = ("httpx2", "httpcore2", "anyio.streams.tls")


# --- the side that wants nodes


@attrs.define(eq=False)
class Forked:
    """A process that the other side has begun: what is used of :class:`trio.Process`."""

    pid: int
    stdout: trio.lowlevel.FdStream
    returncode: int | None = None
    _over: trio.Event = attrs.field(factory=trio.Event)

    def poll(self) -> int | None:
        """Its exit code, as far as it is known."""
        return self.returncode

    async def wait(self) -> int:
        """Until it has ended: its exit code, or the signal, below zero."""
        await self._over.wait()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Nothing happens to one that has ended."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def ended(self, code: int) -> None:
        """The other side has seen the end of it."""
        self.returncode = code
        self._over.set()


@attrs.define(eq=False)
class Forks:
    """Has nodes forked; see :func:`open_forks`."""

    _socket: socket.socket
    _running: dict[int, Forked] = attrs.field(factory=dict)
    # Orders are carried out in their order: whose beginning is told of next.
    _wanted: list[tuple[int, trio.Event, list[Forked]]] = attrs.field(factory=list)

    async def spawn(
        self, arguments: Sequence[str], environment: Mapping[str, str], errors: Path
    ) -> Forked:
        """Start one, standard error at the end of the file *errors*."""
        order = {
            "arguments": list(arguments),
            "environment": dict(environment),
            "errors": str(errors),
        }
        ours, theirs = os.pipe()
        begun, processes = trio.Event(), list[Forked]()
        try:
            socket.send_fds(self._socket, [orjson.dumps(order)], [theirs])
        finally:
            os.close(theirs)
        self._wanted.append((ours, begun, processes))
        with trio.CancelScope(shield=True):  # else it ran, and nobody knew of it
            await begun.wait()
        return processes[0]

    async def listen(self) -> None:
        """Hear of beginnings and ends, until cancelled."""
        while True:
            await trio.lowlevel.wait_readable(self._socket)
            told = orjson.loads(self._socket.recv(_FRAME))
            if told["code"] is not None:
                self._running.pop(told["pid"]).ended(told["code"])
                continue
            out, begun, processes = self._wanted.pop(0)
            process = Forked(told["pid"], trio.lowlevel.FdStream(out))
            self._running[process.pid] = process
            processes.append(process)
            begun.set()


@asynccontextmanager
async def open_forks(module: str) -> AsyncIterator[Forks]:
    """Nodes whose program is *module*; those that are left die with the block."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        with theirs:
            server = await trio.lowlevel.open_process(
                [sys.executable, "-m", "tests.support.forks", module],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                cwd=ROOT,
            )
        async with trio.open_nursery() as nursery:
            forks = Forks(ours)
            nursery.start_soon(forks.listen)
            yield forks
            nursery.cancel_scope.cancel()
    with trio.CancelScope(shield=True):
        await server.wait()


# --- the other side


def serve(sock: socket.socket, module: str) -> None:
    """Fork what is ordered until nobody orders any more; then end what is left."""
    program = import_module(module)
    for each in LATER:
        import_module(each)
    gc.collect()
    gc.freeze()
    children: dict[int, int] = {}
    ready = select.poll()
    ready.register(sock, select.POLLIN)

    def tell(pid: int, code: int | None) -> None:
        with suppress(BrokenPipeError):
            sock.send(orjson.dumps({"pid": pid, "code": code}))

    while True:
        for fd, _ in ready.poll():
            if fd in children:
                pid = children.pop(fd)
                ready.unregister(fd)
                os.close(fd)
                tell(pid, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                continue
            data, files, _, _ = socket.recv_fds(sock, _FRAME, 1)
            if not data:
                for pid in children.values():
                    os.kill(pid, signal.SIGKILL)
                return
            pid = os.fork()
            if not pid:
                for each in (sock.detach(), *children):
                    os.close(each)
                _become(program, files[0], **orjson.loads(data))
            os.close(files[0])
            handle = os.pidfd_open(pid)
            children[handle] = pid
            ready.register(handle, select.POLLIN)
            tell(pid, None)


def _become(
    program: object,
    out: int,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    errors: str,
) -> NoReturn:
    """Be the program from here on, as if it had been started so."""
    code = 1
    try:
        null = os.open(os.devnull, os.O_RDONLY)
        err = os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        for given, wanted in ((null, 0), (out, 1), (err, 2)):
            if given != wanted:
                os.dup2(given, wanted)
                os.close(given)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv[1:] = arguments
        code = program.main(arguments)  # type: ignore[attr-defined]
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 -- the end of a process
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve(socket.socket(fileno=0), sys.argv[1])
