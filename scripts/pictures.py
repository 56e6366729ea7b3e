"""Pictures of `beamclaw top`, `beamclaw shell` and the page, taken of a node that runs.

    python -m scripts.pictures [terminal|page]

A node with the built-in demo, a terminal (tmux) in which the real programs run, and what it
shows as SVG in `docs/pictures`; a node at work, and views of its page in a
browser, in `docs/how-to/page`. Nothing in them is drawn by hand.
"""

import json
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

import attrs
import orjson
import trio
import trio_websocket

from beamclaw.gateway.auth.device import Signed
from tests.support.browser import Browser
from tests.support.device import prove
from tests.support.node import ROOT, Node, open_node
from tests.support.node_page import browsing, view
from tests.support.tmux import Tmux, tmux

PICTURES = ROOT / "docs" / "pictures"
CONFIG = """\
providers:
  demo: {delay: 0.3}
agents:
  main: {model: demo}
  cook: {model: demo}
"""
TALK = (
    "tell me, word by word, what is for dinner, for how many, and when we begin to cook"
)
TALKING = ("dinner", "garden", "taxes")
DRILL = (
    ("suspend main", "suspended"),
    ("mailbox main", "Ring("),
    ("sessions", "STUCK"),
    ("waiting main", "is suspended"),
    ("restart main", "is in its place"),
    ("turn main", "delivery"),
)


# --- from a terminal to SVG

WIDE, HIGH, MARGIN = 8.4, 18, 14
GROUND, INK = "#16181d", "#d6d9df"
COLOURS = ("#5c6370", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2")
_SEQUENCE = re.compile(r"\x1b\[([\d;]*)m")


@attrs.frozen
class Look:
    """How a piece of text looks: CSS colour, bold, as if marked."""

    colour: str = INK
    bold: bool = False
    inverse: bool = False

    def after(self, code: int) -> "Look":
        """After a number of a sequence that colours."""
        return attrs.evolve(self, **CODES[code]) if code in CODES else self


# What the numbers of such a sequence change; 0 is as in the beginning.
CODES: Mapping[int, Mapping[str, Any]] = {
    0: attrs.asdict(Look()),
    1: {"bold": True},
    7: {"inverse": True},
    22: {"bold": False},
    27: {"inverse": False},
    39: {"colour": INK},
    **{30 + place: {"colour": colour} for place, colour in enumerate(COLOURS)},
    **{90 + place: {"colour": colour} for place, colour in enumerate(COLOURS)},
}


def pieces(line: str, look: Look) -> Iterator[tuple[str, Look]]:
    """The text of *line*, which begins as *look*, in parts that look alike."""
    at = 0
    for found in _SEQUENCE.finditer(line):
        yield line[at : found.start()], look
        for code in found[1].split(";"):
            look = look.after(int(code or 0))
        at = found.end()
    yield line[at:], look


def svg(shown: str, columns: int) -> str:
    """What a terminal showed, as a picture."""
    lines = shown.rstrip("\n").splitlines()
    width, height = columns * WIDE + 2 * MARGIN, len(lines) * HIGH + 2 * MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}">',
        f'<rect width="100%" height="100%" rx="8" fill="{GROUND}"/>',
        '<g font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="14">',
    ]
    look = Look()
    for number, line in enumerate(lines):
        column = 0
        for text, now in pieces(line, look):
            parts += _drawn(text, now, column, number) if text.strip() else ()
            column, look = column + len(text), now
    return "\n".join([*parts, "</g>", "</svg>", ""])


def _drawn(text: str, look: Look, column: int, number: int) -> Iterator[str]:
    left, top = MARGIN + column * WIDE, MARGIN + number * HIGH
    length = len(text) * WIDE
    ink = look.colour
    if look.inverse:
        yield f'<rect x="{left:g}" y="{top}" width="{length:g}" height="{HIGH}" fill="{ink}"/>'
        ink = GROUND
    weight = ' font-weight="bold"' if look.bold else ""
    yield (
        f'<text x="{left:g}" y="{top + 14}" fill="{ink}"{weight} xml:space="preserve" '
        f'textLength="{length:g}">{escape(text)}</text>'
    )


# --- what is in them


