"""What is proved: on the page nothing is lost and nothing done twice, whatever goes wrong.

Connections that are cut, nodes that are killed, two tabs, much of everything.
"""

import signal
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import pytest
import trio

from tests.beamclaw.gateway.socket.talk import Talk, connected
from tests.support.browser import ENTER, Browser
from tests.support.node import Node
from tests.support.node_page import (
    LONG_WORD,
    MAIN,
    NOTHING_SAID,
    PATIENCE,
    TEXT,
    browsing,
    opened,
    until_true,
    view,
)

pytestmark = [pytest.mark.slow, pytest.mark.peer("chromium")]

# The next frame with these words is the last that goes over the connection; whether it
# arrives is the other question.
CUT: Final = """
const send = WebSocket.prototype.send;
window.numbers = [];
WebSocket.prototype.send = function (text) {
  if (!text.includes('"chat.send"')) return send.call(this, text);
  window.numbers.push(JSON.parse(text).params.idempotencyKey);
  if (window.numbers.length > 1) return send.call(this, text);
  if (ARRIVES) send.call(this, text);
  this.close();
};
"""


async def restart(node: Node, page: Browser) -> None:
    await node.wait()
    await page.until("connecting again")
    await node.start(wait=PATIENCE)


def stays(node: Node) -> None:
    """Have the node come back at the address that the page knows."""
    node.port = int(node.base_url.rpartition(":")[2])


async def typed(page: Browser) -> str:
    return await page.run(f"return document.querySelector('{TEXT}').value")


async def bubbles(page: Browser) -> list[str]:
    """What the person has said, as it stands there."""
    return await page.run(
        "return [...document.querySelectorAll('.bubble')].map((each) => each.textContent)"
    )


async def all_of(
    talk: Talk, method: str, params: Iterable[Mapping[str, object]]
) -> None:
    for each in params:
        assert (await talk.call(method, each))["ok"]


# --- cut off


async def test_a_node_killed_in_the_middle_of_an_answer_goes_on_with_it(tmp_path: Path):
    async with opened(tmp_path, delay=0.02) as (node, page):
        stays(node)
        await page.type(TEXT, f"something long{ENTER}")
        await page.until("word5 ")
        node.kill9()
        await restart(node, page)
        await page.until("word399")
        await until_true(page, "!document.querySelector('.live')")
        said = await page.run("return document.querySelector('.said').textContent")
        assert said.count("word7 ") == 1
        assert await bubbles(page) == ["something long"]
        await page.complaints()  # of the time in which nobody was there


@pytest.mark.parametrize("arrives", [True, False])
async def test_what_was_cut_off_while_it_was_sent_is_there_once(
    tmp_path: Path, arrives: bool
):
    async with opened(tmp_path) as (_, page):
        await page.run(CUT.replace("ARRIVES", str(arrives).lower()))
        await page.type(TEXT, f"hello{ENTER}")
        await page.until("the connection was lost")
        await page.until("connected")
        if arrives:
            # It stands in the conversation, so there is nothing to send again.
            await page.until("hello from the agent")
            await until_true(page, f"document.querySelector('{TEXT}').value === ''")
        else:
            assert await typed(page) == "hello"
            await page.type(TEXT, ENTER)
            await page.until("hello from the agent")
            first, second = await page.run("return window.numbers")
            assert first == second
        await until_true(page, "!document.querySelector('.live')")
        assert await bubbles(page) == ["hello"]


async def test_a_message_that_waits_is_there_when_one_comes_back(tmp_path: Path):
    async with opened(tmp_path, delay=3600.0) as (node, page):
        await page.type(TEXT, f"something long{ENTER}")
        await until_true(page, "document.querySelector('.live')")
        await page.type(TEXT, f"said meanwhile{ENTER}")
        await page.open(f"{node.base_url}/page/")
        await page.until("said meanwhile")
        assert await bubbles(page) == ["something long", "said meanwhile"]
        await page.run("dispatchEvent(new Event('online'))")
        await page.until("connected")
        assert await bubbles(page) == ["something long", "said meanwhile"]


async def test_a_connection_that_died_in_silence_is_found_out(tmp_path: Path):
    async with opened(tmp_path) as (node, page):
        node.signal(signal.SIGSTOP)
        try:
            # As after a sleep: the network is there, and nothing answers.
            await page.run("dispatchEvent(new Event('online'))")
            await page.until("connecting again")
        finally:
            node.signal(signal.SIGCONT)
        await until_true(
            page, "document.querySelector('.foot .state').textContent === 'connected'"
        )
        await page.type(TEXT, f"hello{ENTER}")
        await page.until("hello from the agent")
        await page.complaints()


