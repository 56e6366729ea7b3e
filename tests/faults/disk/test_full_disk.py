"""A node whose disk fills up: it says so, loses nothing, and goes on when there is room."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.audit.book import Book, read_book
from tests.faults.disk.small import Pretended, Small
from tests.support.model import Model, answer, open_model
from tests.support.node import Node, NodeFailed, open_node, uses
from tests.support.wire import Response, once

pytestmark = [pytest.mark.slow, pytest.mark.peer("cc"), pytest.mark.timeout(120)]

PLAN = "t5-w0-g0-hold2"
PATIENCE = 20.0


async def logged(node: Node, event: str) -> None:
    """Until it stands in the log, which a thread writes."""
    while event not in node.stderr():  # noqa: ASYNC110 -- another program's
        await trio.sleep(0.01)


@pytest.fixture(params=["small", "pretended"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Small:
    if request.param == "small":
        return request.getfixturevalue("small")
    given = [request.getfixturevalue(name) for name in ("library", "control")]
    return Pretended(tmp_path / "pretended", *given)


@asynccontextmanager
async def node_on(disk: Small, model: Model) -> AsyncIterator[Node]:
    async with open_node(
        disk.folder, env={**uses(model.url, PLAN), **disk.env}
    ) as node:
        yield node


async def readiness(node: Node) -> tuple[int, dict[str, Any]]:
    response = await once(f"{node.base_url}/readyz")
    return response.status, response.json()


async def until(node: Node, status: int) -> dict[str, Any]:
    """Until `/readyz` answers so; what it says."""
    with trio.fail_after(PATIENCE):
        while True:
            found, said = await readiness(node)
            if found == status:
                return said
            await trio.sleep(0.05)


def ledger(disk: Small) -> Path:
    return disk.folder / "tenants" / "default" / "ledger.db"


def ended(book: Book) -> list[str]:
    """The messages that came in; and that all of them were answered."""
    assert book.waiting == []
    return [row["marker"] for row in book.inbox]


async def refused(node: Node) -> Response:
    """What is answered when it is found out that the disk is full."""
    # A message larger than what is left of the last pages.
    return await node.complete("<<refused>> say " + "and on " * 20_000)


async def test_it_says_that_it_is_full_and_works_again_when_there_is_room(disk):
    async with open_model() as model, node_on(disk, model) as node:
        model.release.set()
        assert (await node.complete("<<before>> say")).status == 200
        await until(node, 200)
        disk.fill()
        said = await refused(node)
        assert said.status == 503
        assert said.json()["error"]["code"] == "insufficient_storage"
        assert "the disk of this node is full" in said.json()["error"]["message"]
        unready = await until(node, 503)
        assert unready["failing"] == ["default/ledger"]
        assert "the disk is full" in unready["reasons"]["default/ledger"]
        assert (await once(f"{node.base_url}/healthz")).status == 200
        assert str(disk.folder) not in str(unready)
        await logged(node, "beamclaw.storage.failing")

        disk.free()
        assert (await until(node, 200))["reasons"] == {}
        assert (await node.complete("<<after>> say")).status == 200
        await logged(node, "beamclaw.storage.recovered")
        assert "Traceback" not in node.stderr()
        assert await node.stop() == 0
    assert ended(read_book(ledger(disk))) == ["before", "after"]


async def test_an_answer_that_ends_while_it_is_full_waits_and_is_told_as_it_is(disk):
    """What is stored and what is told are the same: nothing is reported as aborted."""
    got: list[Response] = []

    async def ask(node: Node) -> None:
        got.append(await node.complete("<<open>> say"))

    async with open_model() as model, node_on(disk, model) as node:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, node)
            await model.wait_answered("open", 2)
            disk.fill()
            assert (await refused(node)).status == 503
            model.release.set()
            await until(node, 503)
            assert got == []
            disk.free()
        assert await node.stop() == 0
    assert got[0].status == 200
    told = got[0].json()["choices"][0]["message"]["content"]
    run = read_book(ledger(disk)).run_of("open")
    assert run is not None
    assert (run["outcome"], run["text"]) == ("ok", told)
    assert told == "".join(answer("open", 5))
    assert len(model.calls) == 1


async def test_killed_while_it_is_full_it_loses_nothing(disk):
    async with open_model() as model:
        async with node_on(disk, model) as node:
            with trio.move_on_after(0.3):
                await node.complete("<<open>> say", {"Idempotency-Key": "open"})
            await model.wait_answered("open", 2)
            disk.fill()
            model.release.set()
            assert (await refused(node)).status == 503
            node.kill9()
            await node.wait()
        disk.free()
        async with node_on(disk, model) as node:
            with trio.fail_after(PATIENCE):
                again = await node.complete("<<open>> say", {"Idempotency-Key": "open"})
            assert again.status == 200
            assert await node.stop() == 0
    assert ended(read_book(ledger(disk))) == ["open"]


async def test_on_a_full_disk_it_does_not_start_and_says_why(disk):
    async with open_model() as model:
        async with node_on(disk, model) as node:
            model.release.set()
            assert (await node.complete("<<before>> say")).status == 200
            await node.stop()
        disk.fill()
        with pytest.raises(NodeFailed, match=r"No space left|disk is full") as caught:
            async with node_on(disk, model):
                pass
        assert "make room on it" in str(caught.value)
        assert "Traceback" not in str(caught.value)
        disk.free()
        async with node_on(disk, model) as node:
            assert (await node.complete("<<after>> say")).status == 200
