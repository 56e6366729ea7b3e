"""What is proved: the page is right whenever its answers come, and in whichever order.

Answers are held in the browser and let go by the test, so that no race is left to luck.
"""

from pathlib import Path
from typing import Final

import pytest
import trio

from tests.beamclaw.gateway.socket.talk import connected
from tests.support.browser import ENTER, Browser
from tests.support.node import Node
from tests.support.node_page import (
    MAIN,
    NOTHING_SAID,
    TEXT,
    opened,
    until_true,
    view,
)

pytestmark = [pytest.mark.slow, pytest.mark.peer("chromium")]

# Answers to arguments[0] wait in `held` for who lets them go, one by one. `sockets`: all
# connections that were written to; `asked`: the requests; with arguments[1] those to that
# method are not sent.
HOLD: Final = """
const [method, unsent] = arguments;
const send = WebSocket.prototype.send;
const slow = new Set();
window.held = [];
window.asked = [];
window.sockets = [];
WebSocket.prototype.send = function (text) {
  const frame = JSON.parse(text);
  window.asked.push(frame);
  if (frame.method === method) slow.add(frame.id);
  if (!window.sockets.includes(this)) {
    window.sockets.push(this);
    const take = this.onmessage;
    this.onmessage = (event) => {
      const { id } = JSON.parse(event.data);
      if (slow.delete(id)) window.held.push((data = event.data) => take({ data }));
      else take(event);
    };
  }
  if (frame.method !== unsent) send.call(this, text);
};
"""
# Nobody has the time to wait for a minute.
IMPATIENT: Final = """
const after = window.setTimeout;
window.setTimeout = (work, ms, ...more) => after(work, ms === 60000 ? 400 : ms, ...more);
"""
SAID: Final = (
    "return [...document.querySelectorAll('.said .bubble, .said .md')]"
    ".map((each) => each.textContent)"
)
# Two pictures, twice.
PASTE: Final = """
return new Promise((done) => document.createElement("canvas").toBlob((blob) => {
  const files = new DataTransfer();
  for (const name of ["one.png", "two.png"])
    files.items.add(new File([blob], name, { type: "image/png" }));
  const field = document.querySelector("textarea");
  for (let time = 0; time < 2; time += 1)
    field.dispatchEvent(new ClipboardEvent("paste", { clipboardData: files }));
  done();
}));
"""


async def inject(node: Node, *words: str) -> None:
    """Have *words* stand in the conversation, each as a message."""
    port = int(node.base_url.rpartition(":")[2])
    async with connected(port, auth={"token": node.token}) as talk:
        await talk.call("sessions.create", {"key": MAIN})  # or it is there
        for each in words:
            params = {"sessionKey": MAIN, "message": each}
            assert (await talk.call("chat.inject", params))["ok"]


async def typed(page: Browser) -> str:
    return await page.run(f"return document.querySelector('{TEXT}').value")


# --- a conversation


async def test_what_is_told_before_the_history_comes_stands_behind_it(tmp_path: Path):
    async with opened(tmp_path) as (node, page):
        await inject(node, "one", "two")
        await view(page, "access", "Devices")
        await page.run(HOLD, "chat.history")
        await view(page, "chat", "New session")
        await until_true(page, "held.length >= 1")
        await inject(node, "three")
        await until_true(page, "document.querySelector('.said .md')")
        await page.run("held[0]()")
        await until_true(page, "document.querySelectorAll('.said .md').length === 3")
        assert await page.run(SAID) == ["one", "two", "three"]


async def test_who_comes_to_a_turn_sees_once_what_it_has_said(tmp_path: Path):
    async with opened(tmp_path) as (node, page):
        await inject(node, "first words, ")
        await view(page, "access", "Devices")
        await page.run(HOLD, "chat.history")
        await view(page, "chat", "New session")
        await until_true(page, "held.length >= 1")
        # As of a turn that has called a tool after its first words.
        await page.run(
            "const parse = JSON.parse;"
            "JSON.parse = (text) => {"
            "  const frame = parse(text);"
            "  if (frame.payload?.messages) {"
            "    JSON.parse = parse;"
            "    for (const row of frame.payload.messages) row.__openclaw.runId = 'r';"
            "    frame.payload.inFlightRun = {runId: 'r', text: 'first words, and more'};"
            "  }"
            "  return frame;"
            "};"
            "held[0]()"
        )
        await page.until("and more")
        said = await page.run("return document.querySelector('.said').textContent")
        assert said.count("first words") == 1


