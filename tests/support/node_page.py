"""The node's page in a browser: a node with a script, signed in to, and how to get around.

The node's model answers by words of what it is told: *dice* has it ask for a command,
*hostile* has it write markup, *rich* whatever is hard to lay out, *long* 400 words.
"""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import trio

from tests.peers.plugin import which
from tests.support.browser import ENTER, Browser, browser
from tests.support.node import Node, open_node

HOSTILE: Final = (
    '<img src="/x" onerror="document.title=1"><script>document.title=2</script> '
    "[a](javascript:document.title=3) ![b](https://evil.example/p.png) "
    '<a href="https://evil.example" style="x">c</a> **bold** `<b>code</b>` '
    "[d](data:text/html,x) [e](https://good.example/%22onclick=%22x) <iframe src=/>"
)
LONG_WORD: Final = "Donaudampfschifffahrtsgesellschaft" * 8
RICH: Final = f"""\
## A table

| name | value | what it is | whose |
| --- | --- | --- | --- |
| alpha | 1 | the first of all letters | of nobody in particular |

```python
def a_function_with_a_long_name(parameter_one, parameter_two): return parameter_one
```

שלום עולם, זה טקסט מימין לשמאל.

{LONG_WORD} 👩‍👩‍👧‍👦
"""
SCRIPT: Final[Sequence[dict[str, Any]]] = (
    {
        "match": "dice",
        "calls": [[{"tool": "exec", "arguments": {"command": "echo 'dice-<b>four</b>'"}}]],
        "reply": "the dice say **four**",
    },
    {"match": "hostile", "reply": HOSTILE},
    {"match": "rich", "reply": RICH},
    {"match": "long", "reply": " ".join(f"word{number}" for number in range(400))},
    {"match": "picture", "reply": "I see it"},
    {"reply": "hello from the agent"},
)  # fmt: skip
MAIN: Final = "agent:main:main"
# Each view with all that it has, and words that stand there when it is drawn; for a
# conversation in which `dice` was said.
VIEWS: Final = (
    ("chat/agent%3Amain%3Amain", "main asks"),
    ("tree", "limits"),
    ("tree/default%2Flimits", "started by"),
    ("sessions", "also put away"),
    ("sessions/agent%3Amain%3Amain", "Transcript"),
    ("spending", "By model"),
    ("access", "daily-brief"),
    ("health", "Providers Provider"),
    ("logs", "beamclaw.approval.asked"),
)
NOTHING_SAID: Final = "Nothing has been said here yet"
TEXT: Final = 'textarea[aria-label="Message"]'
# A view is made anew when its name changes, and only then.
LEAVE: Final = """
const [, name] = arguments[0].split("/");
if (location.hash.split("/")[1] !== name)
  document.querySelector("#main > *")?.setAttribute("data-left", "");
location.hash = arguments[0];
"""
# Seconds for a start: a browser beside it needs the machine, too.
PATIENCE: Final = 120.0


@asynccontextmanager
async def opened(
    folder: Path, *, delay: float = 0.0, **more: object
) -> AsyncIterator[tuple[Node, Browser]]:
    """A node, and a browser that has signed in to its page by the token.

    *more* is what its configuration says beside that.
    The browser has no fault to find with what was done.
    """
    script = folder / "script.yaml"
    script.write_text(json.dumps(SCRIPT, ensure_ascii=False))
    demo = {"api": "demo", "script": str(script), "delay": delay}
    config = folder / "beamclaw.yaml"
    config.write_text(
        json.dumps(
            {
                "providers": {"demo": demo},
                "agents": {"main": {"model": "demo/demo"}},
                "limits": {"day": {"seconds": 86_400}},
                **more,
            }
        )
    )
    options = ("--config", str(config))
    async with (
        open_node(folder / "data", wait=PATIENCE, options=options) as node,
        browsing(folder) as page,
    ):
        await page.open(f"{node.base_url}/")
        await page.type("#token", f"{node.token}{ENTER}")
        await page.until(NOTHING_SAID)
        yield node, page
        assert await page.complaints() == []


@asynccontextmanager
async def browsing(folder: Path) -> AsyncIterator[Browser]:
    """A browser that has opened nothing."""
    chromium = which("chromium")
    assert chromium is not None
    async with browser(chromium, folder) as page:
        yield page


async def view(page: Browser, name: str, words: str) -> None:
    """Go to a view, as a link does; the one before stays until the next is loaded."""
    await page.run(LEAVE, f"#/{name}")
    await until_true(page, "!document.querySelector('#main > [data-left]')")
    await page.until(words)


async def until_true(page: Browser, script: str) -> None:
    """Wait until *script* is true on the page."""
    with trio.fail_after(60):
        while not await page.run(f"return Boolean({script})"):  # noqa: ASYNC110 -- a page tells nobody
            await trio.sleep(0.1)


async def keys(page: Browser, *typed: str) -> None:
    """Press keys, wherever the focus is."""
    actions: list[Any] = []
    for key in typed:
        actions += [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
    body = {"actions": [{"type": "key", "id": "keys", "actions": actions}]}
    await page.of_page("POST", "/actions", body)


async def serious(page: Browser, axe: str) -> list[object]:
    """What the program *axe* finds that is serious or worse."""
    if not await page.run("return 'axe' in window"):
        await page.run(axe)
    body = {
        "script": "const done = arguments[0]; axe.run().then((found) => done("
        "found.violations.filter((each) => ['serious', 'critical'].includes(each.impact))"
        ".map((each) => [each.id, each.nodes.slice(0, 3).map((node) => node.html + "
        "node.failureSummary)])))",
        "args": [],
    }
    return await page.of_page("POST", "/execute/async", body)