async def test_a_view_that_could_not_be_loaded_comes_with_the_node(tmp_path: Path):
    async with opened(tmp_path) as (node, page):
        stays(node)
        node.kill9()
        await node.wait()
        await page.until("connecting again")
        await page.run("location.hash = '#/logs'")
        await page.until("This view could not be loaded")
        await node.start(wait=PATIENCE)
        # A line, or that there is none yet.
        await until_true(page, "document.querySelector('.lines')?.firstChild")
        await page.type('[type="search"]', "said by nobody")
        await until_true(page, "document.querySelector('.lines p:only-child')")
        await page.complaints()


async def test_who_types_while_the_node_is_away_goes_on_typing(tmp_path: Path):
    async with opened(tmp_path) as (node, page):
        stays(node)
        await page.run("sessionStorage.clear()")
        await page.of_page("POST", "/refresh", {})
        await page.until("beamclaw dashboard")
        node.kill9()
        await node.wait()
        await page.type("#token", f"{node.token}{ENTER}")
        await page.until("trying again")
        await page.type("#token", "another")
        await trio.sleep(3)
        field = "return document.querySelector('#token').value"
        assert await page.run(field) == "another"
        await node.start(wait=PATIENCE)
        await page.until(NOTHING_SAID)
        await page.complaints()


# --- signing in


async def test_a_link_opened_where_the_page_is_already_signs_in(tmp_path: Path):
    async with opened(tmp_path) as (node, page):
        await page.run("sessionStorage.clear()")
        await page.open(f"{node.base_url}/page/")
        await page.until("beamclaw dashboard")
        link = (await node.command("dashboard")).out.strip()
        await page.run("location.href = arguments[0]", link)
        await page.until(NOTHING_SAID)
        assert "code" not in await page.run("return location.href")
        # Spent, it takes nothing away from who is signed in.
        await page.run("location.href = arguments[0]", link)
        await page.until("this link was used before")
        await page.until(NOTHING_SAID)
        await page.complaints()


async def test_nothing_of_one_visit_is_left_for_the_next(tmp_path: Path):
    async with opened(tmp_path) as (_, page):
        await page.type(TEXT, f"dice{ENTER}")
        await page.until("main asks whether it may")
        await page.type(TEXT, "a secret thought")
        await page.click("Sign out")
        await page.run("document.querySelector('dialog .danger').click()")
        await page.until("beamclaw dashboard")
        assert "secret thought" not in await page.run(
            "return JSON.stringify([sessionStorage, localStorage, history.state])"
        )
        assert await page.run("return location.hash") == ""


# --- much of it


async def test_all_messages_are_reached_each_once_and_in_order(tmp_path: Path):
    async with opened(tmp_path) as (node, page):
        port = int(node.base_url.rpartition(":")[2])
        async with connected(port, auth={"token": node.token}) as talk:
            notes = [
                {"sessionKey": MAIN, "message": f"note {n:03}"} for n in range(250)
            ]
            await all_of(talk, "sessions.create", [{"key": MAIN}])
            await all_of(talk, "chat.inject", notes)
        await page.of_page("POST", "/refresh", {})
        await page.until("note 249")
        await page.click("Earlier messages")
        await page.until("note 050")
        # What is said meanwhile changes how far back the next page is.
        await page.type(TEXT, f"hello{ENTER}")
        await page.until("hello from the agent")
        await page.click("Earlier messages")
        await page.until("note 000")
        await until_true(
            page,
            "!document.querySelector('.live') && [...document.querySelectorAll('.said button')]"
            ".every((each) => !each.checkVisibility() || each.textContent !== 'Earlier messages')",
        )
        said = await page.run(
            "return [...document.querySelectorAll('.said .md')].map((each) => each.textContent)"
        )
        assert said == [*(each["message"] for each in notes), "hello from the agent"]


async def test_sessions_behind_the_first_are_reached(tmp_path: Path):
    async with opened(tmp_path) as (node, page):
        port = int(node.base_url.rpartition(":")[2])
        async with connected(port, auth={"token": node.token}) as talk:
            rows = [{"key": f"agent:main:s{n:03}"} for n in range(130)]
            await all_of(talk, "sessions.create", rows)
        for name, first in (("chat", "s129"), ("sessions", "s129")):
            await view(page, name, first)
            assert "s000" not in await page.text()
            await page.click("More sessions")
            await page.until("s020")
            if name == "chat":
                await page.click("More sessions")
            await page.until("s000")


