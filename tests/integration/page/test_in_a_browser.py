"""What is proved: the node's page works in a browser, in every view, also when things die.

Slow, and for machines with Chromium (``scripts/peers``).
"""

import json
import re
import time
from pathlib import Path

import pytest
import trio

from tests.peers.plugin import which
from tests.support.browser import ENTER, browser
from tests.support.node import open_node
from tests.support.node_page import (
    NOTHING_SAID,
    PATIENCE,
    TEXT,
    VIEWS,
    keys,
    opened,
    serious,
    until_true,
    view,
)

pytestmark = [pytest.mark.slow, pytest.mark.peer("chromium")]

TAB, SPACE, ESCAPE = "\ue004", "\ue00d", "\ue00c"
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAA"
    "ABJRU5ErkJggg=="
)


# --- signing in


async def test_a_link_signs_in_once_and_stands_nowhere_afterwards(tmp_path: Path):
    chromium = which("chromium")
    assert chromium is not None
    async with (
        open_node(tmp_path / "data", wait=PATIENCE) as node,
        browser(chromium, tmp_path) as page,
    ):
        link = (await node.command("dashboard")).out.strip()
        code = link.partition("#code=")[2]
        assert len(code) > 40
        await page.open(link)
        await page.until(NOTHING_SAID)
        assert code not in await page.run("return location.href")
        kept = await page.run("return JSON.stringify([sessionStorage, localStorage])")
        assert code not in kept
        assert node.token not in kept
        # Who finds the link afterwards has found nothing.
        await page.run("sessionStorage.clear()")
        await page.open("about:blank")
        await page.open(link)
        await page.until("this link was used before")
        assert code not in node.stderr()
        await page.complaints()


@pytest.mark.parametrize("mode", ["none", "password"])
async def test_it_asks_for_what_the_gateway_wants(tmp_path: Path, mode: str):
    chromium = which("chromium")
    assert chromium is not None
    config = tmp_path / "beamclaw.yaml"
    config.write_text(f"gateway: {{auth: {{mode: {mode}, password: sesame}}}}\n")
    options = ("--config", str(config))
    async with (
        open_node(tmp_path / "data", wait=PATIENCE, options=options, token="") as node,
        browser(chromium, tmp_path) as page,
    ):
        await page.open(f"{node.base_url}/")
        if mode == "password":
            await page.until("Password")
            await page.type("#token", f"sesame{ENTER}")
        await page.until(NOTHING_SAID)
        assert await page.complaints() == []


async def test_who_signs_out_is_out(tmp_path: Path):
    async with opened(tmp_path) as (node, page):
        await page.click("Sign out")
        await page.run("document.querySelector('dialog .danger').click()")
        await page.until("beamclaw dashboard")
        assert await page.run("return sessionStorage.length") == 0
        await page.open(f"{node.base_url}/#/tree")
        await page.until("beamclaw dashboard")
        await page.type("#token", f"wrong{ENTER}")
        await page.until("it is not the one of this gateway")


# --- chat


async def test_a_person_talks_and_answers_a_question_by_one_click(tmp_path: Path):
    async with opened(tmp_path) as (_, page):
        await page.type(TEXT, f"hello{ENTER}")
        await page.until("hello from the agent")
        await page.type(TEXT, f"roll the dice{ENTER}")
        await page.until("main asks whether it may")
        assert "echo 'dice-<b>four</b>'" in await page.text()
        await page.click("Allow once")
        await page.until("the dice say four")
        await until_true(page, "!document.querySelector('.approval')")
        # Its arguments and its output are there for who opens them.
        await page.run("document.querySelector('.tool summary').click()")
        await page.until("Output dice-<b>four</b>")
        # And all of it again for who comes back.
        await page.open("about:blank")
        await page.of_page("POST", "/back", {})
        await page.until("the dice say four")
        await page.until("dice-<b>four</b>")


