"""Edits of every key by chance, right and wrong, while people talk to the node.

Every message is answered, the process stays the same, and a connection is lost only where
an edit begins the gateway anew, or says who may come in. Wrong ones change nothing, and
the log says in which line which key is wrong.

A run has a share of the edits, by seed: ``BEAMCLAW_EDITS=all`` is every key, right and
wrong, ``BEAMCLAW_SEED=7`` are others.
"""
# ruff: noqa: ASYNC110 -- another process, and what it says, is looked at

import gc
import json
import os
import random
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
import trio_websocket

from beamclaw.config.applying import rule_of
from tests.beamclaw.gateway.socket.talk import opened, params
from tests.support.chance import SEED
from tests.support.edits import (
    Edit,
    Key,
    edit,
    every_key,
    keys_in_use,
    one_holds_other,
)
from tests.support.model import open_model
from tests.support.node import Node, completion, free_port, open_node
from tests.support.wire import DONE, Closed, Connection

pytestmark = pytest.mark.slow

EDITS = os.environ.get("BEAMCLAW_EDITS", "110")

TOKEN = "token-of-the-random-edits-with-forty-characters"
PATH = "/v1/chat/completions"
# Another one with each edit (shell.children), so that something is told of each.
MARKED = next(key for key in every_key() if key.path == "shell.children")
# What the command line says goes before the file.
OVERRIDDEN = ("gateway.port",)
# By these nobody may come in who came in before, or at another address.
WHO = ("gateway.auth", "gateway.host")
# Seconds in which whoever is cut off by an edit comes to notice it.
LATE = 3.0
# Seconds between two messages of one who talks: the edits are to get on, too.
PAUSE = 0.05
LOST = (
    Closed,
    OSError,
    trio_websocket.ConnectionClosed,
    trio_websocket.ConnectionTimeout,
    trio_websocket.HandshakeError,
)
# What is closed before its first answer this client waits for in vain.
_opened = partial(opened, connect_timeout=1)


@attrs.define
class Done:
    """An edit that was made: when it was written, and when the node has told of it."""

    edit: Edit
    written: float
    told: float = 0.0
    parts: Sequence[str] = ()


