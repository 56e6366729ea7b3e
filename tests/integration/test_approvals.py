"""Questions of a node to persons: ``beamclaw approvals`` and the chat, as people do it."""

import os
import subprocess
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import orjson
import pytest
import trio

from beamclaw.testing.node import FOLDER
from tests.support.node import ROOT, Finished, Node, open_node

pytestmark = pytest.mark.slow

CONFIG = """\
providers:
  demo: {{api: demo, script: {script}}}
agents:
  main: {{model: demo/demo}}
  wary: {{model: demo/demo}}
  chief: {{model: demo/demo}}
"""
SCRIPT = """\
- match: "look first"
  calls:
    - [{tool: look, arguments: {text: strange}}]
    - [{tool: send, arguments: {text: x}}]
  reply: "done"
- match: "do (.*)"
  calls: [[{tool: send, arguments: {text: '\\1'}}]]
  reply: "done"
"""


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Node]:
    (folder / "script.yaml").write_text(SCRIPT)
    config = folder / "beamclaw.yaml"
    config.write_text(CONFIG.format(script=folder / "script.yaml"))
    async with open_node(
        folder / "data",
        env={FOLDER: str(folder)},
        options=("--config", str(config)),
        program="beamclaw.testing.node",
    ) as node:
        yield node


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with opened(tmp_path) as running:
        yield running


def effects(node: Node) -> list[str]:
    file = node.data.parent / "effects"
    lines = file.read_bytes().splitlines() if file.exists() else []
    return [orjson.loads(line)["arguments"]["text"] for line in lines]


async def asked(node: Node, count: int = 1) -> list[dict[str, Any]]:
    """Until so many questions wait."""
    with trio.fail_after(30):
        while True:
            found = await node.command("approvals", "list", "--json")
            rows: Any = found.json()
            if len(rows) >= count:
                return rows
    raise AssertionError


async def chat(node: Node, *words: str, into: list[Finished]) -> None:
    into.append(await node.command("chat", "--agent", "wary", *words))


async def test_a_person_agrees_in_another_terminal(node: Node):
    async with terminal(node, "do x") as chat:
        (row,) = await asked(node)
        await chat.until(f"approvals allow --data {node.data} {row['wait_id']}")
        status = await node.command("status")
        assert "1 call waits for a person to agree" in status.out
        shown = await node.command("approvals", "show", row["wait_id"][:8])
        assert shown.out.splitlines()[0] == "send x"
        assert "always" in shown.out
        assert effects(node) == []
        allowed = await node.command("approvals", "allow", row["wait_id"][:8])
        assert (allowed.code, allowed.out) == (0, "allowed: send x\n")
        await chat.until("[allowed by ")
        await chat.until("done")
        assert await chat.process.wait() == 0
    assert effects(node) == ["x"]
    again = await node.command("approvals", "allow", row["wait_id"])
    assert again.code == 1
    assert "nothing waits for an answer" in again.err


async def test_what_is_allowed_for_good_is_listed_and_taken_back(node: Node):
    said: list[Finished] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: chat(node, "do x", into=said))
        (row,) = await asked(node)
        allowed = await node.command("approvals", "allow", "--always", row["wait_id"])
        assert allowed.out == "allowed from now on: send x\n"
    await chat(node, "do x", into=said)
    assert [one.out for one in said] == ["done\n", "done\n"]
    assert effects(node) == ["x", "x"]
    listed = await node.command("approvals", "grants")
    assert listed.out.startswith("1  wary send  do x  (by ")
    assert (await node.command("approvals", "revoke", "1")).code == 0
    assert (await node.command("approvals", "revoke", "1")).code == 1
    assert (await node.command("approvals", "grants")).out == (
        "nothing is allowed for good\n"
    )
    assert (await node.command("approvals", "grants", "--all")).out.count("revoked by")


async def test_after_words_of_strangers_nothing_is_allowed_for_good(node: Node):
    said: list[Finished] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: chat(node, "look first", into=said))
        (row,) = await asked(node)
        while not row["question"].startswith("send"):
            await node.command("approvals", "allow", row["wait_id"])
            (row,) = await asked(node)
        refused = await node.command("approvals", "allow", "--always", row["wait_id"])
        assert refused.code == 2
        assert "once, not for good" in refused.err
        denied = await node.command(
            "approvals", "deny", row["wait_id"], "--why", "not now"
        )
        assert denied.out == "refused: send x\n"
    assert "x" not in effects(node)


