"""A client that leaves: its own turn ends with it, a conversation's turn goes on."""
# ruff: noqa: ASYNC110 -- another process, and what a file says, is looked at

import sqlite3
from pathlib import Path

import pytest
import trio

from tests.support.model import Model, open_model
from tests.support.node import Node, completion, open_node, uses
from tests.support.wire import spoken

pytestmark = pytest.mark.slow

PATH = "/v1/chat/completions"
TEXT = "say <<leaver>>"
PLAN = "t5-w0-g0-hold2"


async def leave_in_the_middle(
    node: Node, model: Model, headers: dict[str, str]
) -> None:
    """Ask as a stream, and close the connection after the first words."""
    everything = {**node.bearer, "Content-Type": "application/json", **headers}
    with trio.fail_after(60), await node.connect() as connection:
        body = completion(TEXT, stream=True)
        await connection.ask("POST", PATH, everything, body)
        await model.wait_answered("leaver", 2)
        async for data in connection.events():
            if b"answer" in data:
                return


def outcomes(node: Node) -> list[tuple[str, str | None, str]]:
    ledger = node.data / "tenants" / "default" / "ledger.db"
    with sqlite3.connect(f"{ledger.as_uri()}?mode=ro", uri=True) as connection:
        return connection.execute("SELECT state, outcome, text FROM runs").fetchall()


async def wait_ended(node: Node) -> tuple[str, str | None, str]:
    with trio.fail_after(60):
        while (row := outcomes(node)[0])[0] != "ended":
            await trio.sleep(0.01)
    return row


async def test_a_request_of_its_own_is_cancelled(tmp_path: Path):
    async with (
        open_model() as model,
        open_node(tmp_path / "data", env=uses(model.url, PLAN)) as node,
    ):
        await leave_in_the_middle(node, model, {})
        _, outcome, text = await wait_ended(node)
        with trio.fail_after(60):
            while model.statistics.open:
                await model.called.park()

    assert outcome == "aborted"
    assert text.startswith("answer to <<leaver>>")
    assert [call.state for call in model.calls] == ["cut"]


async def test_a_conversation_goes_on_and_its_answer_is_there(tmp_path: Path):
    headers = {"x-openclaw-session-key": "talk", "Idempotency-Key": "k"}
    async with (
        open_model() as model,
        open_node(tmp_path / "data", env=uses(model.url, PLAN)) as node,
    ):
        await leave_in_the_middle(node, model, headers)
        model.release.set()
        _, outcome, text = await wait_ended(node)
        joined = await node.complete(TEXT, headers, stream=True)

    assert outcome == "ok"
    assert joined.status == 200, joined.body
    assert spoken(joined.body) == text
    assert [call.state for call in model.calls] == ["whole"]


async def test_a_client_that_leaves_before_the_first_word_cancels_too(tmp_path: Path):
    async with (
        open_model() as model,
        open_node(tmp_path / "data", env=uses(model.url, "t5-w0-g0-hold0")) as node,
    ):
        everything = {**node.bearer, "Content-Type": "application/json"}
        with trio.fail_after(60), await node.connect() as connection:
            body = completion(TEXT, stream=False)
            head = f"POST {PATH} HTTP/1.1\r\nHost: {connection.host}\r\n"
            for name, value in everything.items():
                head += f"{name}: {value}\r\n"
            head += f"Content-Length: {len(body)}\r\n\r\n"
            await connection.send(head.encode() + body)
            await model.wait_calls(1)
        _, outcome, _ = await wait_ended(node)

    assert outcome == "aborted"
