"""A model that does what its messages say, so that many sessions can have one script.

``do [[tool, arguments], ...]`` calls these tools, then says what they have said. What
stands in place of a message from a sub-agent is heard. Anything else is repeated.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any, TypeVar

import orjson
import trio

import supervision
from beamclaw.contracts.ledger_reads import (
    ReadAncestors,
    ReadChildren,
    ReadOpenWork,
    ReadSession,
    ReadSessions,
)
from beamclaw.contracts.ledger_rows import ChildRow, SessionRow
from beamclaw.contracts.messages import Message, ToolResult, Usage
from beamclaw.contracts.providers import (
    End,
    ModelRequest,
    ProviderEvent,
    TextDelta,
    ToolCallDelta,
    UsageReport,
)
from tests.beamclaw.sessions.conftest import KEY

T = TypeVar("T")
LEDGER = "default/ledger"
COST = 100  # tokens of each model call, as the model counts


def do(*calls: tuple[str, dict[str, Any]]) -> str:
    """The message that has these tools called."""
    return "do " + orjson.dumps(calls).decode()


def spawn(task: str, **given: Any) -> tuple[str, dict[str, Any]]:
    return "spawn", {"task": task, "mode": "wait", **given}


async def obey(request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
    """See the module."""
    results, said = since_a_person(request.messages)
    if results:
        yield TextDelta("got " + ", ".join(sorted(results)))
    elif said.startswith("["):
        yield TextDelta("heard " + said.rpartition("\n")[2])
    elif said.startswith("do "):
        for index, (tool, arguments) in enumerate(orjson.loads(said[3:])):
            text = orjson.dumps(arguments).decode()
            yield ToolCallDelta(index, f"call_{index}", tool, text)
        yield UsageReport(Usage(COST - 10, 10))
        yield End("tool_calls")
        return
    else:
        yield TextDelta(said)
    yield UsageReport(Usage(COST - 10, 10))
    yield End("stop")


def since_a_person(messages: Sequence[Message]) -> tuple[list[str], str]:
    """What tools have said since the last message of a user, and that message."""
    results: list[str] = []
    for message in reversed(messages):
        if message.role == "user":
            return results[::-1], message.text
        results += [part.text for part in message.parts if isinstance(part, ToolResult)]
    return results, ""


# --- what the ledger says


async def ask_ledger(request: supervision.Call[Any]) -> Any:
    return await surely(lambda: supervision.call(LEDGER, request))


async def surely(ask: Callable[[], Awaitable[T]]) -> T:
    """Until it is known what came of it."""
    while True:
        try:
            return await ask()
        except supervision.CallFailed:
            await trio.sleep(0.05)


async def children(key: str = KEY) -> tuple[ChildRow, ...]:
    return await ask_ledger(ReadChildren(key))


async def kinds(key: str = KEY) -> list[str]:
    return [event.kind for event in (await ask_ledger(ReadSession(key))).events]


async def sessions() -> dict[str, SessionRow]:
    return {row.key: row for row in await ask_ledger(ReadSessions())}


async def faults() -> list[str]:
    """What must not be when all work has ended, in every ledger."""
    found: list[str] = []
    if await ask_ledger(ReadOpenWork()):
        found.append("there is work left")
    for row in (await sessions()).values():
        read = await ask_ledger(ReadSession(row.key))
        if read.children or read.cancelled or read.owed or read.inbox:
            found.append(f"{row.key}: something is owed")
        begun = [e.body for e in read.events if e.kind == "tool-begun"]
        ended = [
            orjson.loads(e.body)["result"]["id"]
            for e in read.events
            if e.kind == "tool-ended"
        ]
        if len(set(ended)) != len(ended):
            found.append(f"{row.key}: a call has two results")
        ids = [orjson.loads(body)["call_id"] for body in begun]
        if not set(ids) <= set(ended):
            found.append(f"{row.key}: a call has no result")
        told = [e for e in read.events if e.kind == "inbound"]
        taken = [orjson.loads(e.body)["inbox_id"] for e in told]
        if len(set(taken)) != len(taken):
            found.append(f"{row.key}: a message was taken twice")
    return found


async def depth_of(key: str) -> int:
    return len(await ask_ledger(ReadAncestors(key)))
