"""A hundred edits of the file by chance, right and wrong, while people talk to the node.

Every message is answered, no connection is dropped, the process stays the same, and what
holds at the end is what the file says, but for what waits for a start.
"""
# ruff: noqa: ASYNC110 -- another process, and what it says, is looked at

import copy
import json
import os
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import trio

from beamclaw.config.applying import rule_of
from beamclaw.config.json_schema import Schema, inner_of, json_schema
from tests.support.model import open_model
from tests.support.node import Node, open_node, uses
from tests.support.wire import Connection

pytestmark = pytest.mark.slow

EDITS = 100
TALKERS = 4
SEED = 20_261_121
# What a person has to choose with care, and what has to drop connections: whoever was
# let in by a token that does not hold any more, or listens at an address that is gone.
LEFT_OUT = (
    "gateway.host",
    "gateway.port",
    "gateway.auth",
    "gateway.control_ui",
    "gateway.socket.max_clients",
    "gateway.socket.max_present",
    "gateway.hosts",
    "gateway.origins",
    "gateway.trusted_proxies",
    "hooks",
    "tools.exec.sandbox",
    "logging",  # it is the log by which this test sees what came of an edit
)
WRONG = (
    "agents: [a#]",
    "gateway: {max_messages: many#}",
    "limits: {day: {calls: -1#}}",
    "#: {",
)


def numbers_and_flags(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Every key whose value can be chosen by chance, with what describes it."""
    for name, inner in inner_of(schema).items():
        at = f"{path}.{name}" if path else name
        if at.startswith(LEFT_OUT) or name == "*" or rule_of(at).when == "start":
            continue
        if inner.get("type") in ("integer", "number", "boolean") or "enum" in inner:
            yield at, inner
        else:
            yield from numbers_and_flags(inner, at)


def value_of(schema: Schema, rng: random.Random) -> Any:
    """One that is allowed, and with which a node can go on working."""
    if "enum" in schema:
        return rng.choice([each for each in schema["enum"] if each is not None])
    if schema["type"] == "boolean":
        return rng.random() < 0.5
    default = schema.get("default") or 1
    chosen = default * rng.choice((1, 1.5, 2, 3))
    chosen = min(chosen, schema.get("maximum", chosen))
    return round(chosen) if schema["type"] == "integer" else chosen


def put(document: dict[str, Any], path: str, value: Any) -> None:
    *above, last = path.split(".")
    for name in above:
        document = document.setdefault(name, {})
    document[last] = value


def write(file: Path, text: str) -> None:
    draft = file.with_suffix(".new")
    draft.write_text(text)
    os.replace(draft, file)  # noqa: PTH105 -- what editors do


async def talk(node: Node, number: int, answers: list[int], over: trio.Event) -> None:
    """Messages over one connection, until it is over."""
    headers = {**node.bearer, "Content-Type": "application/json"}
    with await node.connect() as connection:
        for count in range(100_000):
            if over.is_set():
                return
            said = [{"role": "user", "content": f"say <<t{number}-{count}>>"}]
            body = json.dumps({"model": "openclaw", "messages": said}).encode()
            answers.append(await _asked(connection, headers, body))


async def _asked(
    connection: Connection, headers: Mapping[str, str], body: bytes
) -> int:
    answer = await connection.request("POST", "/v1/chat/completions", headers, body)
    return answer.status


def told(node: Node, what: str) -> int:
    """How often the node has said *what*."""
    return node.stderr().count(f'"beamclaw.config.{what}"')


async def edited(node: Node, file: Path, text: str) -> bool:
    """Write it and wait until the node has said what came of it; whether it holds."""
    applied, refused = told(node, "applied"), told(node, "not_applied")
    write(file, text)
    while told(node, "applied") == applied and told(node, "not_applied") == refused:
        await trio.sleep(0.01)
    return told(node, "applied") > applied


async def test_edits_by_chance_while_people_talk(tmp_path: Path):
    rng = random.Random(SEED)
    keys = list(numbers_and_flags(json_schema()))
    assert len(keys) > 100
    data = tmp_path / "data"
    data.mkdir()
    file = data / "beamclaw.yaml"
    document: dict[str, Any] = {}
    held: dict[str, Any] = {}
    answers: list[int] = []
    over = trio.Event()
    write(file, "{}")
    async with (
        open_model() as model,
        open_node(data, env=uses(model.url, "t5-w0-g0")) as node,
    ):
        pid = node.pid
        async with trio.open_nursery() as nursery:
            for number in range(TALKERS):
                nursery.start_soon(talk, node, number, answers, over)
            right = wrong = 0
            for number in range(EDITS):
                before = len(answers)
                if rng.random() < 0.25:
                    text = rng.choice(WRONG).replace("#", str(number))
                    assert not await edited(node, file, text)
                    wrong += 1
                else:
                    path, schema = rng.choice(keys)
                    value = value_of(schema, rng)
                    if value == held.get(path, schema.get("default")):
                        continue
                    wanted = copy.deepcopy(document)
                    put(wanted, path, value)
                    # Two keys may not go together: then nothing changes.
                    if await edited(node, file, json.dumps(wanted)):
                        document, held[path] = wanted, value
                        right += 1
                while len(answers) == before:
                    await trio.sleep(0.01)
            over.set()
        assert node.running
        assert node.pid == pid
        said = node.stderr()
    assert set(answers) == {200}
    assert right > EDITS / 3
    assert wrong > EDITS / 10
    assert "supervision.process.crash" not in said