async def test_a_turn_that_takes_in_what_was_said_meanwhile_goes_on(tmp_path: Path):
    async with opened(tmp_path, delay=0.3) as (_, page):
        await page.type(TEXT, f"dice{ENTER}")
        await page.until("main asks whether it may")
        await page.type(TEXT, f"and more{ENTER}")
        await trio.sleep(1)
        await page.run(
            "window.rested = 0;"
            "new MutationObserver((all) => all.forEach(({removedNodes}) => removedNodes.forEach("
            "(each) => { if (each.matches?.('.live')) window.rested += 1; })))"
            ".observe(document.querySelector('.said'), {childList: true})"
        )
        await page.click("Allow once")
        await page.until("hello from the agent")
        await until_true(page, "!document.querySelector('.live')")
        assert await page.run("return window.rested") == 1


# --- what a person writes


async def test_words_that_nobody_answered_go_again_under_their_number(tmp_path: Path):
    async with opened(tmp_path) as (_, page):
        await page.run(IMPATIENT)
        await page.run(HOLD, "", "chat.send")
        await page.type(TEXT, f"hello{ENTER}")
        await page.until("no answer to chat.send")
        assert await typed(page) == "hello"
        await page.type(TEXT, ENTER)
        sent = "asked.filter((each) => each.method === 'chat.send')"
        await until_true(page, f"{sent}.length === 2")
        first, second = await page.run(
            f"return {sent}.map((each) => each.params.idempotencyKey)"
        )
        assert first == second


async def test_words_that_were_not_sent_come_back_to_the_field_that_is_shown(
    tmp_path: Path,
):
    async with opened(tmp_path) as (_, page):
        await page.run(HOLD, "", "chat.send")
        await page.type(TEXT, f"do not lose me{ENTER}")
        await until_true(page, f"document.querySelector('{TEXT}').value === ''")
        await view(page, "access", "Devices")
        await view(page, "chat", "New session")
        await page.run("sockets[0].close()")
        await page.until("the connection was lost")
        assert await typed(page) == "do not lose me"


async def test_pictures_that_are_read_at_the_same_time_are_all_there(tmp_path: Path):
    async with opened(tmp_path) as (_, page):
        await page.type(TEXT, "pictures")
        await page.run(PASTE)
        await until_true(
            page, "document.querySelectorAll('.pictures img').length === 3"
        )
        await page.until("one message takes 3 pictures")


# --- what is asked


async def test_a_question_that_comes_before_the_list_of_them_stays(tmp_path: Path):
    async with opened(tmp_path) as (_, page):
        await page.run(HOLD, "exec.approval.list")
        # The first is written to a connection that is not held yet.
        await page.run("dispatchEvent(new Event('online'))")
        await until_true(page, "sockets.length === 1")
        await page.run("sockets[0].close()")
        await until_true(page, "held.length >= 1")
        await page.type(TEXT, f"dice{ENTER}")
        await page.until("main asks whether it may")
        # It was asked for before there was a question.
        await page.run(
            "const parse = JSON.parse;"
            "JSON.parse = (text) => {"
            "  const frame = parse(text);"
            "  if (frame.type === 'res') {"
            "    JSON.parse = parse;"
            "    frame.payload = Array.isArray(frame.payload) ? [] : {approvals: []};"
            "  }"
            "  return frame;"
            "};"
            "held.shift()()"
        )
        # If it was asked for again, that answer may come.
        await page.run("setTimeout(() => held.forEach((go) => go()), 500)")
        await trio.sleep(1)
        assert await page.run("return Boolean(document.querySelector('.approval'))")


# --- views


async def test_a_view_asked_for_twice_while_it_is_loaded_is_opened_once(tmp_path: Path):
    async with opened(tmp_path) as (_, page):
        await page.run(HOLD, "")
        await page.tell("Network.enable")
        await page.tell(
            "Network.emulateNetworkConditions",
            offline=False,
            latency=700,
            downloadThroughput=-1,
            uploadThroughput=-1,
        )
        for name in ("tree", "tree/default%2Flimits", "tree"):
            await page.run("location.hash = arguments[0]", f"#/{name}")
            await trio.sleep(0.05)
        await page.until("processes ·")
        looks = "asked.filter((each) => each.params?.order === 'look.top')"
        assert await page.run(f"return {looks}.length") == 1


