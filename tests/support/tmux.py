"""A terminal that a program can type into and look at."""

import os
import shlex
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from tests.support.node import ROOT, Node

SIZE = (150, 45)


class Tmux:
    """A tmux of its own, with windows that are typed into and looked at."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self._socket = str(folder / "tmux")
        self._env = {**env, "TERM": "xterm-256color", "TMUX_TMPDIR": str(folder)}

    async def do(self, *words: str) -> str:
        done = await trio.run_process(
            ["tmux", "-S", self._socket, "-f", os.devnull, *words],
            capture_stdout=True,
            env=self._env,
            cwd=ROOT,
        )
        return done.stdout.decode()

    async def window(
        self, name: str, node: Node, *words: str, size: tuple[int, int] = SIZE
    ) -> None:
        """A window in which ``beamclaw <words>`` runs, so many columns and rows large."""
        command = [sys.executable, "-m", "beamclaw", *words, "--data", str(node.data)]
        await self.open(name, shlex.join(command) + "; sleep 600", size=size)

    async def open(
        self, name: str, command: str, *, size: tuple[int, int] = SIZE
    ) -> None:
        """A window in which a shell runs *command*."""
        columns, rows = map(str, size)
        await self.do(
            "new-session", "-d", "-s", name, "-x", columns, "-y", rows, command
        )

    async def enter(self, name: str, line: str) -> None:
        """Type a line, and the key that ends it."""
        await self.type(name, "-l", line)
        await self.type(name, "Enter")

    async def type(self, name: str, *keys: str) -> None:
        await self.do("send-keys", "-t", name, *keys)

    async def until(self, name: str, seen: Callable[[str], bool]) -> str:
        """What the window shows, once it is what is waited for."""
        shown = ""  # asking takes a process: there is no need to wait between
        with trio.move_on_after(60):
            while True:
                shown = await self.do("capture-pane", "-p", "-t", name)
                if seen(shown):
                    return shown
        raise AssertionError(f"{name} shows:\n{shown}")

    async def coloured(self, name: str) -> str:
        """What the window shows, with the sequences that colour it."""
        return await self.do("capture-pane", "-p", "-e", "-t", name)


@asynccontextmanager
async def tmux(folder: Path, env: dict[str, str]) -> AsyncIterator[Tmux]:
    """One that is gone at the end, with all that runs in it."""
    found = Tmux(folder, env)
    try:
        yield found
    finally:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 5):
            await found.do("kill-server")
