"""What is proved: a stuck one among very many processes is found on the page, and opened.

Slow, and for machines with Chromium (``scripts/peers``).
"""

from pathlib import Path

import pytest
import trio

from tests.peers.plugin import which
from tests.support.browser import ENTER
from tests.support.node_page import TEXT, keys, opened, serious, until_true, view

pytestmark = [pytest.mark.slow, pytest.mark.peer("chromium")]

FIELD = "input#find"
DOWN = "\ue015"
CLEAR = "\ue009a\ue000\ue003"  # Control and a, then Backspace
LINKS = (
    "return [...document.querySelectorAll('.find a')].map((each) => each.textContent)"
)
BUSY = "document.querySelector('.busy-ones ul')"


async def test_a_process_that_the_tree_leaves_out_is_found_by_a_part_of_its_name(
    tmp_path: Path,
):
    async with opened(tmp_path, shell={"children": 1}) as (node, page):
        await view(page, "tree", "more: find them by name")
        assert "limits" not in await page.text()
        # A word for the field, and one for what was found, for who sees neither.
        labelled = f"document.querySelector('{FIELD}').labels[0].textContent"
        assert await page.run(f"return {labelled}") == "Find a process"
        await page.type(FIELD, "efault/LIM")
        await page.until("1 process found")
        assert await page.run(LINKS) == ["default/limits"]
        await keys(page, DOWN, ENTER)
        await page.until("started by")
        assert await page.run("return location.hash") == "#/tree/default%2Flimits"
        # It is taken hold of as one that is shown: suspended, it can be resumed.
        done = await node.command("shell", "-c", "suspend limits")
        assert done.code == 0
        await page.until("Resume")
        await page.click("Resume")
        await page.until("default/limits: goes on")
        # Enter opens the first of what was found.
        await page.type(FIELD, CLEAR + f"ledger{ENTER}")
        await until_true(page, "location.hash === '#/tree/default%2Fledger'")
        await page.type(FIELD, CLEAR + "default")
        await page.until("1 of them are shown: type more of the name")
        assert len(await page.run(LINKS)) == 1
        await page.type(FIELD, CLEAR + "nobody has this")
        await page.until("No process has that in its name")
        assert await page.run(LINKS) == []


@pytest.mark.peer("axe")
@pytest.mark.parametrize("phone", [False, True])
async def test_the_conversation_that_is_stuck_stands_first_and_is_opened(
    tmp_path: Path, *, phone: bool
):
    axe = which("axe")
    assert axe is not None
    program = await trio.Path(axe).read_text()
    async with opened(tmp_path) as (node, page):
        await page.type(TEXT, f"dice{ENTER}")
        await page.until("main asks whether it may")
        if phone:
            await page.size(390, 844, phone=True)
        await view(page, "tree", "waits for a person's answer")
        assert await page.run(f"return {BUSY}.querySelectorAll('.bad').length") == 0
        done = await node.command("shell", "-c", "suspend main")
        assert done.code == 0
        await page.until("1 stuck")
        assert "stuck" in await page.run(f"return {BUSY}.textContent")
        await page.type(FIELD, "main")
        await page.until("found")
        assert await serious(page, program) == []
        await page.run(f"{BUSY}.querySelector('a').click()")
        await page.until("started by")
        chosen = await page.run("return decodeURIComponent(location.hash)")
        assert chosen == "#/tree/default/session/agent:main:main"
        await page.click("Resume")
        await page.until("goes on")
