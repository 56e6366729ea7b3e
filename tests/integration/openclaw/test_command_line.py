"""OpenClaw's own command line against a node of ours, as somebody new would try it."""

import os
from pathlib import Path

import orjson
import pytest
import trio

from tests.peers.plugin import folder
from tests.support.node import Node, clean, open_node

pytestmark = [pytest.mark.slow, pytest.mark.peer("openclaw")]


async def openclaw(
    peer: str, node: Node, home: Path, *arguments: str
) -> tuple[int, str]:
    """Run it with nothing of its own but where the gateway is; code and output."""
    url = node.base_url.replace("http://", "ws://")
    path = f"{folder() / 'bin'}{os.pathsep}{os.environ['PATH']}"
    env = clean(home) | {
        "PATH": path,
        "OPENCLAW_STATE_DIR": str(home / "state"),
        "OPENCLAW_GATEWAY_URL": url,
        "OPENCLAW_GATEWAY_TOKEN": node.token,
    }
    done = await trio.run_process(
        [peer, *arguments], env=env, capture_stdout=True, check=False
    )
    return done.returncode, done.stdout.decode()


async def test_its_command_line_asks_for_health_and_talks_to_an_agent(
    peer, tmp_path: Path
):
    home = tmp_path / "home"
    home.mkdir()
    async with open_node(tmp_path / "data") as node:
        url = node.base_url.replace("http://", "ws://")
        there = "--url", url, "--token", node.token
        call = ("gateway", "call", "health", *there, "--json")
        code, out = await openclaw(peer, node, home, *call)
        assert (code, orjson.loads(out)["ok"]) == (0, True)
        code, out = await openclaw(peer, node, home, "gateway", "health", *there)
        assert (code, "OK" in out) == (0, True)
        asked = {"message": "hi", "sessionKey": "main", "idempotencyKey": "k1"}
        words = ("--expect-final", "--json", "--params", orjson.dumps(asked).decode())
        call = ("gateway", "call", "agent", *there, *words)
        code, out = await openclaw(peer, node, home, *call)
        final = orjson.loads(out)
        assert (code, final["runId"], final["status"]) == (0, "k1", "ok")
        assert final["result"]["payloads"][0]["text"].startswith("You said: hi")
        say = ("agent", "--agent", "main", "--message", "hi from outside")
        code, out = await openclaw(peer, node, home, *say)
        assert code == 0
        assert "You said: hi from outside" in out