@attrs.define
class Stage:
    """The node, and all that has happened.

    Attributes:
        lost: When a client could not go on or come in, and why.
        answered: Messages that were answered, by their marker.
    """

    node: Node
    folder: Path
    base: dict[str, Any]
    done: list[Done] = attrs.field(factory=list[Done])
    lost: list[tuple[float, str]] = attrs.field(factory=list[tuple[float, str]])
    answered: list[str] = attrs.field(factory=list[str])
    streams: int = 0
    frames: int = 0
    over: trio.Event = attrs.field(factory=trio.Event)
    held: dict[str, Any] = attrs.field(factory=dict[str, Any])

    @property
    def file(self) -> Path:
        return self.node.data / "beamclaw.yaml"

    # --- editing

    async def make(self, key: Key, number: int, *, right: bool) -> None:
        """One edit, and what the node says to it."""
        base = {**self.base, "shell": {"children": 100 + number}}
        made = edit(key, base, self.folder, right=right, number=number)
        applied, said = len(self._applied()), len(self.node.stderr())
        draft = self.file.with_suffix(".new")
        draft.write_text(made.text)
        self.done.append(Done(made, trio.current_time()))
        os.replace(draft, self.file)  # noqa: PTH105 -- what editors do
        with trio.move_on_after(30) as patience:
            if right:
                await self._taken_over(applied)
            else:
                await self._refused(applied, said)
        assert not patience.cancelled_caught, (key.path, self.node.stderr()[said:])
        self.done[-1].told = trio.current_time()

    async def _taken_over(self, before: int) -> None:
        while len(rows := self._applied()) == before:
            await trio.sleep(0.01)
        made = self.done[-1]
        row = rows[-1]
        made.parts = row["parts"]
        told = [*row["paths"], *row["waiting"]]
        other = [*differing(self.held, made.edit.document)]
        self.held = made.edit.document
        # What was refused before it has left nothing: all that is told of is this edit.
        for path in row["paths"]:
            assert any(one_holds_other(path, each) for each in other), (path, other)
        key = made.edit.key.path
        assert key in OVERRIDDEN or any(one_holds_other(key, x) for x in told), (
            key,
            told,
        )
        waits = [x for x in row["waiting"] if one_holds_other(x, key)]
        assert bool(waits) == (rule_of(key).when == "start"), (key, row)

    async def _refused(self, applied: int, said: int) -> None:
        made = self.done[-1].edit
        words = f"{self.file}:{made.line}:"
        while "beamclaw.config.not_applied" not in (new := self.node.stderr()[said:]):
            await trio.sleep(0.01)
        assert words in new, (words, new)
        assert f": {made.key.path}" in new, new
        assert len(self._applied()) == applied

    def _applied(self) -> list[Any]:
        """What the node has taken over: the audit says it whatever the log's level."""
        rows = [
            json.loads(line)
            for file in sorted((self.node.data / "audit").glob("*.jsonl"))
            for line in file.read_text().splitlines()
        ]
        return [row for row in rows if row["event"] == "beamclaw.config.applied"]

    # --- talking

    async def talk(self) -> None:
        """Messages over one connection, each as often as it takes."""
        count = 0
        while not self.over.is_set():
            async with self._going_on():
                with await self.node.connect() as connection:
                    while not self.over.is_set():
                        await self._say(connection, f"m{count}")
                        count += 1
                        await trio.sleep(PAUSE)

    async def _say(self, connection: Connection, marked: str) -> None:
        body = completion(f"say <<{marked}>>")
        answer = await connection.request("POST", PATH, self._headers(marked), body)
        if answer.status != 200:
            raise ConnectionRefusedError(f"{answer.status}: {answer.body}")
        # By the model, or by the node in words: a limit may be what was edited.
        assert answer.json()["choices"][0]["message"]["content"]
        self.answered.append(marked)

    async def follow(self) -> None:
        """Streams that take as long as an edit, each to its end."""
        count = 0
        while not self.over.is_set():
            async with self._going_on():
                with await self.node.connect() as connection:
                    while not self.over.is_set():
                        await self._stream(connection, f"s{count}")
                        count += 1

    async def _stream(self, connection: Connection, marked: str) -> None:
        headers = {**self._headers(marked), "x-openclaw-model": "fake/t20-w0-g20"}
        body = completion(f"say <<{marked}>>", stream=True)
        head = await connection.ask("POST", PATH, headers, body)
        if head.status != 200:
            raise ConnectionRefusedError(f"{head.status}: {await connection.body()}")
        last = b""
        async for data in connection.events():
            assert b'"error"' not in data, data
            last = data
        assert last == DONE, last
        self.streams += 1

    def _headers(self, marked: str) -> dict[str, str]:
        return {
            **self.node.bearer,
            "Content-Type": "application/json",
            "Idempotency-Key": marked,
        }

    async def call(self) -> None:
        """Requests over one WebSocket."""
        port = int(self.node.base_url.rpartition(":")[2])
        while not self.over.is_set():
            async with self._going_on(), _opened(port) as talk:
                await talk.receive()  # the challenge
                answer = await talk.call("connect", params(auth={"token": TOKEN}))
                if not answer["ok"]:
                    raise ConnectionRefusedError(str(answer["error"]))
                while not self.over.is_set():
                    assert (await talk.call("health"))["ok"]
                    self.frames += 1
                    await trio.sleep(PAUSE)

    @asynccontextmanager
    async def _going_on(self) -> AsyncIterator[None]:
        """What cuts a client off is noted, and it tries again."""
        try:
            yield
        except* LOST as group:
            self.lost.append((trio.current_time(), repr(group.exceptions)))
            await trio.sleep(PAUSE)

    # --- judging

    def unaccounted(self) -> list[tuple[float, str, list[str]]]:
        """Losses that no edit explains, with the edits around them."""
        return [
            (
                at,
                why,
                [x.edit.key.path for x in self.done if abs(x.written - at) < LATE],
            )
            for at, why in self.lost
            if not any(begun <= at <= over + LATE for begun, over in self._allowed())
        ]

    def all_beyond(self, before: tuple[int, int, int]) -> bool:
        """Whether each client has got something since."""
        now = len(self.answered), self.streams, self.frames
        return all(one < other for one, other in zip(before, now, strict=True))

    def _allowed(self) -> list[tuple[float, float]]:
        found: list[tuple[float, float]] = []
        for place, made in enumerate(self.done):
            until = made.told
            if made.edit.right and made.edit.key.path.startswith(WHO):
                following = (x.told for x in self.done[place + 1 :] if x.edit.right)
                until = next(following, trio.current_time())
            elif "gateway" not in made.parts:
                continue
            found.append((made.written, until))
        return found


