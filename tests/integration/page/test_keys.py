"""What is proved: API keys are made, shown once and revoked on the page, by who may."""

from pathlib import Path

import pytest

from tests.support.browser import Browser
from tests.support.node import Node
from tests.support.node_page import (
    NOTHING_SAID,
    browsing,
    opened,
    until_true,
    view,
)

pytestmark = [pytest.mark.slow, pytest.mark.peer("chromium")]

KEYS = "section[aria-label='API keys']"


async def make(page: Browser, name: str, *scopes: str, good: str = "30 days") -> str:
    """Make a key as a person does; what the page shows of it."""
    await page.click("New key")
    await page.type("#key-name", name)
    await page.run(
        "for (const each of document.querySelectorAll('dialog input[type=checkbox]'))"
        "  if (each.checked !== arguments[0].includes(each.value)) each.click();"
        "const good = document.querySelector('#key-good');"
        "good.selectedIndex = [...good.options].findIndex((each) => each.text === arguments[1]);",
        list(scopes),
        good,
    )
    await page.click("Make it")
    await page.until("It is shown this once")
    return await page.run("return document.querySelector('dialog .secret').textContent")


async def signed_in_by(page: Browser, node: Node, secret: str) -> None:
    # Where no program of the page is, which would keep who it signs in meanwhile.
    await page.open(f"{node.base_url}/healthz")
    await page.run("sessionStorage.setItem('beamclaw.token', arguments[0])", secret)
    await page.open(f"{node.base_url}/")
    await page.until(NOTHING_SAID)


async def test_a_key_is_made_shown_once_and_revoked(tmp_path: Path):
    async with opened(tmp_path) as (node, page):
        await view(page, "access", "API keys")
        await until_true(page, f'document.querySelector("{KEYS} button")')
        secret = await make(page, "backup", "operator.read", good="90 days")
        # Nobody closes it by accident.
        await page.click("Done")
        await page.until("Have you got it?")
        await page.run("document.querySelector('dialog.ask .danger').click()")
        await until_true(page, "!document.querySelector('dialog')")
        await page.until("read · 89 d 23 h left · never used")
        assert secret not in await page.run("return document.documentElement.outerHTML")
        listed = (await node.command("keys", "list", "--json")).json()
        (key,) = listed  # pyright: ignore[reportGeneralTypeIssues] -- JSON
        assert (key["name"], key["scopes"]) == ("backup", ["operator.read"])
        (tmp_path / "other").mkdir()
        async with browsing(tmp_path / "other") as other:
            await signed_in_by(other, node, secret)
            # Revoked by who was asked twice; whoever came with it is out.
            await page.click("Revoke")
            await page.until("Whoever uses it is cut off at once")
            await page.click("Cancel")
            await page.until("read · 89 d 23 h left")
            await page.click("Revoke")
            await page.run("document.querySelector('dialog .danger').click()")
            await page.until("There is none. A program")
            await other.until("the API key is unknown, revoked or expired")


async def test_what_is_wrong_with_a_key_is_said_and_nothing_is_lost(tmp_path: Path):
    async with opened(tmp_path) as (_, page):
        await view(page, "access", "There is none. A program")
        await page.run(f'document.querySelector("{KEYS} button").focus()')
        await page.click("New key")
        await page.type("#key-name", "   ")
        await page.click("Make it")
        await page.until("a key's name has 1 to 64 characters")
        await page.run("document.querySelector('dialog input[type=checkbox]').click()")
        await page.click("Make it")
        await page.until("choose what it may")
        assert await page.run("return document.querySelector('#key-name').value") == (
            "   "
        )
        await page.click("Cancel")
        await until_true(page, "document.activeElement.textContent === 'New key'")


async def test_a_key_is_copied_or_marked_to_be_copied(tmp_path: Path):
    async with opened(tmp_path) as (_, page):
        await view(page, "access", "There is none. A program")
        secret = await make(page, "one", "operator.write")
        # As on a page that came by plain HTTP from another machine.
        await page.run(
            "Object.defineProperty(navigator, 'clipboard', {value: undefined, configurable: true})"
        )
        await page.click("Copy")
        await page.until("It is marked")
        assert await page.run("return String(getSelection())") == secret
        await page.run(
            "Object.defineProperty(navigator, 'clipboard',"
            " {value: {writeText: async (text) => { window.copied = text; }}})"
        )
        await page.click("Copy")
        await until_true(page, "window.copied")
        assert await page.run("return window.copied") == secret
        # Then it is let go without another question.
        await page.click("Done")
        await until_true(page, "!document.querySelector('dialog')")


async def test_who_may_not_is_offered_no_key_and_no_device(tmp_path: Path):
    async with opened(tmp_path) as (node, page):
        made = await node.command("keys", "create", "talker", "--json")
        await signed_in_by(page, node, made.json()["secret"])  # pyright: ignore[reportIndexIssue] -- JSON
        await view(page, "access", "daily-brief")
        # Each part is drawn when its own answer is there.
        await page.until("API keys to see this needs operator.admin")
        await page.until("Devices to see this needs operator.pairing")
        assert (
            await page.run(
                "return [...document.querySelectorAll('.view button')].map((each) => each.textContent)"
            )
            == []
        )
        assert "talker" not in await page.text()


async def test_the_key_that_one_came_with_is_marked_and_ends_the_visit(tmp_path: Path):
    async with opened(tmp_path) as (node, page):
        link = (await node.command("dashboard")).out.strip()
        await page.open(link)
        await page.until(NOTHING_SAID)
        await view(page, "access", "(this page)")
        await page.click("Revoke")
        await page.until("it is signed out by that")
        await page.run("document.querySelector('dialog .danger').click()")
        await page.until("the API key is unknown, revoked or expired")
        await page.complaints()
