"""Where programs are started: the launcher's process, and a command's open files.

The only part of the node that touches processes of the operating system. It is behind
the seam of :mod:`beamclaw.contracts.commands`; a test has another one in its place.
"""

import errno
import fcntl
import json
import os
import signal
import socket
import struct
import sys
import termios
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import attrs
import trio

from beamclaw.contracts.commands import CannotStart, Ended, Launch

PROGRAM: Final = Path(__file__).with_name("_launcher") / "__main__.py"
FLAGS: Final = ("-I", "-S", "-X", "utf8", *["-B"] * sys.dont_write_bytecode)
# Seconds between two looks whether a launcher that has closed is gone.
_LOOK: Final = 0.01
# Seconds that a command gets to end in order when it is let go.
_CLOSED_SECONDS: Final = 1.0
_LINE: Final = 65_536
_RESOURCES: Final = {
    "memory": "RLIMIT_AS",
    "processes": "RLIMIT_NPROC",
    "cpu_seconds": "RLIMIT_CPU",
    "file_size": "RLIMIT_FSIZE",
    "open_files": "RLIMIT_NOFILE",
}
_END_OF_FILE: Final = b"\x04"


async def open_launcher() -> "OsLauncher":
    """Start the launcher's process.

    Raises:
        CannotStart: The system has no place for it.
    """
    with _in_words():
        ours, theirs = socket.socketpair()
        with theirs:
            pid = os.posix_spawn(  # noqa: ASYNC221 -- a millisecond, and once
                sys.executable,
                # Nothing of our environment, of our modules or of the site's.
                [sys.executable, *FLAGS, str(PROGRAM), "0"],
                {},
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, theirs.fileno(), 0),
                    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                ],
                setsid=True,
            )
    ours.settimeout(0)
    return OsLauncher(ours, pid)


@contextmanager
def _in_words() -> Generator[None]:
    try:
        yield
    except OSError as error:
        words = f"no command can be started: {error.strerror}"
        raise CannotStart(words) from None


@attrs.define(eq=False)
class OsLauncher:
    """See :class:`beamclaw.contracts.commands.Launcher`.

    Attributes:
        pid: Of its process.
    """

    _socket: socket.socket
    pid: int

    async def launch(self, launch: Launch, kill_seconds: float) -> "OsCommand":
        """See the Protocol."""
        with _in_words():
            command, theirs = _open_files(launch)
            try:
                await self._hand_over(theirs)
                await command.order(launch, kill_seconds)
            except BaseException:
                command.close()
                raise
            finally:
                _close_all(theirs)
            return command

    async def _hand_over(self, files: list[int]) -> None:
        while True:
            try:
                socket.send_fds(self._socket, [b"x"], files)
            except BlockingIOError:
                await _ready(self._socket, trio.lowlevel.wait_writable)
            else:
                return

    async def wait_lost(self) -> str:
        """See the Protocol. It says nothing, so whatever comes is the end."""
        with suppress(OSError):
            await _ready(self._socket, trio.lowlevel.wait_readable)
        while True:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)  # noqa: ASYNC222 -- it does not wait
            except ChildProcessError:
                return "it was not seen how"
            if pid:
                return in_words(os.waitstatus_to_exitcode(status))
            await trio.sleep(_LOOK)

    def close(self) -> None:
        """See the Protocol. Its process ends by itself; nobody waits for that here."""
        _close_socket(self._socket)


def in_words(code: int) -> str:
    """An exit code as `subprocess` has it: below zero it is a signal."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


async def _ready(
    file: socket.socket | int, wait: Callable[..., Awaitable[None]]
) -> None:
    """Wait for *file*; raises OSError where it was closed, before or meanwhile."""
    number = file if isinstance(file, int) else file.fileno()
    if number < 0:
        raise OSError(errno.EBADF, "it is closed")
    try:
        await wait(number)
    except trio.ClosedResourceError:
        raise OSError(errno.EBADF, "it was closed") from None


def _close_socket(closing: socket.socket) -> None:
    if closing.fileno() >= 0:
        trio.lowlevel.notify_closing(closing)
        closing.close()


def _close_all(files: Iterable[int]) -> None:
    for file in files:
        os.close(file)


def _open_files(launch: Launch) -> "tuple[OsCommand, list[int]]":
    """A command without a process, and the ends of its files that are the reaper's."""
    ours, control = socket.socketpair()
    theirs, kept = [control.detach()], set[int]()
    try:
        if launch.pty is None:
            their_input, writes = os.pipe()
            theirs.append(their_input)
            kept.add(writes)
            reads, their_output = os.pipe()
            theirs.append(their_output)
            kept.add(reads)
        else:
            reads, side = os.openpty()
            theirs.append(side)
            kept.add(reads)
            writes = reads
            size = struct.pack("HHHH", launch.pty.rows, launch.pty.columns, 0, 0)
            fcntl.ioctl(side, termios.TIOCSWINSZ, size)
    except OSError:
        ours.close()
        _close_all((*theirs, *kept))
        raise
    ours.settimeout(0)
    for file in kept:
        os.set_blocking(file, False)
    return OsCommand(ours, reads, writes), theirs


