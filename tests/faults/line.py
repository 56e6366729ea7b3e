"""A client of the gateway's protocol on the stage: it connects again, and finds its run.

What it was told is kept (``accepted``, ``started``) it never sends again: after that it
asks for the run by its id (``agent.wait``), and reads the answer in ``chat.history``.
"""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, Literal

import attrs
import orjson
import trio

from tests.audit.book import mark
from tests.audit.known import Sent
from tests.conformance.websocket.frames import CLOSE, PING, PONG, TEXT, Reader, frame
from tests.faults.plan import Plan
from tests.faults.stage import Stage
from tests.support.node import Node
from tests.support.wire import Closed, Connection

UPGRADE: Final = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
CLIENT: Final = {"id": "cli", "version": "1", "platform": "linux", "mode": "cli"}
OVER: Final = ("final", "error", "aborted")
WAIT_MS: Final = 3_600_000
Asks = Literal["agent", "chat.send"]


class NotNow(Exception):
    """A part of the node is not up; ask again."""


class Refused(AssertionError):
    """The node says no, for good."""


@attrs.define(eq=False)
class Line:
    """One connection that was let in."""

    connection: Connection
    reader: Reader
    asked: int = 0

    async def receive(self) -> dict[str, Any]:
        """The next frame.

        Raises:
            Closed: The node has closed.
        """
        while True:
            while (found := self.reader.next()) is None:
                await self.connection.fill()
            opcode, payload = found
            if opcode == TEXT:
                return orjson.loads(payload)
            if opcode == PING:
                await self.connection.send(frame(PONG, payload))
            elif opcode == CLOSE:
                raise Closed(f"good-bye {payload!r}")

    async def request(self, method: str, params: dict[str, Any]) -> str:
        self.asked += 1
        id_ = f"{self.asked}"
        asked = {"type": "req", "id": id_, "method": method, "params": params}
        await self.connection.send(frame(TEXT, orjson.dumps(asked)))
        return id_

    async def answer(self, id_: str) -> dict[str, Any]:
        """The payload of the next response to a request; events are passed over.

        Raises:
            NotNow: It may be had later.
            Refused: It may not.
        """
        while True:
            value = await self.receive()
            if value["type"] == "res" and value["id"] == id_:
                break
        if value["ok"]:
            return value["payload"]
        error = value["error"]
        if error["code"] == "UNAVAILABLE" and error.get("retryable"):
            raise NotNow(error["message"])
        raise Refused(str(error))

    async def call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        return await self.answer(await self.request(method, params))

    async def told(self, run_id: str) -> dict[str, Any]:
        """The event that the run is over."""
        while True:
            value = await self.receive()
            if value["type"] == "event" and value["event"] == "chat":
                about: dict[str, Any] = value["payload"]
                if about["runId"] == run_id and about["state"] in OVER:
                    return about


@asynccontextmanager
async def open_line(node: Node) -> AsyncIterator[Line]:
    """A client that was let in.

    Raises:
        NotNow: It was not, as things stand.
        Closed: There is no node of ours.
    """
    with await node.connect() as connection:
        try:
            line = await let_in(connection, node.token)
        except Refused as refused:  # another node has got the port of a dead one
            raise Closed(f"a stranger: {refused}") from None
        yield line


async def let_in(
    connection: Connection, token: str, client: Mapping[str, str] = CLIENT
) -> Line:
    """The line over *connection*, once the gateway has let *client* in.

    Raises:
        NotNow: It does not, as things stand.
        Refused: It does not.
    """
    head = await connection.ask("GET", "/", UPGRADE)
    if head.status != 101:
        raise NotNow(f"no socket: {head.status}")
    line = Line(connection, Reader(connection.buffer))
    await line.receive()
    params: dict[str, Any] = {
        "minProtocol": 4,
        "maxProtocol": 4,
        "client": client,
        "role": "operator",
        "scopes": ["operator.admin"],
        "auth": {"token": token},
    }
    await line.call("connect", params)
    return line


async def talk(
    stage: Stage,
    plan: Plan,
    marker: str,
    session: str,
    *,
    method: Asks = "agent",
    leaves: bool = False,
    outcomes: tuple[str, ...] = ("ok",),
) -> Sent:
    """Say it over the gateway's protocol, to the end.

    Args:
        stage: Where.
        plan: What the model does about it.
        marker: Of the message, and its idempotency key.
        session: In which it is said.
        method: By which it is said.
        leaves: The client goes when it was told that its message is kept, and comes back.
        outcomes: Ends that are in order.
    """
    sent = stage.sent(marker, session, outcomes=outcomes)
    asked = {
        "message": plan.message(marker),
        "sessionKey": session,
        "idempotencyKey": marker,
    }

    async def send(sent: Sent) -> bool:
        try:
            async with open_line(stage.node) as line:
                if sent.run_id is None:
                    return await say(line)
                return await _look(stage, line, sent)
        except NotNow:
            await trio.sleep(0.01)
        except Refused as refused:
            sent.errors.append(str(refused))
            return True
        return False

    async def say(line: Line) -> bool:
        id_ = await line.request(method, asked)
        kept = await line.answer(id_)
        sent.acked = sent.acked or time.monotonic()
        sent.run_id = kept["runId"]
        if leaves:
            return False
        if method == "agent":
            end = await line.answer(id_)
            sent.texts.append(end["result"]["payloads"][0]["text"])
            return True
        if kept["status"] != "started":  # it is no news any more, perhaps
            return False
        about = await line.told(kept["runId"])
        if about["state"] == "final":
            sent.texts.append(_text(about["message"]))
        else:
            sent.errors.append(str(about))
        return True

    await stage.insist(sent, send)
    sent.finished = sent.finished or time.monotonic()
    return sent


async def order(stage: Stage, method: str, params: dict[str, Any]) -> None:
    """Have something done over the gateway's protocol, until the node says that it is."""

    async def send(_: Sent) -> bool:
        try:
            async with open_line(stage.node) as line:
                await line.call(method, params)
        except NotNow:
            await trio.sleep(0.01)
            return False
        return True

    session = params.get("sessionKey", "")
    await stage.insist(Sent(marker=method, session=session, at=0), send)


async def _look(stage: Stage, line: Line, sent: Sent) -> bool:
    """Wait for the run, and read in the conversation what came of it."""
    waited = {"runId": sent.run_id, "timeoutMs": WAIT_MS}
    end = await line.call("agent.wait", waited)
    if end["status"] != "ok":
        sent.errors.append(str(end))
        return True
    read = {"sessionKey": sent.session, "limit": 1000}
    rows = (await line.call("chat.history", read))["messages"]
    said = [row for row in rows if row["role"] == "user"]
    times = sum(mark(_text(row)) == sent.marker for row in said)
    if times != 1:
        stage.complaints.append(f"{sent.marker}: stands {times} times in its history")
    answers = [
        _text(row)
        for row in rows
        if row["role"] == "assistant" and row["__openclaw"].get("runId") == sent.run_id
    ]
    sent.texts.append("\n\n".join(filter(None, answers)))
    return True


def _text(message: dict[str, Any]) -> str:
    """What a message says."""
    parts = message["content"]
    return "".join(part["text"] for part in parts if part["type"] == "text")
