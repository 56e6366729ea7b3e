"""A browser without a window, driven by the standard's own protocol (WebDriver)."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import attrs
import httpx2
import trio

# What a page shows, also inside its components.
_TEXT = """
function walk(node) {
  let found = node.shadowRoot ? walk(node.shadowRoot) : "";
  for (const child of node.childNodes) {
    if (child.nodeType === 3) found += child.textContent + " ";
    else if (child.nodeType === 1 && !["STYLE", "SCRIPT"].includes(child.tagName))
      found += walk(child);
  }
  return found;
}
return walk(document.body).replace(/\\s+/g, " ");
"""
_CLICK = """
const wanted = arguments[0];
function all(root) {
  let found = [];
  for (const each of root.querySelectorAll("*")) {
    if (each.tagName === "BUTTON" && each.textContent.trim() === wanted) found.push(each);
    if (each.shadowRoot) found = found.concat(all(each.shadowRoot));
  }
  return found;
}
const found = all(document);
if (found.length) found[0].click();
return found.length;
"""
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
ENTER = "\ue007"


@attrs.define(eq=False)
class Browser:
    """See the module."""

    http: httpx2.AsyncClient
    session: str = ""

    async def ask(self, method: str, path: str, body: object = None) -> Any:
        """A command of the protocol; its answer."""
        answer = await self.http.request(method, path, json=body)
        value = answer.json()["value"]
        assert answer.status_code == 200, value
        return value

    async def of_page(self, method: str, path: str, body: object = None) -> Any:
        """The same, on the page that is open."""
        return await self.ask(method, f"/session/{self.session}{path}", body)

    async def open(self, url: str) -> None:
        """Go to *url*."""
        await self.of_page("POST", "/url", {"url": url})

    async def run(self, script: str, *arguments: object) -> Any:
        """What *script* returns on the page."""
        body = {"script": script, "args": arguments}
        return await self.of_page("POST", "/execute/sync", body)

    async def text(self) -> str:
        """What the page says."""
        return await self.run(_TEXT)

    async def until(self, words: str, *, seconds: float = 60) -> None:
        """Wait until the page says *words*."""
        text = ""
        with trio.move_on_after(seconds):
            while words not in (text := await self.text()):  # noqa: ASYNC110 -- a page tells nobody
                await trio.sleep(0.1)
        assert words in text, f"no {words!r} in: {text[:3000]}"

    async def type(self, css: str, keys: str) -> None:
        """Type *keys* into the first element that *css* finds, once it is there."""
        query = {"using": "css selector", "value": css}
        with trio.move_on_after(60):
            while not await self.of_page("POST", "/elements", query):  # noqa: ASYNC110 -- a page tells nobody
                await trio.sleep(0.1)
        found = await self.of_page("POST", "/element", query)
        await self.of_page("POST", f"/element/{found[_ELEMENT]}/value", {"text": keys})

    async def click(self, label: str) -> None:
        """Press the first button that says *label*."""
        assert await self.run(_CLICK, label), f"no button {label!r}"

    async def tell(self, command: str, **params: object) -> Any:
        """A command of DevTools, for what the standard has no word for."""
        body = {"cmd": command, "params": params}
        return await self.of_page("POST", "/goog/cdp/execute", body)

    async def size(self, width: int, height: int, *, phone: bool = False) -> None:
        """Show the page in a window of that size, which none of its own can have.

        Args:
            width: In CSS pixels.
            height: The same.
            phone: Three dots to a pixel, and a finger instead of a mouse.
        """
        await self.tell(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=3 if phone else 1,
            mobile=phone,
        )
        await self.tell("Emulation.setTouchEmulationEnabled", enabled=phone)

    async def system(self, **features: str) -> None:
        """Say what the system prefers, as ``prefers_color_scheme="dark"``."""
        wanted = [
            {"name": name.replace("_", "-"), "value": value}
            for name, value in features.items()
        ]
        await self.tell("Emulation.setEmulatedMedia", features=wanted)

    async def complaints(self) -> list[str]:
        """What the browser has found fault with since it was asked last."""
        entries = await self.of_page("POST", "/se/log", {"type": "browser"})
        return [each["message"] for each in entries if each["level"] == "SEVERE"]

    async def console(self) -> list[str]:
        """All that was said there since it was asked last, faults as well."""
        entries = await self.of_page("POST", "/se/log", {"type": "browser"})
        return [each["message"] for each in entries]

    async def network(self) -> list[tuple[str, str]]:
        """What has come and gone since it was asked last, of a browser that listens.

        The kind of each event, as DevTools calls it, and all of it as JSON; ``body`` for
        what an address has answered.
        """
        entries = await self.of_page("POST", "/se/log", {"type": "performance"})
        events = [json.loads(each["message"])["message"] for each in entries]
        found = [(each["method"], json.dumps(each["params"])) for each in events]
        for each in events:
            if each["method"] == "Network.loadingFinished":
                asked = each["params"]["requestId"]
                # Of a page that was left nothing is kept.
                with suppress(AssertionError):
                    body = await self.tell("Network.getResponseBody", requestId=asked)
                    found.append(("body", body["body"]))
        return found

    async def photograph(self, file: Path) -> None:
        """Keep a picture of the page."""
        picture = await self.of_page("GET", "/screenshot")
        await trio.Path(file).write_bytes(base64.b64decode(picture))


@asynccontextmanager
async def browser(
    chromium: str, folder: Path, *, listens: bool = False
) -> AsyncIterator[Browser]:
    """A browser that keeps nothing but in *folder*; it ends with the block.

    One that *listens* has what goes over the network, see :meth:`Browser.network`.
    """
    options = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--window-size=1300,900",
        f"--user-data-dir={folder / 'browser'}",
    ]
    listening = {"performance": "ALL"} if listens else {}
    wanted = {
        "goog:loggingPrefs": {"browser": "ALL", **listening},
        "goog:chromeOptions": {"binary": chromium, "args": options},
    }
    port = await free_port()
    async with (
        _driver(port, folder),
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as http,
    ):
        found = Browser(http)
        with trio.fail_after(30):
            await _until_up(found)
        made = await found.ask(
            "POST", "/session", {"capabilities": {"alwaysMatch": wanted}}
        )
        found.session = made["sessionId"]
        try:
            yield found
        finally:
            with trio.move_on_after(10, shield=True), suppress(httpx2.HTTPError):
                await found.ask("DELETE", f"/session/{found.session}")


async def free_port() -> int:
    """One that nobody listens on, for now."""
    with trio.socket.socket() as taken:
        await taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


async def _until_up(found: Browser) -> None:
    while True:
        with suppress(httpx2.TransportError):
            await found.ask("GET", "/status")
            return
        await trio.sleep(0.05)


@asynccontextmanager
async def _driver(port: int, folder: Path) -> AsyncIterator[None]:
    with (folder / "driver").open("wb") as log:
        process = await trio.lowlevel.open_process(
            ["chromedriver", f"--port={port}"], stdout=log, stderr=log
        )
    try:
        yield
    finally:
        process.terminate()
        with trio.CancelScope(shield=True):
            await process.wait()
