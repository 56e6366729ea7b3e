"""A program on a terminal of its own, as a person sits before it."""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

import attrs
import trio

# What moves the cursor, colours, and names the window.
_CONTROL = re.compile(
    rb"\x1b\[[0-9;?<>=u]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"
    rb"|\x1b[_PX^][^\x1b]*\x1b\\"
)


@attrs.define(eq=False)
class Terminal:
    """See the module.

    Attributes:
        written: All that it has written, as it came.
    """

    master: int
    process: trio.Process
    written: bytes = b""

    def shown(self, since: int = 0) -> str:
        """What it has written, without what only moves the cursor."""
        return _CONTROL.sub(b"", self.written[since:]).decode(errors="replace")

    async def type(self, keys: str) -> None:
        """Press *keys*."""
        await trio.lowlevel.wait_writable(self.master)
        os.write(self.master, keys.encode())

    async def until(self, words: str, *, since: int = 0, seconds: float = 60) -> None:
        """Read until *words* have been written behind *since*."""
        with trio.move_on_after(seconds):
            while words not in self.shown(since):
                await trio.lowlevel.wait_readable(self.master)
                try:
                    self.written += os.read(self.master, 65536)
                except OSError:  # it has ended
                    break
        assert words in self.shown(since), f"no {words!r} in:\n{self.shown()[-3000:]}"


@asynccontextmanager
async def terminal(
    command: Sequence[str],
    env: Mapping[str, str],
    *,
    rows: int = 40,
    columns: int = 120,
) -> AsyncIterator[Terminal]:
    """Run *command* on a terminal; it is ended when the block is left."""
    master, slave = pty.openpty()
    try:
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        process = await trio.lowlevel.open_process(
            list(command),
            stdin=slave,
            stdout=slave,
            stderr=subprocess.STDOUT,
            env={**env, "TERM": "xterm-256color"},
            start_new_session=True,
        )
    finally:
        os.close(slave)
    try:
        yield Terminal(master, process)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with trio.CancelScope(shield=True):
            await process.wait()
        os.close(master)
