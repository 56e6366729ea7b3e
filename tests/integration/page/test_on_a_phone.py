"""What is proved: every view of the page is of use on a phone, held either way, light or dark.

The window is as small as DevTools makes it, with a finger instead of a mouse.
"""

from pathlib import Path
from typing import Final

import pytest
import trio

from tests.peers.plugin import which
from tests.support.browser import ENTER, Browser
from tests.support.node_page import (
    LONG_WORD,
    TEXT,
    VIEWS,
    opened,
    serious,
    until_true,
    view,
)

pytestmark = [pytest.mark.slow, pytest.mark.peer("chromium")]

WIDTHS: Final = (320, 390, 768)
FINGER: Final = 44
# What is wider than the window, and not within something that scrolls by itself.
SIDEWAYS: Final = """
const wide = [];
for (const each of [document.scrollingElement, ...document.querySelectorAll("body, main, .view, .said, .list, .aside")])
  if (each.scrollWidth > each.clientWidth + 1) wide.push(`${each.tagName}.${each.className} scrolls`);
const scrolls = (each) => getComputedStyle(each).overflowX !== "visible";
for (const each of document.querySelectorAll("body *")) {
  if (each.getBoundingClientRect().right <= innerWidth + 1) continue;
  let around = each.parentElement;
  while (around && !scrolls(around)) around = around.parentElement;
  if (!around) wide.push(`${each.tagName}.${each.className} sticks out`);
}
return wide;
"""
# What is too small for a finger; links within a sentence are not meant.
SMALL: Final = """
const found = [];
for (const each of document.querySelectorAll("button, select, textarea, summary, nav a, .only-phone, input:not([type=checkbox]), label")) {
  const { width, height } = each.getBoundingClientRect();
  const seen = each.checkVisibility() && !each.closest(".unseen") && width;
  if (seen && (Math.min(width, height) < arguments[0] - 0.5)) found.push(`${each.outerHTML.slice(0, 90)} ${width} x ${height}`);
}
return found;
"""
SMALL_LETTERS: Final = """
return [...document.querySelectorAll("input:not([type=checkbox]), select, textarea")]
  .filter((each) => parseFloat(getComputedStyle(each).fontSize) < 16).map((each) => each.outerHTML.slice(0, 90));
"""


async def prepare(page: Browser) -> None:
    """A conversation with everything in it that is hard to lay out, and a question."""
    await page.type(TEXT, f"rich {LONG_WORD}{ENTER}")
    await page.until("A table")
    await until_true(page, "!document.querySelector('.live')")
    await page.type(TEXT, f"dice{ENTER}")
    await page.until("main asks whether it may")


async def test_no_view_is_wider_than_the_window(tmp_path: Path):
    async with opened(tmp_path) as (_, page):
        await prepare(page)
        wrong: list[object] = []
        for wide in WIDTHS:
            await page.size(wide, 844, phone=True)
            for name, words in (("chat", "New session"), *VIEWS):
                await view(page, name, words)
                wrong += [(wide, name, each) for each in await page.run(SIDEWAYS)]
        assert wrong == []


# What makes the view too wide when arguments[0] stands in its place, one after the other.
# Figures, names in a list of facts, and what is pressed are the page's own.
LENGTHENED: Final = (
    """
const [word] = arguments;
const own = "svg, select, button, textarea, label, th, dt, .process > span";
const wide = () => {"""
    + SIDEWAYS
    + """};
const found = [];
for (const each of document.querySelectorAll(".view *")) {
  if (each.children.length || !each.textContent.trim() || !each.checkVisibility() || each.closest(own)) continue;
  const was = each.textContent;
  each.textContent = word;
  if (wide().length) found.push(`${was}: ${each.outerHTML.slice(0, 90)}`);
  each.textContent = was;
}
return found;
"""
)


async def test_no_name_is_too_long_for_the_window(tmp_path: Path):
    async with opened(tmp_path) as (_, page):
        await prepare(page)
        await page.size(WIDTHS[0], 844, phone=True)
        for name, words in (("chat", "New session"), *VIEWS):
            await view(page, name, words)
            assert await page.run(LENGTHENED, LONG_WORD) == [], name


# Names of views that are wider than their place, beside which the next one stands.
CROWDED: Final = """
return [...document.querySelectorAll(".side nav a")]
  .map((each) => [each, each.querySelector(".words").getBoundingClientRect().width])
  .filter(([each, width]) => width > each.getBoundingClientRect().width - 1)
  .map(([each, width]) => `${each.textContent}: ${width}`);
"""