async def test_figures_that_come_late_are_not_taken_for_those_that_are_wanted(
    tmp_path: Path,
):
    async with opened(tmp_path) as (_, page):
        await page.type(TEXT, f"hello{ENTER}")
        await page.until("hello from the agent")
        await view(page, "spending", "By model")
        await page.run(HOLD, "sessions.usage")
        choose = (
            "const range = document.querySelector('select');"
            "range.value = arguments[0]; range.dispatchEvent(new Event('change'))"
        )
        await page.run(choose, "90d")
        await page.run(choose, "7d")
        await until_true(page, "held.length >= 2")
        await page.run("held[1](); setTimeout(() => held[0](), 100)")
        await trio.sleep(0.5)
        assert await page.run("return document.querySelectorAll('.bars rect').length") == 7  # fmt: skip


async def test_the_log_begins_anew_with_a_new_connection(tmp_path: Path):
    async with opened(tmp_path) as (_, page):
        await view(page, "logs", "warning")
        await page.run(HOLD, "")
        tails = "asked.filter((each) => each.method === 'logs.tail')"
        await until_true(page, f"{tails}.length")
        await page.run("sockets[0].close(); asked.length = 0")
        await until_true(page, f"{tails}.length")
        # The place in the log of a node that is gone says nothing about that of the next.
        assert "cursor" not in await page.run(f"return {tails}[0].params")


async def test_nothing_is_read_out_while_nothing_happens(tmp_path: Path):
    async with opened(tmp_path) as (_, page):
        for name, words in (("tree", "processes ·"), ("health", "restarts ·")):
            await view(page, name, words)
            told = await page.run(
                "return new Promise((done) => {"
                "  const told = [];"
                "  const spoken = '[role=status], [role=alert], [aria-live]:not([aria-live=off])';"
                "  const seen = new MutationObserver((all) => all.forEach(({target}) => {"
                "    const place = target.nodeType === 1 ? target : target.parentElement;"
                "    if (place?.closest(spoken)) told.push(place.textContent);"
                "  }));"
                "  seen.observe(document.body, {subtree: true, childList: true, characterData: true});"
                "  setTimeout(() => done(told), 4000);"
                "})"
            )
            assert told == []


# --- the connection


async def test_the_later_of_two_who_sign_in_is_who_is_there(tmp_path: Path):
    async with opened(tmp_path) as (node, page):
        await page.run("sessionStorage.clear()")
        await page.open(f"{node.base_url}/page/")
        await page.until("beamclaw dashboard")
        await page.run(HOLD, "connect")
        await page.type("#token", f"{node.token}{ENTER}")
        await until_true(page, "held.length === 1")
        link = (await node.command("dashboard")).out.strip()
        await page.run("location.href = arguments[0]", link)
        await until_true(page, "held.length === 2")
        await page.run("held[1]()")
        await page.until(NOTHING_SAID)
        await page.run("held[0]()")
        await until_true(page, "sockets[0].readyState > 1")
        kept = "return sessionStorage.getItem('beamclaw.token')"
        assert await page.run(kept) != node.token
        assert await page.run("return sockets[1].readyState") == 1


async def test_a_connection_that_was_given_up_is_closed(tmp_path: Path):
    async with opened(tmp_path) as (_, page):
        await page.run(HOLD, "connect")
        await page.run(IMPATIENT)
        await page.run("dispatchEvent(new Event('online'))")
        await until_true(page, "sockets.length === 1")
        await page.run("sockets[0].close()")
        await until_true(page, "sockets.length >= 3")
        open_ones = "sockets.slice(0, -1).filter((each) => each.readyState === 1)"
        assert await page.run(f"return {open_ones}.length") == 0


async def test_a_heading_keeps_its_words_whatever_stands_behind_its_mark(
    tmp_path: Path,
):
    async with opened(tmp_path) as (_, page):
        for text in ("#\tall of it", "##\u00a0all of it", "# all of it ##"):
            read = await page.run(
                "return import('/page/markdown.js').then(({markdown}) => {"
                "  const found = markdown(arguments[0]).firstChild;"
                "  return [found.tagName, found.textContent]; })",
                text,
            )
            assert read == [
                f"H{2 + text.index('#') + text[:2].count('#')}",
                "all of it",
            ]
