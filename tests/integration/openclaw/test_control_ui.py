"""OpenClaw's Control UI, served by a node of ours, in a browser: a whole conversation."""

from pathlib import Path

import pytest

from tests.peers.plugin import which
from tests.support.browser import ENTER, browser, free_port
from tests.support.node import open_node

pytestmark = [
    pytest.mark.slow,
    pytest.mark.peer("openclaw"),
    pytest.mark.peer("chromium"),
]

CONFIG = """\
providers:
  demo: {{api: demo, script: {script}}}
agents:
  main: {{model: demo/demo}}
gateway:
  control_ui: {{root: {root}, base_path: {base}, port: {port}}}
"""
SCRIPT = """\
- match: "dice"
  calls: [[{tool: exec, arguments: {command: "echo dice-four"}}]]
  reply: "the dice say four"
- reply: "hello from the agent"
"""
COMPOSER = 'textarea[aria-label="Chat composer"]'


@pytest.mark.parametrize(
    "base, apart",
    [("/", False), ("/claw", False), ("/", True)],
    ids=["at the start", "below a path", "a listener of its own"],
)
async def test_a_person_talks_sees_a_tool_call_and_answers_a_question(
    tmp_path: Path, base: str, apart: bool
):
    own = await free_port() if apart else None
    openclaw, chromium = which("openclaw"), which("chromium")
    assert openclaw is not None
    assert chromium is not None
    root = Path(openclaw).parents[1] / "openclaw" / "dist" / "control-ui"
    (tmp_path / "script.yaml").write_text(SCRIPT)
    config = tmp_path / "beamclaw.yaml"
    config.write_text(
        CONFIG.format(
            script=tmp_path / "script.yaml", root=root, base=base, port=own or "null"
        )
    )
    options = ("--config", str(config))
    async with (
        open_node(tmp_path / "data", options=options) as node,
        browser(chromium, tmp_path) as page,
    ):
        address = f"http://127.0.0.1:{own}" if own else node.base_url
        start = f"{address}{base.rstrip('/')}/"
        await page.open(f"{start}#token={node.token}")
        await page.until("Talk to your Home agent")
        await page.type(COMPOSER, f"hello there{ENTER}")
        await page.until("hello from the agent")
        await page.type(COMPOSER, f"roll the dice{ENTER}")
        await page.until("Exec approval needed")
        assert "echo dice-four" in await page.text()
        await page.click("Allow once")
        await page.until("the dice say four")
        await page.photograph(tmp_path / "page.png")
        text = await page.text()
        assert "Exec approval needed" not in text
        assert "Models unavailable" not in text
        # What was said is there again for who comes back.
        await page.open(start)
        await page.until("the dice say four")
        blocked = [each for each in await page.complaints() if "Policy" in each]
        assert blocked == []