async def test_the_names_of_the_views_stand_apart(tmp_path: Path):
    async with opened(tmp_path) as (_, page):
        crowded: list[object] = []
        for wide in (360, 375, 412):
            await page.size(wide, 800, phone=True)
            for name, words in (("sessions", "also put away"), ("spending", "By day")):
                await view(page, name, words)
                crowded += [(wide, name, each) for each in await page.run(CROWDED)]
        assert crowded == []


CUT: Final = """
return [...document.querySelectorAll(".process .name")]
  .filter((each) => each.scrollWidth > each.clientWidth + 1).map((each) => each.textContent);
"""


async def test_names_of_processes_are_whole_beside_the_chosen_one(tmp_path: Path):
    async with opened(tmp_path) as (_, page):
        await page.size(1280, 800)
        await view(page, "tree/default%2Flimits", "started by")
        await page.until("launcher")
        assert await page.run(CUT) == []


async def test_whatever_is_pressed_is_large_enough_for_a_finger(tmp_path: Path):
    async with opened(tmp_path) as (_, page):
        await prepare(page)
        await page.size(390, 844, phone=True)
        wrong: list[object] = []
        for name, words in (("chat", "New session"), *VIEWS):
            await view(page, name, words)
            wrong += [(name, each) for each in await page.run(SMALL, FINGER)]
            # A phone enlarges the page for a field whose letters are smaller than this.
            wrong += [(name, each) for each in await page.run(SMALL_LETTERS)]
        assert wrong == []


@pytest.mark.peer("axe")
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_no_serious_problem_on_a_phone(tmp_path: Path, scheme: str):
    axe = which("axe")
    assert axe is not None
    program = await trio.Path(axe).read_text()
    async with opened(tmp_path) as (_, page):
        await prepare(page)
        await page.size(390, 844, phone=True)
        await page.system(prefers_color_scheme=scheme)
        wrong: list[object] = []
        for name, words in VIEWS:
            await view(page, name, words)
            wrong += [(name, each) for each in await serious(page, program)]
        assert wrong == []


async def test_a_keyboard_leaves_the_words_and_the_field_in_sight(tmp_path: Path):
    async with opened(tmp_path) as (_, page):
        await prepare(page)
        await page.size(390, 844, phone=True)
        await view(page, "chat/agent%3Amain%3Amain", "main asks")
        # As phones tell of their keyboard: what is seen has become lower.
        await page.run(
            "Object.defineProperty(visualViewport, 'height', {value: 400, configurable: true});"
            "visualViewport.dispatchEvent(new Event('resize'));"
        )
        await until_true(page, "document.querySelector('nav').offsetHeight === 0")
        field = f"document.querySelector('{TEXT}').getBoundingClientRect()"
        assert await page.run(f"return {field}.bottom") <= 400
        # Whoever read the end reads it still.
        await until_true(
            page,
            "(({scrollTop, clientHeight, scrollHeight}) => scrollTop + clientHeight > scrollHeight - 2)"
            "(document.querySelector('.said'))",
        )
        await page.run(
            "delete visualViewport.height; visualViewport.dispatchEvent(new Event('resize'))"
        )
        await until_true(page, "document.querySelector('nav').offsetHeight > 0")


async def test_the_focus_is_somewhere_after_each_step_on_a_phone(tmp_path: Path):
    async with opened(tmp_path) as (_, page):
        await page.size(390, 844, phone=True)
        shown = "document.activeElement !== document.body && document.activeElement.checkVisibility()"
        for act in (
            "location.hash = '#/logs'",
            "location.hash = '#/chat'",
            "document.querySelector('.list li a').click()",
            "document.querySelector('.only-phone').click()",
            "location.hash = '#/tree'",
        ):
            await page.run(act)
            await until_true(page, shown)
        await until_true(page, "document.querySelector('.process .pick')")
        await page.run(
            "const pick = document.querySelector('.process .pick'); pick.focus(); pick.click()"
        )
        await page.until("one_for_one")
        await until_true(page, shown)
        # And back: where one was.
        await page.run("document.querySelector('.aside header button').focus()")
        await page.click("Close")
        await until_true(page, "document.activeElement.matches('.process .pick')")