async def test_words_of_a_model_never_become_markup(tmp_path: Path):
    async with opened(tmp_path) as (_, page):
        await page.type(TEXT, f"hostile <img src=x onerror=document.title=4>{ENTER}")
        await page.until("<iframe src=/>")
        await page.until("bold")
        await until_true(page, "!document.querySelector('.live')")
        said = "document.querySelector('.said')"
        for selector in (
            "img",
            "iframe",
            "script",
            "[style]",
            "[onerror]",
            "[onclick]",
        ):
            query = f"return {said}.querySelectorAll('{selector}').length"
            assert await page.run(query) == 0, selector
        links = await page.run(
            f"return [...{said}.querySelectorAll('a')].map(a => a.href)"
        )
        assert links
        assert all(link.startswith("https://") for link in links)
        assert await page.run("return document.title") == "Chat · BeamClaw"
        assert await page.run(f"return {said}.querySelector('strong').textContent") == (
            "bold"
        )


async def test_an_answer_is_stopped_and_what_was_said_stays(tmp_path: Path):
    async with opened(tmp_path, delay=0.05) as (_, page):
        await page.type(TEXT, f"something long{ENTER}")
        await page.until("word5 ")
        await page.click("Stop")
        await page.until("Stopped")
        await until_true(page, "!document.querySelector('.live')")
        text = await page.text()
        assert "word5" in text
        assert "word399" not in text


async def test_a_picture_is_sent_and_seen_again(tmp_path: Path):
    async with opened(tmp_path) as (_, page):
        await page.run(
            "const bytes = Uint8Array.from(atob(arguments[0]), (c) => c.charCodeAt(0));"
            "const data = new DataTransfer();"
            "data.items.add(new File([bytes], 'x.png', {type: 'image/png'}));"
            "const input = document.querySelector('input[type=file]');"
            "input.files = data.files; input.dispatchEvent(new Event('change'));",
            PIXEL,
        )
        await until_true(page, "document.querySelector('.pictures img')")
        await page.type(TEXT, f"a picture{ENTER}")
        await page.until("I see it")
        await page.open("about:blank")
        await page.of_page("POST", "/back", {})
        await until_true(
            page, "document.querySelector('.turn img')?.naturalWidth === 1"
        )


async def test_a_node_that_comes_back_is_found_again(tmp_path: Path):
    async with opened(tmp_path) as (node, page):
        node.port = int(node.base_url.rpartition(":")[2])
        await page.type(TEXT, f"hello{ENTER}")
        await page.until("hello from the agent")
        node.kill9()
        await node.wait()
        await page.until("connecting again")
        await node.start()
        await page.until("connected")
        await page.type(TEXT, f"and again{ENTER}")
        await until_true(
            page,
            "document.querySelector('.said').textContent.split('hello from').length > 2",
        )
        await page.complaints()  # of the time in which nobody was there


# --- tree


async def test_a_crash_is_seen_as_it_happens(tmp_path: Path):
    async with opened(tmp_path) as (node, page):
        await view(page, "tree", "processes")
        await page.until("limits")
        drill = await node.command("shell", "-c", "fault limits crash")
        assert drill.code == 0
        await page.until("default/limits ended: crash: DrillError: a drill")
        assert await page.run("return document.querySelectorAll('.fell').length") >= 1
        assert "↻ 1" in await page.text()


async def test_the_crash_of_a_conversation_is_seen_as_well(tmp_path: Path):
    """No supervisor restarts it: the next message, or its open turn, begins it anew."""
    async with opened(tmp_path) as (node, page):
        await page.type(TEXT, f"hello{ENTER}")
        await page.until("hello from the agent")
        await view(page, "tree", "processes")
        for times in (1, 2):
            drill = await node.command("shell", "-c", "fault agent:main:main crash")
            assert drill.code == 0, drill.err
            lines = "document.querySelectorAll('.fallen li').length"
            await until_true(page, f"{lines} === {times}")
            assert (await node.command("chat", "again")).code == 0
        await page.until("default/session/agent:main:main")
        await page.until("ended: crash: DrillError: a drill")
        seen = await node.command("shell", "-c", "info agent:main:main", "--json")
    known = json.loads(seen.out)
    assert (known["restarts"], known["last_reason"]) == (
        2,
        "crash: DrillError: a drill",
    )