def differing(one: Any, other: Any, path: str = "") -> Iterator[str]:
    """The paths at which two documents are not the same."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for name in {**one, **other}:
            at = f"{path}.{name}" if path else str(name)
            yield from differing(one.get(name), other.get(name), at)
    elif one != other:
        yield path


def chosen(rng: random.Random) -> list[tuple[Key, bool]]:
    """Which keys are edited, and how; those that a turn goes by among them."""
    keys = [*every_key(), *keys_in_use(providers="fake", agents="main")]
    edits = [
        (key, right)
        for key in keys
        for right in (True, False)
        if right or key.path not in OVERRIDDEN
    ]
    rng.shuffle(edits)
    return edits if EDITS == "all" else edits[: int(EDITS)]


def base_of(url: str) -> dict[str, Any]:
    fake = {"api": "openai", "base_url": url, "api_key": "key-of-the-fake"}
    return {
        "providers": {"fake": fake},
        "agents": {"main": {"model": "fake/t5-w0-g0"}, "second": {}},
        "gateway": {"auth": {"token": TOKEN}},
    }


# A WebSocket that is cut off while it is opened is left to the collector by its client.
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
async def test_edits_of_every_key_by_chance_while_people_talk(tmp_path: Path):
    data, beside = tmp_path / "data", tmp_path / "beside"
    data.mkdir()
    beside.mkdir()
    (beside / "script.yaml").write_text("- reply: words\n")
    edits = chosen(random.Random(SEED))
    async with open_model() as model:
        base = base_of(model.url)
        (data / "beamclaw.yaml").write_text(json.dumps(base))
        # It stays the same when the gateway is begun anew.
        port = free_port()
        async with open_node(
            data, token="", port=port, program="tests.support.watchful"
        ) as node:
            node.token, pid = TOKEN, node.pid
            stage = Stage(node, beside, base, held=base)
            async with trio.open_nursery() as nursery:
                for client in (stage.talk, stage.follow, stage.call):
                    nursery.start_soon(client)
                for number, (key, right) in enumerate(edits):
                    await stage.make(key, number, right=right)
                before = len(stage.answered), stage.streams, stage.frames
                # All of them are in again, whatever the last edit was.
                await stage.make(MARKED, len(edits), right=True)
                with trio.move_on_after(30):
                    while not stage.all_beyond(before):
                        await trio.sleep(0.01)
                assert stage.all_beyond(before), stage.lost[-9:]
                stage.over.set()
            assert node.running
            assert node.pid == pid
            said = node.stderr()
    gc.collect()
    assert stage.unaccounted() == []
    assert len(stage.answered) == len(set(stage.answered)) > 0
    asked = [call.marker for call in model.calls]
    assert len(asked) == len(set(asked))
    assert "supervision.process.crash" not in said