async def test_a_picture_of_five_megabytes_is_sent_and_a_larger_one_refused_in_words(
    tmp_path: Path,
):
    async with opened(tmp_path) as (_, page):
        # Noise, which no format makes smaller: of 3 bytes a dot.
        made = """
        const [wide, done] = arguments;
        const canvas = new OffscreenCanvas(wide, 1000);
        const data = new ImageData(wide, 1000);
        for (let at = 0; at < data.data.length; at += 65536)
          crypto.getRandomValues(data.data.subarray(at, at + 65536));
        for (let at = 3; at < data.data.length; at += 4) data.data[at] = 255;
        canvas.getContext("2d").putImageData(data, 0, 0);
        canvas.convertToBlob({type: "image/png"}).then((blob) => {
          const files = new DataTransfer();
          files.items.add(new File([blob], `noise-${wide}.png`, {type: "image/png"}));
          const input = document.querySelector("input[type=file]");
          input.files = files.files;
          input.dispatchEvent(new Event("change"));
          done(blob.size);
        });
        """
        for wide, fits in ((1600, False), (1500, True)):
            body = {"script": made, "args": [wide]}
            size = await page.of_page("POST", "/execute/async", body)
            assert (size <= 5 * 2**20) is fits
            if not fits:
                await page.until("noise-1600.png is larger than 5 MB")
        await until_true(page, "document.querySelector('.pictures img')?.naturalWidth")
        await page.type(TEXT, f"a picture{ENTER}")
        await page.until("I see it")
        await page.of_page("POST", "/refresh", {})
        await until_true(
            page, "document.querySelector('.turn img')?.naturalWidth === 1500"
        )


async def test_each_paragraph_is_written_in_its_own_direction(tmp_path: Path):
    async with opened(tmp_path) as (_, page):
        await page.type(TEXT, f"rich{ENTER}")
        await page.until("שלום")
        await until_true(page, "!document.querySelector('.live')")
        # Where its full stop is: at the end, which is at the left.
        left, right = await page.run(
            "const text = [...document.querySelectorAll('.md p')]"
            ".find((each) => each.textContent.includes('שלום')).firstChild;"
            "const range = document.createRange();"
            "const at = (place) => (range.setStart(text, place), range.setEnd(text, place + 1),"
            " range.getBoundingClientRect().left);"
            "return [at(text.length - 1), at(0)]"
        )
        assert left < right
        assert LONG_WORD in await page.text()


# --- more than one


async def test_two_tabs_show_the_same_and_a_question_is_answered_in_one(tmp_path: Path):
    async with opened(tmp_path) as (node, page):
        other = tmp_path / "other"
        other.mkdir()
        async with browsing(other) as second:
            await second.open(f"{node.base_url}/")
            await second.type("#token", f"{node.token}{ENTER}")
            await second.until(NOTHING_SAID)
            await page.type(TEXT, f"dice{ENTER}")
            for each in (page, second):
                await each.until("main asks whether it may")
            await second.click("Allow once")
            for each in (page, second):
                await each.until("the dice say four")
                await until_true(each, "!document.querySelector('.approval, .live')")
                assert await bubbles(each) == ["dice"]
            assert await second.complaints() == []


async def test_what_is_being_written_stays_while_one_looks_elsewhere(tmp_path: Path):
    async with opened(tmp_path) as (_, page):
        await page.type(TEXT, "half a thou")
        await view(page, "logs", "warning")
        await view(page, "chat", "New session")
        assert await typed(page) == "half a thou"
        await view(page, "chat/agent%3Amain%3Aanother", NOTHING_SAID)
        assert await typed(page) == ""


async def test_the_focus_stays_where_it_is_when_a_list_is_drawn_anew(tmp_path: Path):
    async with opened(tmp_path) as (node, page):
        await page.run("document.querySelector('.list li a').focus()")
        assert (await node.command("chat", "hello")).code == 0
        await until_true(
            page, "document.querySelector('.list li').textContent.includes('hello')"
        )
        assert await page.run("return document.activeElement.matches('.list li a')")


async def test_the_focus_goes_on_from_a_button_that_has_done_its_work(tmp_path: Path):
    async with opened(tmp_path, delay=0.05) as (_, page):
        await page.type(TEXT, f"dice{ENTER}")
        await page.until("main asks whether it may")
        await page.run("document.querySelector('.approval .main').focus()")
        await page.click("Allow once")
        await until_true(page, "!document.querySelector('.approval')")
        assert await page.run("return document.activeElement !== document.body")
        await page.until("the dice say four")
        await page.type(TEXT, f"long{ENTER}")
        await page.until("word5 ")
        await page.run("document.querySelector('.stop').focus()")
        await page.click("Stop")
        await page.until("Stopped")
        assert await page.run("return document.activeElement.matches('textarea')")


async def test_nothing_moves_for_who_wants_no_motion(tmp_path: Path):
    async with opened(tmp_path, delay=0.05) as (_, page):
        moving = "document.getAnimations().filter((each) => each.playState === 'running').length"
        await page.type(TEXT, f"long{ENTER}")
        await page.until("word5 ")
        assert await page.run(f"return {moving}") > 0
        await page.system(prefers_reduced_motion="reduce")
        await page.until("word15 ")
        # With the next frame, whenever a slow machine draws it.
        await until_true(page, f"{moving} === 0")
