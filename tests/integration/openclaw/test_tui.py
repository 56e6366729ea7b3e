"""OpenClaw's terminal program against a node of ours: typed to, read, stopped."""

import os
from pathlib import Path

import pytest

from tests.peers.plugin import folder
from tests.support.node import clean, open_node
from tests.support.terminal import terminal

pytestmark = [pytest.mark.slow, pytest.mark.peer("openclaw")]

CONFIG = """\
providers:
  demo: {{api: demo, script: {script}}}
agents:
  main: {{model: demo/demo}}
"""
SCRIPT = """\
- match: "long"
  delay: 0.2
  reply: "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi
    omicron pi rho sigma tau upsilon phi chi psi omega"
- reply: "hello from the agent"
"""
ESCAPE = "\x1b"


async def test_a_message_is_answered_and_a_turn_is_stopped(peer: str, tmp_path: Path):
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "script.yaml").write_text(SCRIPT)
    config = tmp_path / "beamclaw.yaml"
    config.write_text(CONFIG.format(script=tmp_path / "script.yaml"))
    path = f"{folder() / 'bin'}{os.pathsep}{os.environ['PATH']}"
    env = clean(home) | {"PATH": path, "OPENCLAW_STATE_DIR": str(home / "state")}
    options = ("--config", str(config))
    async with open_node(tmp_path / "data", options=options) as node:
        url = node.base_url.replace("http://", "ws://")
        command = [peer, "tui", "--url", url, "--token", node.token]
        async with terminal(command, env) as tui:
            await tui.until("session agent:main:main")
            await tui.type("hi from a terminal")
            await tui.until("hi from a terminal")
            since = len(tui.written)
            await tui.type("\r")
            await tui.until("hello from the agent", since=since)
            await tui.until("idle", since=since)
            since = len(tui.written)
            await tui.type("a long one")
            await tui.until("a long one", since=since)
            await tui.type("\r")
            await tui.until("beta", since=since)
            await tui.type(ESCAPE)
            await tui.until("aborted", since=since)
            said = tui.shown()
    assert "omega" not in said
    assert "event gap" not in said
