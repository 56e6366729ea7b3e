"""The page on the shell: what it shows is printed, and works on terminals."""

import os
import shlex
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import trio

from tests.support.documents import is_shown, steps
from tests.support.node import ROOT, open_node
from tests.support.terminal import terminal
from tests.support.tmux import tmux

pytestmark = pytest.mark.slow

PAGE = ROOT / "docs/how-to/shell.md"


async def test_the_commands_print_what_the_page_shows(tmp_path: Path):
    assert len(steps(PAGE)) > 10
    async with open_node(tmp_path / "data") as node:
        for line, lines in steps(PAGE):
            done = await node.command(*shlex.split(line))
            assert (done.code, done.err) == (0, ""), (line, done.err)
            printed = [text for text in done.out.splitlines() if text]
            assert is_shown(lines, printed), (line, done.out)


async def test_top_on_a_terminal_and_for_programs(tmp_path: Path):
    async with (
        open_node(tmp_path / "data") as node,
        tmux(tmp_path, node.environment) as screens,
    ):
        await screens.window("top", node, "top", size=(120, 80))
        await screens.until("top", lambda shown: "gateway" in shown)
        await screens.type("top", "m")
        await screens.until("top", lambda shown: "by mailbox" in shown)
        await screens.type("top", "q")
        await screens.until("top", lambda shown: "by mailbox" not in shown)
        done = await node.command("top", "--once", "--json")
        assert (done.code, done.out.count("\n")) == (0, 1)


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_top_finds_a_process_that_its_tree_leaves_out(
    tmp_path: Path, *, elsewhere: bool
):
    config = tmp_path / "beamclaw.yaml"
    config.write_text("shell: {children: 1}\n")
    async with open_node(tmp_path / "data", options=("--config", str(config))) as node:
        at = ("--url", node.base_url) if elsewhere else ("--data", str(node.data))
        environment = {**node.environment, "BEAMCLAW_TOKEN": node.token}
        command = [sys.executable, "-m", "beamclaw", "top", *at]
        async with terminal(command, environment, rows=50, columns=120) as shown:
            await shown.until("more")
            assert "limits" not in shown.shown()
            await shown.type("/LIMI")
            await shown.until("1 of ")
            await shown.until("limits")
            await shown.type("t\x7f\n")
            await shown.until("of names with 'LIMI'")
            await shown.until("/ find", since=len(shown.written))
            await shown.type("\x1b")
            await shown.until("the tree · up", since=len(shown.written))
            await shown.until("more", since=len(shown.written))
            await shown.type("q")
        done = await node.command("top", "--once", "--match", "default/limits")
        assert done.out.splitlines()[-1].split()[-1] == "limits"
        assert "providers" not in done.out


async def test_top_waits_for_a_terminal_that_takes_nothing_for_a_while(tmp_path: Path):
    async with open_node(tmp_path / "data") as node:
        top = [sys.executable, "-m", "beamclaw", "top", "--every", "0.1"]
        command = [*top, "--data", str(node.data)]
        async with terminal(command, node.environment, rows=200, columns=300) as shown:
            await shown.until("gateway")
            # As after Ctrl-S, or over a line that is slow.
            await trio.sleep(4)
            await shown.type("q")
            with trio.fail_after(30), suppress(OSError):  # until it has ended
                while True:
                    await trio.lowlevel.wait_readable(shown.master)
                    shown.written += os.read(shown.master, 65536)
            assert await shown.process.wait() == 0, shown.shown()[-2000:]
        # The cursor is back, and the screen that was there before.
        assert shown.written.endswith(b"\x1b[?25h\x1b[?1049l")


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
