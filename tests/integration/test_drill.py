"""The drill of the docs, on terminals: a limit is raised, a file broken, a stuck one mended."""

import os
import shlex
import sys
from collections.abc import Iterator
from functools import partial
from itertools import count, takewhile
from pathlib import Path
from typing import Final

import pytest
import trio

from tests.support.documents import blocks, is_shown, steps
from tests.support.node import ROOT
from tests.support.tmux import Tmux, tmux

pytestmark = pytest.mark.slow

HOW_TO: Final = ROOT / "docs/how-to"
# What the node's own shell says to each line that its page has typed.
SAID: Final = {
    "suspend main": "suspended",
    "sessions": "STUCK",
    "mailbox main": "Ring(",
    "waiting main": "is suspended",
    "restart main": "is in its place",
}


async def test_the_drill_on_terminals(tmp_path: Path):
    home = _home(tmp_path / "home")
    environment = {"HOME": str(home), "PATH": os.environ["PATH"]}
    async with tmux(tmp_path, environment) as screens:
        for window in ("node", "reader", "chat", "shell"):
            # So wide that no line is broken.
            start = f"cd {shlex.quote(str(home))}; exec sh -i"
            await screens.open(window, start, size=(500, 45))
        await _a_limit_is_raised_and_the_file_broken(screens)
        await _a_stuck_conversation_goes_on(screens)


def _home(home: Path) -> Path:
    """One with the program where the pages have it; its node takes a port that is free."""
    program = home / ".venv/bin/beamclaw"
    program.parent.mkdir(parents=True)
    run = f"exec {shlex.quote(sys.executable)} -m beamclaw"
    program.write_text(
        f"#!/bin/sh\nexport PYTHONPATH={shlex.quote(str(ROOT))}\n"
        f'case "$1" in run) {run} "$@" --port 0;; *) {run} "$@";; esac\n'
    )
    program.chmod(0o755)
    return home


async def _a_limit_is_raised_and_the_file_broken(screens: Tmux) -> None:
    numbers = count()
    page = steps(HOW_TO / "change-while-it-runs.md", "")
    # What follows begins parts of the node anew, and is typed by `test_typed_pages`.
    for line, lines in takewhile(lambda step: "gateway:" not in step[0], page):
        if line.startswith("export "):
            for window in ("node", "reader", "chat", "shell"):
                await screens.enter(window, line)
        elif line.endswith(" run"):
            await screens.enter("node", line)
            await screens.until("node", lambda shown: "beamclaw ready on" in shown)
        else:
            await _typed(screens, numbers, line, lines)


async def _typed(
    screens: Tmux, numbers: Iterator[int], line: str, lines: list[str]
) -> None:
    """A line of the page, on the terminal; again if what it looks at comes in its time."""
    with trio.fail_after(60):
        for number in numbers:
            # Said in two pieces, so that the line as typed is not taken for it.
            await screens.enter("reader", f"clear; {line}; echo typ''ed {number}")
            over = f"typed {number}"
            shown = await screens.until("reader", partial(_has, over))
            printed = [text for text in shown.partition(over)[0].splitlines() if text]
            if not lines or is_shown(lines, printed):
                return
            assert " logs " in line, (line, shown)


def _has(line: str, shown: str) -> bool:
    return line in shown.splitlines()


async def _a_stuck_conversation_goes_on(screens: Tmux) -> None:
    program = ".venv/bin/beamclaw "
    await screens.enter("shell", f"{program}shell")
    await screens.until("shell", lambda shown: "beamclaw>" in shown)
    typed: list[str] = []
    for line in "".join(blocks(HOW_TO / "shell.md", "text")).splitlines():
        if line.startswith("$ "):
            await screens.enter("chat", line.removeprefix("$ "))
            # Until the message is with the session, which does not take it.
            at_hand = (
                f"{program}shell --json -c 'mailbox main' | grep -v '.waiting.: 0'"
            )
            await screens.enter(
                "reader", f"clear; until {at_hand}; do :; done; echo it is there"
            )
            await screens.until("reader", lambda shown: "\nit is there" in shown)
            continue
        command = line.removeprefix("beamclaw> ")
        typed.append(command)
        await screens.enter("shell", command)
        words = SAID[command]
        await screens.until("shell", lambda shown, words=words: words in shown)
    assert typed == list(SAID)
    await screens.until("chat", lambda shown: "You said: are you there?" in shown)
    steered = f"{program}logs --event shell.steered | grep -c ."
    await screens.enter("reader", f"clear; {steered}")
    # Two orders: when each begins, and how it ends.
    await screens.until("reader", partial(_has, "4"))