async def test_a_question_outlives_the_node(tmp_path: Path):
    said: list[Finished] = []
    async with opened(tmp_path) as node, trio.open_nursery() as nursery:
        node.port = int(node.base_url.rpartition(":")[2])
        nursery.start_soon(lambda: chat(node, "do x", into=said))
        (row,) = await asked(node)
        node.kill9()
        await node.wait()
        lost = await node.command("approvals", "list")
        assert (lost.code, "no node is running" in lost.err) == (1, True)
        await node.start()
        (same,) = await asked(node)
        assert same["wait_id"] == row["wait_id"]
        assert same["digest"] == row["digest"]
        (tmp_path / "script").write_text("something else")
        await node.command("approvals", "allow", row["wait_id"])
        with trio.fail_after(30):
            while not said:  # noqa: ASYNC110 -- another program's
                await trio.sleep(0.05)
    assert said[0].out == "done\n"
    assert effects(node) == []


# --- the chat on a terminal


# As it is drawn.
PROMPT = ">\x08\x1b[2C"


@attrs.define
class Terminal:
    """A chat on a terminal of its own."""

    master: int
    process: trio.Process
    shown: str = ""

    async def until(self, words: str) -> None:
        """Until *words* are shown behind what was waited for before."""
        with trio.move_on_after(60):
            while words not in self.shown:
                await trio.lowlevel.wait_readable(self.master)
                self.shown += os.read(self.master, 4096).decode(errors="replace")
        assert words in self.shown
        self.shown = self.shown.partition(words)[2]

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())


@asynccontextmanager
async def terminal(node: Node, *options: str) -> AsyncIterator[Terminal]:
    master, slave = os.openpty()
    termios.tcsetwinsize(slave, (40, 200))
    command = [sys.executable, "-m", "beamclaw", "chat", "--agent", "wary"]
    process = await trio.lowlevel.open_process(
        [*command, "--data", str(node.data), *options],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        cwd=ROOT,
        env=node.environment | {"TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"},
        start_new_session=True,
    )
    os.close(slave)
    try:
        yield Terminal(master, process)
    finally:
        process.kill()
        await process.wait()
        os.close(master)


async def test_the_chat_asks_and_takes_the_answer(node: Node):
    async with terminal(node) as chat:
        await chat.until(PROMPT)
        chat.type("do x\r")
        await chat.until("send x")
        await chat.until("always")
        await chat.until("y = once, a = always, n = no")
        chat.type("sure\r")
        await chat.until("y = once")
        assert effects(node) == []
        chat.type("y\r")
        await chat.until("done")
        assert effects(node) == ["x"]
        await chat.until(PROMPT)
        chat.type("do y\r")
        await chat.until("y = once")
        chat.type("n use z\r")
        await chat.until("done")
        assert effects(node) == ["x"]
        await chat.until(PROMPT)
        chat.type("do z\r")
        await chat.until("y = once")
        chat.type("a\r")
        await chat.until("done")
    assert "do z" in (await node.command("approvals", "grants")).out


async def test_the_chat_shows_that_somebody_else_has_answered(node: Node):
    async with terminal(node) as chat:
        await chat.until(PROMPT)
        chat.type("do x\r")
        await chat.until("y = once")
        (row,) = await asked(node)
        await node.command("approvals", "deny", row["wait_id"])
        await chat.until("[refused by ")
        await chat.until("done")
        await chat.until(PROMPT)
    assert effects(node) == []


async def test_what_was_typed_before_the_question_is_no_answer(node: Node):
    async with terminal(node) as chat:
        await chat.until(PROMPT)
        chat.type("do x\ry\r")
        await chat.until("y = once")
        await trio.sleep(1.5)
        assert effects(node) == []
        assert len(await asked(node)) == 1


async def test_watching_tells_of_what_comes_and_goes(node: Node):
    said: list[Finished] = []
    watch = [sys.executable, "-m", "beamclaw", "approvals", "list", "--watch"]
    watching = await trio.lowlevel.open_process(
        [*watch, "--json", "--data", str(node.data)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env=node.environment,
    )
    assert watching.stdout is not None
    seen = b""
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: chat(node, "do x", into=said))
            while seen.count(b"\n") < 1:
                seen += await watching.stdout.receive_some()
            row = orjson.loads(seen)["asked"]
            await node.command("approvals", "allow", row["wait_id"])
            while seen.count(b"\n") < 2:
                seen += await watching.stdout.receive_some()
    finally:
        watching.kill()
        await watching.wait()
    assert orjson.loads(seen.splitlines()[1]) == {"over": row["wait_id"]}