async def test_the_tree_has_the_words_of_the_terminal(tmp_path: Path):
    brief = ("connection", "sandbox-trial")
    async with opened(tmp_path) as (node, page):
        await view(page, "tree", "cleanup")
        rows = await page.run(
            "return [...document.querySelectorAll('.process .pick')].map((each) => "
            "[...each.querySelectorAll('.name, .also')].map((part) => part.textContent)"
            ".filter(Boolean).join(' '))"
        )
        drawn = (await node.command("tree", "--depth", "4")).out
        # Branches, id, number, name, and two spaces before how it stands.
        line = re.compile(r"[ │├└─]*(\S+) +<\d+>(?:  (\w\S*/\S+))?  ", re.MULTILINE)
        typed = [" ".join(filter(None, found)) for found in line.findall(drawn)]
        assert "door default/sessions" in typed
        assert [each for each in rows if not each.startswith(brief)] == [
            each for each in typed if not each.startswith(brief)
        ]
        # The one that is drawn so is chosen, not the one that is registered so.
        await page.run(
            "[...document.querySelectorAll('.process .pick')].find((each) => "
            "each.textContent === 'gateway').click()"
        )
        await page.until("rest_for_one")
        assert "beamclaw/gateway" in await page.text()


async def test_a_process_is_looked_into_and_taken_hold_of(tmp_path: Path):
    async with opened(tmp_path) as (node, page):
        await page.type(TEXT, f"hello{ENTER}")
        await page.until("hello from the agent")
        await view(page, "tree/default%2Flimits", "started by")
        about = "[...document.querySelectorAll('[role=tabpanel] dt')]"
        memory = f"{about}.find((each) => each.innerText === 'memory')"
        assert await page.run(f"return {memory}.nextSibling.innerText.endsWith('kB')")
        await page.click("State")
        await until_true(page, "document.querySelector('[role=tabpanel] dl')")
        await page.click("Stands at")
        await page.until("outermost first")
        await page.click("Mailbox")
        await page.until("it is empty")
        await page.click("Trace")
        await page.until("listening")
        assert (await node.command("shell", "-c", "call limits GetLimits")).code == 0
        await page.until("GetLimits")
        # Nothing is done that was not said twice.
        await page.click("Suspend")
        await page.click("Cancel")
        assert "Resume" not in await page.text()
        await page.click("Suspend")
        await page.run("document.querySelector('dialog .danger').click()")
        await page.until("default/limits: suspended")
        await page.until("Resume")
        await page.click("Resume")
        await page.until("default/limits: goes on")
        for act, told in (("Restart", "restarted"), ("Kill", "killed")):
            await page.click(act)
            await page.run("document.querySelector('dialog .danger').click()")
            await page.until(f"default/limits: {told}; ")
        log = node.stderr()
        told = [line for line in log.splitlines() if "beamclaw.shell.steered" in line]
        acts = [line for line in told if '"outcome": "done"' in line]
        assert [each.split('"action": "')[1].split('"')[0] for each in acts] == [
            "call",
            "suspend",
            "resume",
            "restart",
            "kill",
        ]


# --- the other views


async def test_every_view_shows_what_there_is(tmp_path: Path):
    async with opened(tmp_path) as (_, page):
        await page.type(TEXT, f"hello{ENTER}")
        await page.until("hello from the agent")
        await page.type(TEXT, f"dice{ENTER}")
        await page.until("main asks whether it may")
        await view(page, "access", "echo 'dice-<b>four</b>'")
        await page.click("Deny")
        await page.until("No agent waits for an answer")
        await page.until("daily-brief")
        await view(page, "sessions", "Choose a session")
        await page.type("input[type=search]", "hello from")
        await page.until("Said:")
        await view(
            page, "sessions/agent%3Amain%3Amain", "Where the time of the last turn"
        )
        await until_true(page, "document.querySelectorAll('svg rect').length > 2")
        await page.until("Transcript")
        await view(page, "spending", "By model")
        await page.until("demo/demo")
        await page.until("of 1 d 0 h")
        await view(page, "health", "Loop is late by")
        await until_true(page, "document.querySelectorAll('.chart .path').length >= 6")
        await page.until("Providers Provider State")
        await view(page, "logs", "beamclaw.approval.asked")


async def test_who_may_only_look_is_offered_nothing_else(tmp_path: Path):
    async with opened(tmp_path) as (node, page):
        made = await node.command(
            "keys", "create", "looker", "--scope", "operator.read", "--json"
        )
        secret = made.json()["secret"]  # pyright: ignore[reportIndexIssue] -- JSON
        await page.run("sessionStorage.setItem('beamclaw.token', arguments[0])", secret)
        await page.of_page("POST", "/refresh", {})
        await page.until(NOTHING_SAID)
        await until_true(page, f"document.querySelector('{TEXT}').disabled")
        await view(page, "tree/default%2Flimits", "needs operator.admin")
        await page.click("State")
        await page.until("missing scope: operator.admin")
        await view(page, "access", "to see this needs operator.approvals")
        # Revoked, it is out at once.
        revoked = await node.command("keys", "revoke", made.json()["key"]["id"])  # pyright: ignore[reportIndexIssue] -- JSON
        assert revoked.code == 0
        await page.until("the API key is unknown, revoked or expired")
        await page.complaints()


