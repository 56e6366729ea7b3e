"""Nodes by fork: what they import is imported once, by the process they come from.

Most of what a start costs are imports. Nodes are therefore forked by one process that
has imported the program and has done nothing else: no thread, no loop, no file of a
node. What runs afterwards is the same program, in a process of its own, with its own
environment and files, and it dies of the same signals.

Who wants nodes has :func:`forks_of`; this module as a program is the other side.
"""

import atexit
import gc
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import attrs
import orjson
import trio

from beamclaw import values
from beamclaw.config.loader import load_text

ROOT = Path(__file__).parents[2]
_FRAME = 1 << 17
# What a node imports only when it runs, when it calls a provider, and for its tools.
LATER = (
    *("beamclaw.cli.run", "httpx2", "httpcore2", "anyio.streams.tls"),
    *("beamclaw.commands.exec_tool", "beamclaw.commands.process_tool"),
    *("beamclaw.files.patch", "beamclaw.files.reading", "beamclaw.files.searching"),
    *("beamclaw.tools.outputs", "beamclaw.tools.session_acts"),
    *("beamclaw.tools.session_looks", "beamclaw.web.tools"),
    *("encodings.idna", "watchfiles"),
)
# What the loader, the C library and an interpreter read when they start: who wants it
# otherwise starts one anew.
_AT_START = ("LD_", "GLIBC_", "MALLOC_", "PYTHON", "LANG", "LC_", "TZ")


# --- the side that wants nodes


class Lost(AssertionError):
    """The process that forks has died, or could not fork."""


@attrs.define(eq=False)
class Forked:
    """A process that the other side has begun: what is used of :class:`trio.Process`."""

    pid: int
    stdout: trio.lowlevel.FdStream
    _line: socket.socket
    returncode: int | None = None
    # Two may wait for its end, and one socket has one who waits.
    _turn: trio.Lock = attrs.field(factory=trio.Lock)

    def poll(self) -> int | None:
        """Its exit code, as far as it is known."""
        if self.returncode is None:
            with suppress(BlockingIOError):
                self.returncode = _told(self._line)["code"]
        return self.returncode

    async def wait(self) -> int:
        """Until it has ended: its exit code, or the signal, below zero."""
        async with self._turn:
            while (code := self.poll()) is None:
                await trio.lowlevel.wait_readable(self._line)
            self._line.close()
        return code

    def send_signal(self, number: int) -> None:
        """Nothing happens to one that has ended."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@attrs.define(eq=False)
class Forks:
    """Has nodes forked; see :func:`forks_of`."""

    _socket: socket.socket
    _server: subprocess.Popen[bytes]
    _environment: Mapping[str, str]

    def suits(self, environment: Mapping[str, str]) -> bool:
        """Whether an interpreter that begins with *environment* would be the same."""
        return all(
            self._environment.get(name) == value
            for name, value in environment.items()
            if name.startswith(_AT_START)
        )

    async def spawn(
        self, arguments: Sequence[str], environment: Mapping[str, str], errors: Path
    ) -> Forked:
        """Start one, standard error at the end of the file *errors*."""
        order = {
            "arguments": list(arguments),
            "environment": dict(environment),
            "errors": str(errors),
        }
        out, theirs_out = os.pipe()
        line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        line.setblocking(False)
        try:
            files = [theirs_out, theirs.fileno()]
            socket.send_fds(self._socket, [orjson.dumps(order)], files)
        finally:
            os.close(theirs_out)
            theirs.close()
        with trio.CancelScope(shield=True):  # else it ran, and nobody knew of it
            await trio.lowlevel.wait_readable(line)
        return Forked(_told(line)["pid"], trio.lowlevel.FdStream(out), line)

    def close(self) -> None:
        """No more; those that are left die."""
        self._socket.close()
        self._server.wait()


def _told(line: socket.socket) -> dict[str, int]:
    data = line.recv(_FRAME)
    if not data:
        raise Lost("nobody knows what became of a node")
    return orjson.loads(data)


@cache
def forks_of(module: str) -> Forks:
    """Nodes whose program is *module*; those that are left die with this process."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.support.forks", module],
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            cwd=ROOT,
        )
    forks = Forks(ours, server, dict(os.environ))
    atexit.register(forks.close)
    return forks


# --- the other side


def serve(sock: socket.socket, module: str) -> None:
    """Fork what is ordered until nobody orders any more; then end what is left."""
    program = _program(module)
    for each in LATER:
        import_module(each)
    # Else each node has attrs end the classes that it uses, a third of its start.
    for value in list(values._unused):
        attrs.fields(value)
    load_text(None, None, {}, folder=ROOT)
    gc.collect()
    gc.freeze()
    children: dict[int, tuple[int, socket.socket]] = {}
    ready = select.poll()
    ready.register(sock, select.POLLIN)
    while True:
        for fd, _ in ready.poll():
            if fd in children:
                pid, line = children.pop(fd)
                ready.unregister(fd)
                os.close(fd)
                _tell(line, code=os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                line.close()
                continue
            data, files, _, _ = socket.recv_fds(sock, _FRAME, 2)
            if not data:
                for pid, _ in children.values():
                    os.kill(pid, signal.SIGKILL)
                return
            out, line = files[0], socket.socket(fileno=files[1])
            pid = os.fork()
            if not pid:
                others = (each.detach() for _, each in children.values())
                for each in (sock.detach(), line.detach(), *children, *others):
                    os.close(each)
                _become(program, out, **orjson.loads(data))
            os.close(out)
            handle = os.pidfd_open(pid)
            children[handle] = pid, line
            ready.register(handle, select.POLLIN)
            _tell(line, pid=pid)


def _program(module: str) -> ModuleType:
    """What ``python -m`` would run."""
    spec = find_spec(module)
    package = spec is not None and spec.submodule_search_locations is not None
    return import_module(f"{module}.__main__" if package else module)


def _tell(line: socket.socket, **news: int) -> None:
    with suppress(BrokenPipeError):  # nobody is interested any more
        line.send(orjson.dumps(news))


def _become(
    program: ModuleType,
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
        tempfile.tempdir = None
        sys.argv[:] = [str(program.__file__), *arguments]
        code = program.main(arguments)
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
