"""Clients of the stage that speak HTTP beside chat completions: responses, REST, hooks.

Each sends its message under an idempotency key until it is told that it is kept, and
then looks for the answer by the id that it was given.
"""

import time
from collections.abc import Mapping
from typing import Any, Final

import attrs
import orjson
import trio

from tests.audit.known import Sent
from tests.faults.plan import Plan
from tests.faults.stage import HOOK, Stage
from tests.support.wire import Closed

# The tool of a client that asks for responses.
TOOL: Final = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"text": {"type": "string"}}},
}
JSON: Final = {"Content-Type": "application/json"}


@attrs.frozen
class Answer:
    """A whole answer; None of its node, which is not up."""

    status: int
    value: Any


async def request(
    stage: Stage,
    verb: str,
    path: str,
    body: object = None,
    *,
    key: str | None = None,
    token: str | None = None,
) -> Answer | None:
    """Ask once; None: not now.

    Raises:
        Closed: There is no node of ours, or not any more.
    """
    headers = {**JSON, "Authorization": f"Bearer {token or stage.node.token}"}
    if key is not None:
        headers["Idempotency-Key"] = key
    raw = b"" if body is None else orjson.dumps(body)
    with await stage.node.connect() as connection:
        answer = await connection.request(verb, path, headers, raw)
    if answer.status == 401:  # another node has got the port of a dead one
        raise Closed("a stranger")
    if answer.status == 503:
        await trio.sleep(0.01)
        return None
    return Answer(answer.status, orjson.loads(answer.body))


async def look(
    stage: Stage, path: str, verb: str = "GET", body: object = None
) -> Answer:
    """Look something up (or delete it), until a node says."""
    found: list[Answer] = []

    async def send(_: Sent) -> bool:
        answer = await request(stage, verb, path, body)
        found.extend([answer] if answer is not None else [])
        return bool(found)

    await stage.insist(Sent(marker=path, session="", at=0), send)
    return found[0]


# --- responses


async def respond(
    stage: Stage,
    plan: Plan,
    marker: str,
    *,
    behind: str | None = None,
    given: tuple[Mapping[str, Any], ...] = (),
    tools: bool = False,
    outcomes: tuple[str, ...] = ("ok",),
) -> Mapping[str, Any]:
    """Ask for a response that is kept, to its end; it.

    Args:
        stage: Where.
        plan: What the model does about it.
        marker: Of the message, and its idempotency key.
        behind: The response that it follows.
        given: Items that come before the message: results of calls.
        tools: The client has a tool of its own.
        outcomes: Ends that are in order.
    """
    sent = stage.sent(marker, "", outcomes=outcomes)
    said = {"role": "user", "content": plan.message(marker)}
    body = {
        "model": "openclaw",
        "input": [*given, said],
        **({"previous_response_id": behind} if behind else {}),
        **({"tools": [TOOL]} if tools else {}),
    }
    found: list[Mapping[str, Any]] = []

    async def send(sent: Sent) -> bool:
        answer = await request(stage, "POST", "/v1/responses", body, key=marker)
        if answer is None:
            return False
        sent.acked = sent.acked or time.monotonic()
        if answer.status != 200:
            sent.errors.append(str(answer.value))
            found.append({"id": "", "output": []})
            return True
        sent.run_id = answer.value["id"]
        sent.texts.append(text_of(answer.value))
        found.append(answer.value)
        return True

    await stage.insist(sent, send)
    sent.finished = sent.finished or time.monotonic()
    return found[0]


def text_of(response: Mapping[str, Any]) -> str:
    """What it says."""
    return "".join(
        part["text"]
        for item in response["output"]
        if item["type"] == "message"
        for part in item["content"]
    )


def results_of(response: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """What the client's tool has for each call in it."""
    return tuple(
        {
            "type": "function_call_output",
            "call_id": item["call_id"],
            "output": f"sunny at {item['arguments']}",
        }
        for item in response["output"]
        if item["type"] == "function_call"
    )


# --- what is answered with the id of a run


async def hand_in(
    stage: Stage,
    path: str,
    body: Mapping[str, Any],
    marker: str,
    session: str,
    *,
    hook: bool = False,
) -> Sent:
    """Hand a message in by *path*, and follow its run to the end, event by event."""
    sent = stage.sent(marker, session)
    token = HOOK if hook else None
    last: list[str] = []

    async def send(sent: Sent) -> bool:
        if sent.run_id is None:
            answer = await request(stage, "POST", path, body, key=marker, token=token)
            if answer is None:
                return False
            if answer.status not in (200, 202):
                sent.errors.append(str(answer.value))
                return True
            sent.acked = sent.acked or time.monotonic()
            sent.run_id = answer.value["runId"]
        return await _follow(stage, sent, last)

    await stage.insist(sent, send)
    sent.finished = sent.finished or time.monotonic()
    return sent


async def _follow(stage: Stage, sent: Sent, last: list[str]) -> bool:
    """Read the run's events from the *last* one on; whether it is over."""
    headers = {**stage.node.bearer, **({"Last-Event-ID": last[-1]} if last else {})}
    with await stage.node.connect() as connection:
        path = f"/api/runs/{sent.run_id}/events"
        head = await connection.ask("GET", path, headers)
        if head.status == 401:
            raise Closed("a stranger")
        if head.status != 200:
            await connection.body()
            if head.status != 503:
                sent.errors.append(f"its events: {head.status}")
            return head.status != 503
        buffer = b""
        while piece := await connection.piece():
            *whole, buffer = (buffer + piece).split(b"\n\n")
            for each in whole:
                fields = dict(
                    line.split(": ", 1)
                    for line in each.decode().splitlines()
                    if not line.startswith(":")
                )
                last += [fields["id"]] if "id" in fields else []
                if fields.get("event") == "end":
                    end = orjson.loads(fields["data"])
                    fine = end["outcome"] in ("ok", "limited")
                    told = sent.texts if fine else sent.errors
                    told.append(end["text"] if fine else str(end))
                    return True
    return False
