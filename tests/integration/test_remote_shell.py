"""What is proved: ``beamclaw shell`` and ``top`` with ``--url`` do over the gateway what they
do on the machine.
"""

import json
from pathlib import Path

import attrs
import pytest

from tests.support.node import Finished, Node, open_node
from tests.support.tmux import tmux

pytestmark = pytest.mark.slow


async def shell(node: Node, *options: str, token: str | None = None) -> Finished:
    """The command, of somebody who has another token than the node's, or none."""
    return await remote(node, "shell", *options, token=token)


async def remote(
    node: Node, verb: str, *options: str, token: str | None = None
) -> Finished:
    """The same for any verb that goes over the gateway."""
    node_or_other = node if token is None else attrs.evolve(node, token=token)
    return await node_or_other.command(verb, "--url", node.base_url, *options)


async def test_a_node_is_looked_into_and_steered_from_elsewhere(tmp_path: Path):
    async with open_node(tmp_path / "data") as node:
        done = await shell(node, "-c", "info ledger; restart limits; state limits")
        assert (done.code, done.err) == (0, "")
        assert "process   default/ledger" in done.out
        assert "is in its place" in done.out
        assert "warnings" in done.out
        # What goes on tells as it happens, and ends.
        traced = await shell(node, "--json", "-c", "trace limits --most 0")
        assert '"type": "tracing"' in traced.out
        wrong = await shell(node, "-c", "info nobody; info bus")
        assert wrong.code == 1
        assert "there is no process 'nobody'" in wrong.err
        assert "process   bus" in wrong.out
        steered = [
            line for line in node.stderr().splitlines() if "shell.steered" in line
        ]
        assert len(steered) == 2  # when it begins, and how it ends
        assert all('"by": "operator"' in line for line in steered)


async def test_each_may_as_much_as_his_key_says(tmp_path: Path):
    async with open_node(tmp_path / "data") as node:
        made = await node.command("keys", "create", "x", "--scope", "operator.read")
        key = made.out.strip().splitlines()[-1].split()[-1]
        look = await shell(node, "-c", "info ledger", token=key)
        assert (look.code, look.err) == (0, "")
        inside = await shell(node, "-c", "state ledger; kill limits", token=key)
        assert inside.code == 1
        assert inside.err.count("missing scope: operator.admin") == 2
        assert "shell.steered" not in node.stderr()
        # Rates and mailboxes are how processes stand.
        top = await remote(node, "top", "--once", "--json", token=key)
        assert (top.code, top.err) == (0, "")


async def test_expressions_from_elsewhere_follow_the_configuration(tmp_path: Path):
    line = "-c", "eval 40 + 2; replace limits warnings --expression old"

    async def results(said: str) -> tuple[int, int]:
        changed = await node.command("config", "set", "shell.expressions", said)
        assert changed.code == 0, changed
        here, there = await node.command("shell", *line), await shell(node, *line)
        if there.code:
            assert there.err.count("`shell: {expressions: everywhere}`") == 2
        return here.code, there.code

    async with open_node(tmp_path / "data") as node:
        assert await results("true") == (0, 1)
        assert await results("everywhere") == (0, 0)
        assert await results("socket") == (0, 1)
        assert await results("false") == (1, 1)


async def test_top_shows_a_node_elsewhere(tmp_path: Path):
    async with (
        open_node(tmp_path / "data") as node,
        tmux(tmp_path, node.environment) as screens,
    ):
        once = await remote(node, "top", "--once")
        here = await node.command("top", "--once")
        assert (once.code, once.err, once.out.count("ledger")) == (0, "", 1)
        assert once.out.count("\n") >= here.out.count("\n")
        looks = await remote(node, "top", "--once", "--json", "--every", "0.1")
        (line,) = looks.out.splitlines()
        assert json.loads(line)["tree"]["id"] == "root"
        await screens.window("top", node, "top", "--url", node.base_url, size=(120, 80))
        await screens.until("top", lambda shown: "gateway" in shown)
        await screens.type("top", "m")
        await screens.until("top", lambda shown: "by mailbox" in shown)
        await node.stop()
        words = f"the node at {node.base_url} stopped"
        await screens.until("top", lambda shown: words in shown)


async def test_who_is_not_let_in_is_told_why(tmp_path: Path):
    async with open_node(tmp_path / "data") as node:
        wrong = await shell(node, "-c", "info bus", token="wrong")
        assert wrong.code == 1
        assert "it is not the one of this gateway" in wrong.err
        without = attrs.evolve(node, token="")
        nobody = await without.command(
            "shell", "--url", node.base_url, "-c", "info bus"
        )
        assert nobody.code == 2
        assert "BEAMCLAW_TOKEN" in nobody.err
        assert "Traceback" not in wrong.err + nobody.err


@pytest.mark.parametrize(
    "url, words",
    [
        ("http://127.0.0.1:1", "cannot be reached: Connection refused"),
        ("ftp://127.0.0.1", "is no address of a gateway"),
        ("http://token@127.0.0.1", "an address has no token in it"),
        ("http://127.0.0.1?token=x", "an address has no token in it"),
        ("", "is no address of a gateway"),
        ("http://[", "is no address of a gateway"),
        ("http://127.0.0.1:many", "is no address of a gateway"),
    ],
)
async def test_an_address_that_is_none_is_said_to_be_so(
    tmp_path: Path, url: str, words: str
):
    node = Node(data=tmp_path / "data")
    for verb in (("shell", "-c", "info bus"), ("top", "--once")):
        done = await node.command(*verb, "--url", url)
        assert done.code in (1, 2)
        assert words in done.err
        assert "Traceback" not in done.err