async def top(screens: Tmux, node: Node) -> None:
    """The processes of a node that talks to three people."""
    async with trio.open_nursery() as nursery:
        for name in TALKING:
            nursery.start_soon(node.command, "chat", "--session", name, TALK)
        await screens.window("top", node, "top", size=(100, 26))
        await screens.until("top", lambda shown: "process" in shown)
        await screens.type("top", "r")
        await screens.until("top", _talks)
        PICTURES.joinpath("top.svg").write_text(svg(await screens.coloured("top"), 100))


def _talks(shown: str) -> bool:
    return "by rate" in shown and all(name in shown for name in TALKING)


async def shell(screens: Tmux, node: Node) -> None:
    """A conversation that is stuck, and how it goes on."""
    async with trio.open_nursery() as nursery:
        await node.command("chat", "hello")
        await screens.window("shell", node, "shell", size=(110, 40))
        await screens.until("shell", lambda shown: "beamclaw>" in shown)
        answered = trio.Event()

        async def ask() -> None:
            await node.command("chat", "are you there?")
            answered.set()

        for line, answer in DRILL:
            if line.startswith("turn"):
                await answered.wait()
            await screens.type("shell", "-l", line)
            await screens.type("shell", "Enter")
            await screens.until("shell", lambda shown, answer=answer: answer in shown)
            if line.startswith("suspend"):
                nursery.start_soon(ask)
                await _waits(node)
        PICTURES.joinpath("shell.svg").write_text(
            svg(await screens.coloured("shell"), 110)
        )


async def _waits(node: Node) -> None:
    """Until the message is with the session, which does not take it."""
    while "Ring(" not in (await node.command("shell", "-c", "mailbox main")).out:
        pass


# --- the page

PAGE = ROOT / "docs" / "how-to" / "page"
SIZE = (1300, 757)
ASKED = "How full is the disk?"
# Seconds: until the charts of Health show something, and a question was thought about.
CHARTED, THOUGHT = 20.0, 2.0
ANSWER = """\
When a process crashes, its **supervisor** starts it again:

1. the crash is an event that others hear of,
2. what was acknowledged is in the ledger,
3. the successor reads it and goes on.

```python
ChildSpec("ledger", LedgerServer, restart="permanent")
```
"""
SCENES = (
    {
        "match": "disk",
        "calls": [[{"tool": "exec", "arguments": {"command": "df -h /"}}]],
        "reply": "There is room.",
    },
    {
        "match": "tidy",
        "calls": [[{"tool": "exec", "arguments": {"command": "rm -r build"}}]],
        "reply": "It is gone.",
    },
    {"reply": ANSWER},
)
WORKING: Mapping[str, Any] = {
    "api": "demo",
    "delay": 0,
}
LIMITS: Mapping[str, Any] = {
    "day": {"tokens": 200_000, "calls": 16},
    "agent": {"tokens": 60_000},
}
# View, and words that stand there when it is drawn.
TAKEN = (("spending", "By session"), ("access", "daily-brief"), ("logs", "beamclaw."))


def at_work(folder: Path) -> str:
    """The configuration of a node with two agents and limits, as JSON."""
    script = folder / "scenes.json"
    script.write_text(json.dumps(SCENES))
    config = {
        "providers": {"demo": {**WORKING, "script": str(script)}},
        "agents": {"main": {"model": "demo/demo"}, "research": {"model": "demo/demo"}},
        "limits": LIMITS,
        "gateway": {"auth": {"pairing": {"local": False}}},
    }
    return json.dumps(config)


async def device(node: Node, name: str, seed: int) -> str:
    """A program of somebody's asks to be paired; the id of that."""
    async with trio_websocket.open_websocket_url(
        node.base_url.replace("http", "ws", 1)
    ) as socket:
        given = orjson.loads(await socket.get_message())["payload"]
        client = {"id": "openclaw-macos", "mode": "ui", "platform": "macos"}
        scopes = ("operator.read", "operator.write")
        signed = Signed(
            client_id=client["id"],
            client_mode=client["mode"],
            role="operator",
            scopes=scopes,
            token=node.token,
            platform=client["platform"],
        )
        proof = prove(signed, nonce=given["nonce"], at_ms=given["ts"], seed=seed)
        params = {
            "minProtocol": 4,
            "maxProtocol": 4,
            "client": {**client, "version": "1", "displayName": name},
            "role": "operator",
            "scopes": scopes,
            "auth": {"token": node.token},
            "device": {
                "id": proof.id,
                "publicKey": proof.public_key,
                "signature": proof.signature,
                "signedAt": proof.signed_at,
                "nonce": proof.nonce,
            },
        }
        frame = {"type": "req", "id": "1", "method": "connect", "params": params}
        await socket.send_message(orjson.dumps(frame).decode())
        # Refused until somebody agrees.
        answer = orjson.loads(await socket.get_message())
        return answer["error"]["details"]["requestId"]


