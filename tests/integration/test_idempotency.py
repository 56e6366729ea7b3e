"""A repeated message joins the run of the first: at once, later, after a restart."""

from pathlib import Path

import pytest
import trio

from tests.support.model import open_model
from tests.support.node import Node, open_node, uses
from tests.support.wire import Response, spoken

pytestmark = pytest.mark.slow

HEADERS = {"Idempotency-Key": "message-1"}
TEXT = "say <<once>>"


def said(response: Response) -> tuple[str, str]:
    """The id of the run, and its text."""
    assert response.status == 200, response.body
    whole = response.json()
    return whole["id"], whole["choices"][0]["message"]["content"]


@pytest.mark.parametrize("session", [None, "lasting"], ids=["one request", "lasting"])
async def test_messages_with_one_key_share_one_run(tmp_path: Path, session: str | None):
    headers = dict(HEADERS)
    if session:
        headers["x-openclaw-session-key"] = session
    got: list[tuple[str, str]] = []
    async with (
        open_model() as model,
        open_node(tmp_path / "data", env=uses(model.url, "t5-w300-g0")) as node,
    ):

        async def send() -> None:
            got.append(said(await node.complete(TEXT, headers)))

        async with trio.open_nursery() as nursery:  # while it is in progress
            for _ in range(5):
                nursery.start_soon(send)
        await send()  # when it is over
        node.kill9()
        await node.wait()
        await node.start()
        await send()  # after a restart

    assert len(got) == 7
    assert len(set(got)) == 1
    assert len(model.calls) == 1


async def test_a_reader_that_streams_joins_one_that_does_not(tmp_path: Path):
    async with (
        open_model() as model,
        open_node(tmp_path / "data", env=uses(model.url)) as node,
    ):
        whole = said(await node.complete(TEXT, HEADERS))
        streamed = await node.complete(TEXT, HEADERS, stream=True)

    assert streamed.status == 200, streamed.body
    assert spoken(streamed.body) == whole[1]
    assert len(model.calls) == 1


async def test_the_same_key_with_another_message_is_refused(tmp_path: Path):
    async with (
        open_model() as model,
        open_node(tmp_path / "data", env=uses(model.url)) as node,
    ):
        said(await node.complete(TEXT, HEADERS))
        other = await node.complete("something else", HEADERS)

    assert other.status in (409, 422)
    assert "message-1" not in node.stderr()
    assert len(model.calls) == 1


async def test_one_key_in_two_conversations_is_two_messages(tmp_path: Path):
    async with (
        open_model() as model,
        open_node(tmp_path / "data", env=uses(model.url)) as node,
    ):
        first, second = [
            said(await _in_session(node, session)) for session in ("one", "two")
        ]

    assert first[0] != second[0]
    assert len(model.calls) == 2


async def _in_session(node: Node, session: str) -> Response:
    return await node.complete(TEXT, {**HEADERS, "x-openclaw-session-key": session})
