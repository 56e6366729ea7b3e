"""What is proved: no view of the page, nor what it is sent, has a canary of the configuration."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import pytest

from beamclaw.testing.fake_openai import FakeOpenAI, Fault, fake_openai
from tests.peers.plugin import which
from tests.support.browser import ENTER, Browser, browser
from tests.support.canaries import (
    CANARIES,
    ENVIRONMENT,
    KEY,
    NAME,
    TOKEN,
    configuration,
    where_seen,
)
from tests.support.node import ROOT, Node, open_node
from tests.support.node_page import NOTHING_SAID, PATIENCE, TEXT, until_true, view

VIEWS: Final = re.findall(
    r'^  \["(\w+)", "',
    (ROOT / "beamclaw" / "gateway" / "static" / "app.js").read_text(),
    re.MULTILINE,
)
# In each view: where to go, words that stand there then, and what to press after that.
VISITS: Final[Mapping[str, Sequence[tuple[str, str, Sequence[str]]]]] = {
    "chat": (
        ("chat/agent%3Amain%3Amain", "some-model", ()),
        ("chat/agent%3Ascripted%3Amain", "Output", ()),
    ),
    "tree": tuple(
        (f"tree/{name}", "started by", ("State", "Stands at", "Mailbox", "About"))
        for name in ("beamclaw%2Fconfig", f"providers%2F{NAME}", "gateway%2Fserver")
    ),
    "sessions": (
        ("sessions/agent%3Amain%3Amain", "Transcript", ()),
        ("sessions/agent%3Ascripted%3Amain", "Transcript", ()),
    ),
    "spending": (("spending", "By model", ()),),
    "access": (("access", "daily-brief", ()),),
    "health": (("health", "Providers Provider", ()),),
    "logs": (("logs", "beamclaw.", ("Pause",)),),
}
SCENES = [
    {
        "match": "look around",
        "calls": [{"tool": "exec", "arguments": {"command": f"echo ${NAME}; env"}}],
        "reply": "{results}",
    },
]
# All that a page holds: its markup, what is typed and chosen, and what it keeps.
HELD = """
const texts = [];
const walk = (root) => {
  for (const each of root.querySelectorAll("*")) {
    if ("value" in each) texts.push(String(each.value));
    if (each.shadowRoot) { texts.push(each.shadowRoot.innerHTML); walk(each.shadowRoot); }
  }
};
walk(document);
const kept = [document.cookie, document.title, location.href, history.state, {...localStorage}];
return [document.documentElement.outerHTML, ...texts, JSON.stringify(kept)].join("\\n");
"""
KEPT = "return JSON.stringify({...sessionStorage})"
# Of what goes over the network, what comes from the node.
COMES = ("body", "Network.webSocketFrameReceived", "Network.responseReceived")


def test_each_view_of_the_page_is_visited():
    assert len(VIEWS) > 5
    assert {*VIEWS} == {*VISITS}, "new views: what is there to be seen?"


async def something_happens(node: Node, page: Browser, fake: FakeOpenAI) -> None:
    """A provider that quotes the key, and a command that shows what it was given."""
    told = f"Incorrect API key provided: {CANARIES[KEY]}"
    fake.fail(Fault(status=401, code="invalid_api_key", message=told))
    await page.type(TEXT, f"hello{ENTER}")
    await page.until("refused the key")
    await view(page, "chat/agent%3Ascripted%3Amain", NOTHING_SAID)
    await page.type(TEXT, f"look around{ENTER}")
    await page.until("scripted asks whether it may")
    await page.click("Allow once")
    await page.until("[secret]")
    fake.fail(*[Fault(status=500, message=told)] * 2)
    assert (await node.complete("hello")).status >= 400


async def visited(page: Browser, seen: dict[str, str], how: str) -> None:
    """Every view, and what is behind its buttons."""
    for name in VIEWS:
        for address, words, pressed in VISITS[name]:
            await view(page, address, words)
            await page.run(
                "for (const each of document.querySelectorAll('details')) each.open = true;"
            )
            seen[f"{how}: {address}"] = await page.run(HELD)
            for label in pressed:
                await page.click(label)
                await until_true(page, "!document.querySelector('[aria-busy=true]')")
                seen[f"{how}: {address} {label}"] = await page.run(HELD)


@pytest.mark.slow
@pytest.mark.peer("chromium")
async def test_no_view_of_the_page_has_a_secret_of_the_configuration(tmp_path: Path):
    chromium = which("chromium")
    assert chromium is not None
    config, seen = tmp_path / "beamclaw.yaml", dict[str, str]()
    options = ["--config", str(config)]
    async with fake_openai(keys=[CANARIES[KEY]]) as fake:
        # Nobody takes traces: that is spoken of as well.
        urls = fake.base_url, "http://127.0.0.1:9"
        config.write_text(configuration(tmp_path, urls, SCENES))
        async with (
            open_node(
                tmp_path / "data",
                env=ENVIRONMENT,
                token="",
                options=options,
                wait=PATIENCE,
            ) as node,
            browser(chromium, tmp_path, listens=True) as page,
        ):
            node.token = TOKEN
            await page.open((await node.command("dashboard")).out.strip())
            await page.until(NOTHING_SAID)
            await something_happens(node, page, fake)
            await visited(page, seen, "by a link")
            seen["what a browser keeps"] = await page.run(KEPT)
            seen["console"] = "\n".join(await page.console())
            network = await page.network()
            assert {kind for kind, _ in network} >= {*COMES}
            seen["network"] = "\n".join(text for _, text in network)

            # Who types the token has it with them, and sees it no more.
            await page.run("sessionStorage.clear()")
            await page.of_page("POST", "/refresh", {})
            await page.type("#token", f"{TOKEN}{ENTER}")
            await until_true(page, "document.querySelector('nav')")
            await visited(page, seen, "by the token")
            seen["console afterwards"] = "\n".join(await page.console())
            comes = [text for kind, text in await page.network() if kind in COMES]
            seen["network afterwards"] = "\n".join(comes)
    assert where_seen(seen) == []
