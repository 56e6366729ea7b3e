"""``beamclaw chat`` against a node, as a newcomer types it."""

from pathlib import Path

import pytest

from tests.support.model import open_model
from tests.support.node import Node, open_node, uses

pytestmark = pytest.mark.slow


async def test_a_newcomer_gets_an_answer_from_demo(tmp_path: Path):
    async with open_node(tmp_path / "data") as node:
        said = await node.command("chat", "hello")

    assert (said.code, said.err) == (0, "")
    assert said.out.strip()


async def test_the_answer_is_the_providers_and_the_conversation_goes_on(
    tmp_path: Path,
):
    async with (
        open_model() as model,
        open_node(tmp_path / "data", env=uses(model.url)) as node,
    ):
        first = await node.command("chat", "say <<a>>")
        second = await node.command("chat", "say <<b>>")

    assert first.out.strip() == "answer to <<a>> 1 2 3 4"
    assert second.out.strip() == "answer to <<b>> 1 2 3 4"
    assert [role for role, _ in model.calls[1].messages] == [
        "system",  # what stands in the workspace
        "user",
        "assistant",
        "user",
    ]


async def test_without_a_node_it_says_how_to_start_one(tmp_path: Path):
    finished = await Node(data=tmp_path / "data").command("chat", "hello")

    assert finished.code == 1
    assert "beamclaw run" in finished.err
    assert "Traceback" not in finished.err
