"""Any process of a whole node killed while a turn waits for its sub-agent's sub-agent.

The model is the embedded one with a script; each level speaks slowly enough to be killed
in the middle.
"""
# ruff: noqa: ASYNC110 -- what the ledger says is looked at, it tells nobody

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest
import trio

import supervision
from beamclaw.config.schema import (
    AgentConfig,
    AuthConfig,
    Config,
    GatewayConfig,
    ProviderConfig,
)
from beamclaw.contracts.secret import Secret
from beamclaw.contracts.subagents import SessionTool
from beamclaw.testing.session_tools import session_tools
from tests.support.inside import TOKEN, Inside, Reader, open_inside

KEY = "agent:main:crash"
SCRIPT = r"""
- match: "do it"
  calls: [{tool: spawn, arguments: {task: go deeper, mode: wait}}]
  reply: "top heard {results}"
- match: "go deeper"
  calls: [{tool: spawn, arguments: {task: say it, mode: wait}}]
  reply: "middle heard {results}"
- match: "say it"
  reply: "one two three four five"
  delay: 0.1
"""
EXPECTED = "top heard middle heard one two three four five"
NAMED = (
    *("default/ledger", "default/runs", "default/sessions", "default/tools"),
    *("default/limits", "default/clients", "providers/demo", "bus", "store"),
    *("config", "gateway", "tenant:default"),
)
LEVELS: tuple[str, ...] = ("top", "middle", "leaf")


def configuration(data: Path) -> Config:
    data.parent.mkdir(parents=True, exist_ok=True)
    script = data.parent / "script.yaml"
    script.write_text(SCRIPT)
    return Config(
        data=data,
        providers={"demo": ProviderConfig(api="demo", script=script, delay=0.0)},
        agents={"main": AgentConfig(model="demo")},
        gateway=GatewayConfig(port=0, auth=AuthConfig(token=Secret(TOKEN))),
    )


def toolbox(agent: str) -> Mapping[str, SessionTool]:
    return session_tools()


def rows(ledger: Path, question: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as connection:
        return connection.execute(question).fetchall()


CHILDREN = """
    SELECT s.key, c.run_id, c.state FROM children AS c
    JOIN sessions AS s ON s.id = c.session ORDER BY c.at
"""


async def speaking(ledger: Path) -> dict[str, str]:
    """Wait until the leaf speaks; the sessions, by their level."""
    with trio.fail_after(60):
        while len(found := rows(ledger, CHILDREN)) < 2:
            await trio.sleep(0.005)
        keys = dict(zip(LEVELS, (KEY, *(str(row[0]) for row in found)), strict=True))
        leaf = f"default/run/{found[1][1]}"
        while supervision.whereis(leaf) is None:
            await trio.sleep(0.001)
    await trio.sleep(0.15)
    return keys


def pid_of(victim: str, keys: dict[str, str]) -> supervision.Pid:
    what, _, level = victim.partition(" of ")
    if not level:
        pid = supervision.whereis(victim)
    elif what == "session":
        pid = supervision.whereis(f"default/session/{keys[level]}")
    else:
        topic = f"default/topic/{keys[level]}"
        entries = supervision.names("default/run/")
        (pid,) = [e.pid for e in entries if getattr(e.value, "topic", "") == topic]
    assert pid is not None, victim
    return pid


async def answer(node: Inside, headers: dict[str, str]) -> str:
    """As somebody gets it who sends the same message again, until it is there."""
    with trio.fail_after(60):
        while True:
            reader = Reader()
            await node.stream("do it", headers, reader)
            if reader.whole:
                return reader.text
            await trio.sleep(0.02)


OF_LEVELS = [f"{what} of {level}" for what in ("run", "session") for level in LEVELS]


@pytest.mark.slow
@pytest.mark.parametrize("victim", [*OF_LEVELS, *NAMED])
async def test_the_answer_comes_once_whoever_dies(tmp_path: Path, victim: str):
    config = configuration(tmp_path / "data")
    async with (
        open_inside(config, toolbox=toolbox) as node,
        trio.open_nursery() as nursery,
    ):
        headers = node.headers("one", "", session=KEY)
        del headers["x-openclaw-model"]
        nursery.start_soon(node.stream, "do it", headers, Reader())
        keys = await speaking(node.ledger)
        supervision.exit(pid_of(victim, keys), supervision.KILL)

        assert await answer(node, headers) == EXPECTED
        found = rows(node.ledger, CHILDREN)
        assert [row[2] for row in found] == ["closed", "closed"]
        states = "SELECT DISTINCT state, outcome FROM runs"
        assert rows(node.ledger, states) == [("ended", "ok")]
        nursery.cancel_scope.cancel()