# --- for everybody


async def test_it_is_used_with_the_keyboard_alone(tmp_path: Path):
    async with opened(tmp_path) as (_, page):
        await page.run("document.querySelector('.skip').focus()")
        focused = "return document.activeElement.textContent"
        await keys(page, ENTER)
        assert await page.run("return document.activeElement.id") == "main"
        assert await page.run("return location.hash") == "#/chat"
        await page.run("document.querySelector('.skip').focus()")
        seen: list[str] = []
        while "Tree" not in seen:
            await keys(page, TAB)
            seen.append(str(await page.run(focused)).strip())
            assert len(seen) < 20, seen
        await keys(page, ENTER)
        await page.until("processes")
        await until_true(page, "document.querySelector('.process')")
        for _ in range(40):
            await keys(page, TAB)
            if "store" in str(await page.run(focused)):
                break
        await keys(page, ENTER)
        await page.until("started by")
        while "About" not in str(await page.run(focused)):
            await keys(page, TAB)
        await keys(page, "\ue014")
        assert "State" in str(await page.run(focused))
        await until_true(
            page,
            "document.querySelector('[aria-selected=true]').textContent === 'State'",
        )
        # A question is left by Escape.
        await page.run(
            "[...document.querySelectorAll('.aside button')].find(b => b.textContent === 'Kill').focus()"
        )
        await keys(page, SPACE)
        await page.until("Kill beamclaw/store?")
        await keys(page, ESCAPE)
        await until_true(page, "!document.querySelector('dialog')")


async def test_each_view_has_a_key_and_an_address_that_is_none_leads_home(
    tmp_path: Path,
):
    async with opened(tmp_path) as (_, page):
        for number, words in enumerate(("Nothing has", "processes", "Choose a"), 1):
            pressed = [
                {"type": kind, "value": key}
                for kind, key in (
                    ("keyDown", "\ue00a"),
                    ("keyDown", str(number)),
                    ("keyUp", str(number)),
                    ("keyUp", "\ue00a"),
                )
            ]
            body = {"actions": [{"type": "key", "id": "keys", "actions": pressed}]}
            await page.of_page("POST", "/actions", body)
            await page.until(words)
        for wrong in ("#/%E0%A4%A", "#/nothing", "#x"):
            await page.run("location.hash = arguments[0]", wrong)
            await until_true(page, "location.hash === '#/chat'")
        await page.until(NOTHING_SAID)


@pytest.mark.peer("axe")
async def test_axe_finds_no_serious_problem(tmp_path: Path):
    axe = which("axe")
    assert axe is not None
    program = await trio.Path(axe).read_text()
    async with opened(tmp_path) as (_, page):
        await page.run("document.documentElement.dataset.theme = 'light'")
        await page.type(TEXT, f"dice{ENTER}")
        await page.until("main asks whether it may")
        wrong: list[object] = []
        for name, words in VIEWS:
            await view(page, name, words)
            wrong += [(name, each) for each in await serious(page, program)]
        assert wrong == []


async def test_the_first_view_is_small_and_nothing_comes_from_elsewhere(tmp_path: Path):
    async with opened(tmp_path) as (node, page):
        await page.of_page("POST", "/refresh", {})
        begun = time.monotonic()
        await page.open(f"{node.base_url}/page/#/chat")
        await page.until(NOTHING_SAID)
        print(f"usable after {time.monotonic() - begun:.2f} s")  # noqa: T201 -- measured
        loaded = await page.run(
            "return performance.getEntriesByType('resource')"
            ".map((each) => [each.name, each.decodedBodySize])"
        )
        own = await page.run(
            "return performance.getEntriesByType('navigation')[0].decodedBodySize"
        )
        assert all(name.startswith(node.base_url) for name, _ in loaded)
        assert own + sum(size for _, size in loaded) < 100_000