async def work(node: Node, nursery: trio.Nursery) -> None:
    """What has happened before somebody looks: answers, questions, devices, keys."""
    for key in ("agent:main:main", "agent:main:dinner", "agent:research:papers"):
        for _ in range(3):
            await node.command("chat", "--session", key, "What does a supervisor do?")
    nursery.start_soon(node.command, "chat", ASKED)
    await question(node)
    kitchen = await device(node, "Kitchen Mac", 1)
    await node.command("devices", "approve", kitchen)
    await device(node, "A new phone", 2)
    await node.command("keys", "create", "backup", "--expires", "90d")


async def question(node: Node) -> str:
    """The id of what an agent asks, once it does."""
    with trio.fail_after(30):
        while not (found := (await node.command("approvals", "list", "--json")).json()):
            pass
    return found[0]["wait_id"]  # pyright: ignore[reportIndexIssue] -- JSON


async def views(node: Node, page: Browser, nursery: trio.Nursery) -> None:
    """Each of them, as it stands when it is opened."""
    await page.size(*SIZE)
    await page.open((await node.command("dashboard")).out.split()[0])
    await page.until("connected")
    await conversation(node, page)
    nursery.start_soon(node.command, "chat", "--session", "tidy", "tidy up")
    await question(node)
    await crash(node, page)
    await view(page, "health", "Providers Provider")
    await trio.sleep(CHARTED)
    await page.photograph(PAGE / "health.png")
    for name, words in TAKEN:
        await view(page, name, words)
        await page.photograph(PAGE / f"{name}.png")


async def conversation(node: Node, page: Browser) -> None:
    """One in which a person is asked, by day and by night, and what became of it."""
    await view(page, "chat/agent%3Amain%3Amain", "main asks")
    for scheme, name in (("dark", "chat-dark"), ("light", "chat")):
        await page.system(prefers_color_scheme=scheme)
        await page.photograph(PAGE / f"{name}.png")
    await trio.sleep(THOUGHT)
    await node.command("approvals", "allow", "--always", await question(node))
    await page.until("There is room.")
    await view(page, "sessions/agent%3Amain%3Amain", "delivery")
    await page.photograph(PAGE / "sessions.png")


async def crash(node: Node, page: Browser) -> None:
    """A process crashes while the tree is open."""
    await view(page, "tree/default%2Fsessions", "started by")
    await page.click("Stands at")
    await page.until("outermost first")
    # What is drawn for the first time has not crashed.
    await page.until("messages wait")
    await node.command("shell", "-c", "fault limits crash")
    await page.until("limits ended")
    await page.photograph(PAGE / "tree.png")


async def page() -> None:
    """Those of the page."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = folder / "beamclaw.yaml"
        config.write_text(at_work(folder))
        options = ("--config", str(config))
        async with (
            open_node(folder / "data", options=options) as node,
            browsing(folder) as browser,
            trio.open_nursery() as nursery,
        ):
            await work(node, nursery)
            await views(node, browser, nursery)
            nursery.cancel_scope.cancel()  # of who waits for an answer still


async def terminal() -> None:
    """Those of the terminal."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = folder / "beamclaw.yaml"
        config.write_text(CONFIG)
        options = ("--config", str(config))
        async with (
            open_node(folder / "data", options=options) as node,
            tmux(folder, node.environment) as screens,
        ):
            await top(screens, node)
            await shell(screens, node)


KINDS = {"terminal": terminal, "page": page}


async def main(*kinds: str) -> None:
    """Take those *kinds*, or all."""
    for kind in kinds or KINDS:
        await KINDS[kind]()


if __name__ == "__main__":
    sys.exit(trio.run(main, *sys.argv[1:]))
