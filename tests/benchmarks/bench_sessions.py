"""The next turn of a long conversation that nobody has looked at for a while.

The session sleeps, so that all it knows has to be read. Against it stands a session that
is new; both are compared with the provider alone, asked for the same: ten thousand
messages take their time on the way to it and there, whoever sends them.
"""

import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import trio

from beamclaw.contracts import journal
from beamclaw.contracts.journal import (
    Answered,
    Asked,
    InboundTaken,
    RunOver,
    RunStarted,
)
from beamclaw.contracts.ledger_ops import EndRun, OpenRun, Take
from beamclaw.contracts.messages import Message, Usage, said
from tests.benchmarks.report import Row, emit
from tests.support.books import commit, open_book
from tests.support.ledgers import message
from tests.support.node import Node, open_node, open_program, uses
from tests.support.wire import Connection

MESSAGES, SAMPLES = 10_000, 25
PATH = "/v1/chat/completions"
PLAN = "t3-w0-g0"
LONG = "agent:main:long"
# A session falls asleep after so long, and is asked again after twice that.
IDLE = 0.1
TEXT = "and what did we say about the %d. word of the book, do you remember it?"


def exchange(number: int) -> tuple[Message, Message]:
    """What was said in one turn."""
    return said("user", TEXT % number), said("assistant", TEXT % number)


def fill(path: Path) -> None:
    """The journal of a conversation, turn by turn."""
    seq = 0
    with open_book(path) as book:
        for number in range(MESSAGES // 2):
            run = f"run-{number}"
            asked, answered = exchange(number)
            book.serve(message(run, LONG))
            bodies = [
                (None, InboundTaken(messages=(asked,), inbox_id=number + 1)),
                (run, RunStarted(epoch=1, agent="main", definition="h")),
                (run, Asked(attempt=1, provider="openai", model=PLAN)),
                (
                    run,
                    Answered(
                        attempt=1,
                        message=answered,
                        stop_reason="stop",
                        usage=Usage(10, 3),
                        provider="openai",
                        model=PLAN,
                    ),
                ),
                (run, RunOver(outcome="ok", stop_reason="stop")),
            ]
            events = [journal.event(body, at=2.0, run_id=of) for of, body in bodies]
            ops = (
                Take((number + 1,)),
                OpenRun(run, 2.0),
                EndRun(
                    run_id=run,
                    at=3.0,
                    outcome="ok",
                    stop_reason="stop",
                    text=answered.text,
                    usage=Usage(10, 3),
                ),
            )
            (outcome,) = book.serve(commit(seq, *events, ops=ops, key=LONG))
            assert outcome == seq + len(events), outcome
            seq += len(events)


async def first_token(
    connection: Connection, headers: dict[str, str], messages: Sequence[Message]
) -> float:
    """Seconds until the first token; the rest is read, too."""
    spoken = [{"role": one.role, "content": one.text} for one in messages]
    # The node is told of the model by a header.
    model = "openclaw" if "x-openclaw-model" in headers else PLAN
    body = orjson.dumps({"model": model, "messages": spoken, "stream": True})
    began, first = time.perf_counter(), 0.0
    head = await connection.ask("POST", PATH, headers, body)
    assert head.status == 200, head
    async for data in connection.events():
        if not first and b'"content"' in data:
            value: dict[str, Any] = orjson.loads(data)
            if value["choices"][0]["delta"].get("content"):
                first = time.perf_counter() - began
    return first


async def measure(node: Node, model: str) -> None:
    json = {"Content-Type": "application/json"}
    ours = {**json, **node.bearer, "x-openclaw-model": f"openai/{PLAN}"}
    here = await Connection.open(node.base_url)
    there = await Connection.open(model.removesuffix("/v1"))
    everything = [one for n in range(MESSAGES // 2) for one in exchange(n)]
    times: dict[str, list[float]] = {}
    for number in range(SAMPLES + 3):
        new = said("user", f"and the {number}.?")
        everything.append(new)
        await trio.sleep(2 * IDLE)
        taken = {
            "long": await first_token(here, {**ours, KEY: LONG}, [new]),
            "long alone": await first_token(there, json, everything),
            "new": await first_token(
                here, {**ours, KEY: f"agent:main:{number}"}, [new]
            ),
            "new alone": await first_token(there, json, [new]),
        }
        everything.append(said("assistant", "answer 1 2"))
        if number >= 3:  # the first reads the whole journal, and makes the snapshot
            for name, seconds in taken.items():
                times.setdefault(name, []).append(seconds)
    p50 = {name: statistics.median(taken) * 1000 for name, taken in times.items()}
    long, new = p50["long"] - p50["long alone"], p50["new"] - p50["new alone"]
    emit(
        Row(
            name=f"added by {MESSAGES:,} messages before it to the first token, p50",
            value=long - new,
            unit="ms",
            baseline=new,
            against="added to the first token of a new session",
            ratio=new / long,
            must="< 20",
            aim="< 12",
            note=f"asleep before; with what a new session takes {long:.1f} ms. All "
            f"messages are sent: the provider alone takes {p50['long alone']:.1f} ms for "
            f"them, {p50['new alone']:.1f} ms for one",
        )
    )


KEY = "x-openclaw-session-key"


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        data, config = Path(folder) / "data", Path(folder) / "config.yaml"
        config.write_text(f"sessions: {{idle_seconds: {IDLE}}}\n")
        path = data / "tenants" / "default" / "ledger.db"
        async with open_program("tests.support.model") as (url, _):
            options = ["--config", str(config)]
            async with open_node(
                data, env=uses(url), options=options, anew=True
            ) as node:
                await node.stop()
            path.unlink()
            fill(path)
            async with open_node(
                data, env=uses(url), options=options, anew=True
            ) as node:
                await measure(node, url)


if __name__ == "__main__":
    trio.run(main)