@attrs.define(eq=False)
class OsCommand:
    """See :class:`beamclaw.contracts.commands.Watched`."""

    _control: socket.socket
    # The same one where it has a terminal; -1 when it is closed.
    _reads: int
    _writes: int
    _heard: bytes = b""
    _over: bool = False

    async def order(self, launch: Launch, kill_seconds: float) -> None:
        """Say what is to be started. It may be longer than what is taken at once."""
        limits = attrs.asdict(launch.limits)
        request = {
            "path": launch.path or launch.argv[0],
            "argv": launch.argv,
            "cwd": launch.cwd,
            "env": dict(launch.env),
            "pty": launch.pty is not None,
            "limits": {
                "RLIMIT_CORE": 0,
                **{_RESOURCES[key]: most for key, most in limits.items() if most},
            },
            "cgroups": [attrs.asdict(each) for each in launch.cgroups],
            "disk": launch.disk and attrs.asdict(launch.disk),
            "guarded": launch.guarded,
            "inherited": [each.hex() for each in launch.inherited],
            "drop_errors": launch.errors == "dropped",
            "grace": kill_seconds,
        }
        rest = memoryview(_line(request))
        while rest:
            try:
                rest = rest[self._control.send(rest) :]
            except BlockingIOError:
                await _ready(self._control, trio.lowlevel.wait_writable)

    async def read(self, most: int) -> bytes:
        """See the Protocol."""
        while self._reads >= 0:
            try:
                found = os.read(self._reads, most)
            except BlockingIOError:
                with suppress(OSError):
                    await _ready(self._reads, trio.lowlevel.wait_readable)
                continue
            except OSError:  # a terminal whose other side was closed by all
                return b""
            await trio.lowlevel.checkpoint()
            return found
        return b""

    async def write(self, data: bytes) -> None:
        """See the Protocol."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._writes, rest) :]
            except BlockingIOError:
                await _ready(self._writes, trio.lowlevel.wait_writable)
            except OSError:
                raise BrokenPipeError("it does not read any more") from None

    async def end_input(self) -> None:
        """See the Protocol."""
        if self._writes == self._reads:
            await self.write(_END_OF_FILE)
        else:
            self._close_input()

    def _close_input(self) -> None:
        if self._writes not in {-1, self._reads}:
            trio.lowlevel.notify_closing(self._writes)
            os.close(self._writes)
        self._writes = -1

    async def wait_begun(self) -> int:
        """See the Protocol."""
        said = await self._hear()
        if said is None:
            raise CannotStart("what starts commands has died over it")
        if "failed" in said:
            raise CannotStart(said["failed"])
        return said["pid"]

    async def wait_ended(self) -> Ended:
        """See the Protocol."""
        ended = Ended(by="itself")
        while (said := await self._hear()) is not None:
            if "code" in said:
                code = said["code"]
                ended = attrs.evolve(
                    ended,
                    code=code if code >= 0 else None,
                    signal=-code if code < 0 else None,
                    cpu_seconds=said["cpu"],
                    memory=said["memory"],
                )
            if "full" in said:
                ended = attrs.evolve(ended, by="disk", words=said["full"])
            if "gone" in said:
                self._over = True
                return attrs.evolve(
                    ended,
                    left=said["left"],
                    stuck=said["stuck"],
                    starved=said["starved"],
                )
        words = "what watched it was ended, and so was all that it had started"
        return attrs.evolve(ended, by="loss", words=words)

    async def _hear(self) -> dict[str, Any] | None:
        """The next thing that the reaper says; None: it says no more."""
        while b"\n" not in self._heard:
            try:
                more = self._control.recv(_LINE)
            except BlockingIOError:
                more = None
            except OSError:
                return None
            if more is None:
                await _ready(self._control, trio.lowlevel.wait_readable)
            elif not more:
                return None
            else:
                self._heard += more
        line, _, self._heard = self._heard.partition(b"\n")
        return json.loads(line)

    def signal(self, number: int) -> None:
        """See the Protocol."""
        self._say(signal=number)

    def end(self, seconds: float) -> None:
        """See the Protocol."""
        self._say(end=seconds)

    def _say(self, **words: float) -> None:
        # If there is no room for it, the reaper does not listen any more.
        with suppress(OSError):
            self._control.send(_line(words))

    def close(self) -> None:
        """See the Protocol."""
        if not self._over:
            self._over = True
            self.end(_CLOSED_SECONDS)
        self._close_input()
        if self._reads >= 0:
            trio.lowlevel.notify_closing(self._reads)
            os.close(self._reads)
            self._reads = -1
        _close_socket(self._control)


def _line(words: Mapping[str, Any]) -> bytes:
    return json.dumps(words).encode() + b"\n"
