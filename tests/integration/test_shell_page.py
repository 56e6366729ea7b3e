"""The page on the shell: what it shows is printed, and its drill works on terminals."""

import os
import re
import shlex
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from tests.support.node import ROOT, Node, open_node

pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs/how-to/shell.md").read_text()
PROGRAM = "$ .venv/bin/beamclaw "
DRILL = re.compile(r"```text\n(.*?)```", re.DOTALL)


def steps() -> list[tuple[str, list[str]]]:
    """Each command, and the lines that are shown below it."""
    found: list[tuple[str, list[str]]] = []
    blocks = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    for line in "\n".join(blocks).splitlines():
        if line.startswith(PROGRAM):
            found.append((line.removeprefix(PROGRAM), []))
        elif line:
            found[-1][1].append(line)
    return found


def is_shown(lines: list[str], printed: list[str]) -> bool:
    """Whether *lines* show what was printed; an ellipsis stands for anything."""
    pattern = "\n".join(re.escape(line).replace("…", ".*") for line in lines)
    return re.fullmatch(pattern, "\n".join(printed), re.DOTALL) is not None


async def test_the_commands_print_what_the_page_shows(tmp_path: Path):
    assert len(steps()) > 10
    async with open_node(tmp_path / "data") as node:
        for line, lines in steps():
            done = await node.command(*shlex.split(line))
            assert (done.code, done.err) == (0, ""), (line, done.err)
            printed = [text for text in done.out.splitlines() if text]
            assert is_shown(lines, printed), (line, done.out)


# --- the drill


class Tmux:
    """A tmux of the test's own, with windows that are typed into and looked at."""

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

    async def window(self, name: str, node: Node, *words: str) -> None:
        command = [sys.executable, "-m", "beamclaw", *words, "--data", str(node.data)]
        size = ("-x", "150", "-y", "45")
        shown = shlex.join(command) + "; sleep 600"
        await self.do("new-session", "-d", "-s", name, *size, shown)

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


@asynccontextmanager
async def tmux(folder: Path, env: dict[str, str]) -> AsyncIterator[Tmux]:
    found = Tmux(folder, env)
    try:
        yield found
    finally:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 5):
            await found.do("kill-server")


def drill() -> list[str]:
    """What is typed on the page, in order."""
    return [line for block in DRILL.findall(PAGE) for line in block.splitlines()]


async def test_a_stuck_conversation_is_found_and_goes_on(tmp_path: Path):
    async with (
        open_node(tmp_path / "data") as node,
        tmux(tmp_path, node.environment) as screens,
    ):
        assert (await node.command("chat", "hello")).code == 0
        await screens.window("shell", node, "shell")
        await screens.until("shell", lambda shown: "beamclaw>" in shown)
        answers = {
            "suspend main": "suspended",
            "sessions": "STUCK",
            "mailbox main": "Ring(",
            "waiting main": "is suspended",
            "restart main": "is in its place",
        }
        typed: list[str] = []
        for line in drill():
            if line.startswith(PROGRAM):
                words = shlex.split(line.removeprefix(PROGRAM))
                await screens.window("chat", node, *words)
                await _waits(node)
                continue
            command = line.removeprefix("beamclaw> ")
            typed.append(command)
            await screens.type("shell", "-l", command)
            await screens.type("shell", "Enter")
            words = answers[command]
            await screens.until("shell", lambda shown, words=words: words in shown)
        assert typed == list(answers)
        await screens.until("chat", lambda shown: "You said: are you there?" in shown)
        log = node.stderr()
        assert log.count("beamclaw.shell.steered") == 2


async def _waits(node: Node) -> None:
    """Until the message is with the session, which does not take it."""
    with trio.fail_after(60):
        while True:
            done = await node.command("shell", "--json", "-c", "mailbox main")
            if '"waiting": 0' not in done.out:
                return


async def test_top_on_a_terminal_and_for_programs(tmp_path: Path):
    async with (
        open_node(tmp_path / "data") as node,
        tmux(tmp_path, node.environment) as screens,
    ):
        await screens.window("top", node, "top")
        await screens.until("top", lambda shown: "gateway" in shown)
        await screens.type("top", "m")
        await screens.until("top", lambda shown: "by mailbox" in shown)
        await screens.type("top", "q")
        await screens.until("top", lambda shown: "by mailbox" not in shown)
        done = await node.command("top", "--once", "--json")
        assert (done.code, done.out.count("\n")) == (0, 1)


async def test_ctrl_c_ends_a_trace_and_the_shell_goes_on(tmp_path: Path):
    async with (
        open_node(tmp_path / "data") as node,
        tmux(tmp_path, node.environment) as screens,
    ):
        await screens.window("shell", node, "shell")
        await screens.until("shell", lambda shown: "beamclaw>" in shown)
        await screens.type("shell", "trace ledger", "Enter")
        await screens.until("shell", lambda shown: "Ctrl-C ends it" in shown)
        assert (await node.command("chat", "hello")).code == 0
        await screens.until("shell", lambda shown: "Accept(" in shown)
        await screens.type("shell", "C-c")
        await screens.until("shell", lambda shown: "(stopped)" in shown)
        await screens.type("shell", "info default/led", "Tab")
        await screens.until("shell", lambda shown: "info default/ledger" in shown)
        await screens.type("shell", "Enter")
        await screens.until("shell", lambda shown: "below     tenant:default" in shown)
        history = node.data / "shell-history"
        assert "trace ledger" in history.read_text()
        assert history.stat().st_mode & 0o777 == 0o600


async def test_the_exit_code_tells_that_one_has_failed(tmp_path: Path):
    async with open_node(tmp_path / "data") as node:
        done = await node.command("shell", "-c", "info nobody; info ledger")
        assert done.code == 1
        assert "there is no process 'nobody'" in done.err
        assert "default/ledger" in done.out
        done = await node.command("shell", "--json", "-c", "info nobody; kil x")
        first, second = done.out.splitlines()
        assert '"code": "noprocess"' in first
        assert "did you mean kill?" in second
