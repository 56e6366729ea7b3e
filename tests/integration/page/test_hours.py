"""What is proved: the view Health has the last hours in the moment in which it is opened.

Slow, and for machines with Chromium (``scripts/peers``).
"""

from pathlib import Path

import pytest
import trio

from tests.peers.plugin import which
from tests.support.browser import ENTER
from tests.support.node import Node
from tests.support.node_page import TEXT, opened, serious, until_true, view

pytestmark = [pytest.mark.slow, pytest.mark.peer("chromium")]

CHARTS = "[...document.querySelectorAll('.chart.hours')]"
# What a chart says to who does not see it, and how much it has drawn.
SAID = f"return {CHARTS}.map((each) => each.getAttribute('aria-label'))"
DRAWN = f"{CHARTS}.map((each) => each.querySelector('.path').getAttribute('d').split('L').length)"


async def minute_over(node: Node) -> None:
    done = await node.command("shell", "-c", "send statistics MinuteOver")
    assert (done.code, done.err) == (0, "")


@pytest.mark.peer("axe")
async def test_the_last_hours_are_drawn_at_once(tmp_path: Path):
    axe = which("axe")
    assert axe is not None
    program = await trio.Path(axe).read_text()
    async with opened(tmp_path) as (node, page):
        await view(page, "health", "the first minute is not over yet")
        assert await page.run(f"return {CHARTS}.length") == 0
        await view(page, "chat", "New session")
        await page.type(TEXT, f"hello{ENTER}")
        await page.until("hello from the agent")
        await until_true(page, "!document.querySelector('.live')")
        for _ in range(3):
            await minute_over(node)
        await view(page, "health", "3 points")
        # Nobody has looked while they were made, and none has to come first.
        assert await page.run(f"return {DRAWN}") == [4] * 7
        said = "\n".join(await page.run(SAID))
        assert "Memory, from " in said
        assert "Turns that ended, from " in said
        for words in ("1 in all, at most 1 in 1 min at ", "Errors of providers"):
            assert words in said
        for theme in ("light", "dark"):
            await page.run(
                "document.documentElement.dataset.theme = arguments[0]", theme
            )
            assert await serious(page, program) == [], theme
