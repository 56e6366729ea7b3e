"""The page's first view in a browser: from the link that is opened to a chat one can type in.

Measured by the page's own clock, which begins when the browser begins to go there; the
first view is there when the conversation was fetched, and the field of the message takes
words. What is kept, in each round:

- *new*: nothing. The browser has a folder of its own that was empty, and has shown no page
  before; it is signed in by the link of `beamclaw dashboard`. Its process is there
  already, as is the node, and that has served the page to the rounds before.
- *again*: the page's files are in the browser's cache, which asks for each of them
  whether it is still the same (304); what the browser has made of the programs, too. One
  is signed in still.

Each round ends with a turn, so what was called usable was. Needs Chromium
(``scripts/peers``); without it nothing is measured, which is said.
"""

import statistics
import sys
import tempfile
from pathlib import Path

import trio

from tests.benchmarks.report import Row, emit
from tests.peers.plugin import which
from tests.support.browser import ENTER, Browser, browser
from tests.support.node import Node, open_node
from tests.support.node_page import TEXT

ROUNDS = 7
LIMIT = "< 1"
# When the view can be used, on the page's own clock, in seconds; looked at frame by frame.
_USABLE = """
const [field] = arguments;
return new Promise((resolve) => {
  const look = () => {
    const text = document.querySelector(field);
    const loaded = document.querySelector("#main [role=log]");
    const usable = text && !text.disabled && text.offsetHeight && loaded?.innerText.trim();
    if (usable) resolve([performance.now() / 1000, kept()]);
    else requestAnimationFrame(look);
  };
  // Of a file that is the same still, only the head of an answer comes.
  const kept = () =>
    performance.getEntriesByType("resource")
      .filter((each) => each.name.endsWith(".js"))
      .filter((each) => each.transferSize < each.encodedBodySize).length;
  look();
});
"""


async def _usable(page: Browser) -> tuple[float, int]:
    """Seconds to the first view, and how many programs came from the browser's cache."""
    seconds, kept = await page.run(_USABLE, TEXT)
    return seconds, kept


async def _round(chromium: str, node: Node, number: int) -> tuple[float, float]:
    """Seconds to the first view of a new browser, and of the same one again."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        async with browser(chromium, Path(folder)) as page:
            link = (await node.command("dashboard")).out.strip()
            await page.open(link)
            new, kept = await _usable(page)
            assert kept == 0, f"{kept} programs came from a cache that should be empty"
            await page.open("about:blank")
            await page.open(f"{node.base_url}/")
            again, kept = await _usable(page)
            assert kept > 0, "nothing came from the cache"
            await page.type(TEXT, f"round {number}{ENTER}")
            await page.until(f"You said: round {number}")
            return new, again


async def main() -> None:
    chromium = which("chromium")
    if chromium is None:
        print("there is no Chromium: nothing was measured", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as folder:
        async with open_node(Path(folder) / "data", anew=True) as node:
            rounds = [await _round(chromium, node, number) for number in range(ROUNDS)]
    new, again = (statistics.median(each) for each in zip(*rounds, strict=True))
    emit(
        Row(
            name="first view of the page, to type in: a new browser, signed in by a link",
            value=new,
            unit="s",
            must=LIMIT,
            aim="< 0.5",
            note=f"nothing in its cache; the longest {max(each for each, _ in rounds):.2f} s",
        ),
        Row(
            name="first view of the page, to type in: the same browser again",
            value=again,
            unit="s",
            baseline=new,
            against="a new browser",
            must=LIMIT,
            note="the page's files are in its cache, and asked about: 304",
        ),
    )


if __name__ == "__main__":
    trio.run(main)
