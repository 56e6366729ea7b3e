"""What a model has thought goes back to it, turn after turn, on real sockets."""

from pathlib import Path
from typing import Any, Literal, cast

import orjson
import pytest

from beamclaw.testing.fake_openai import Reply, Tool, fake_openai, last_words
from beamclaw.testing.world import World
from supervision.testing import Recorder
from tests.support.inside import Inside, configuration, open_inside

pytestmark = pytest.mark.slow

MODEL = "thinker"


def spelled(value: object) -> int:
    """Bytes of all texts in *value*: no tokenizer has more tokens for it."""
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, list):
        return sum(map(spelled, cast("list[object]", value)))
    if isinstance(value, dict):
        return sum(map(spelled, cast("dict[str, object]", value).values()))
    return 0


def thinker(body: dict[str, Any]) -> Reply:
    """Thinks before each tool call, of which there are two in each turn, and after."""
    last = body["messages"][-1]
    thoughts = (f"I have read {len(body['messages'])} messages. ", "Hm, 🦀")
    used = (spelled(body["messages"]) + spelled(body["tools"]), 20)
    told = [m for m in body["messages"] if m["role"] == "tool"]
    if last["role"] == "tool" and len(told) % 2 == 0:
        return Reply(thinking=thoughts, text=f"Done, {last_words(body)}.", usage=used)
    number = len(told)
    call = Tool(
        id=f"t{number}",
        name="put",
        arguments=(orjson.dumps({"text": f"{number}"}).decode(),),
        extra={"google": {"thought_signature": f"s{number}"}},
    )
    return Reply(thinking=thoughts, tools=(call,), usage=used)


async def ask(node: Inside, text: str, key: str) -> str:
    answer = await node.ask(text, node.headers(key, MODEL), wait=20)
    found = orjson.loads(answer.body)
    return found["choices"][0]["message"]["content"] if "choices" in found else ""


@pytest.mark.parametrize(
    "field", ["reasoning_content", "reasoning", "reasoning_details"]
)
async def test_in_each_turn_it_has_all_that_it_thought_before(
    tmp_path: Path, field: str
) -> None:
    """Two turns of two tool calls each, and a node that starts anew between them.

    The model bills a token for each byte that it is sent, which nobody can beat: what is
    reserved before has to be as much.
    """
    world = World(tmp_path / "world")
    with Recorder.attached() as recorder:
        async with fake_openai(
            answer=thinker, thinking="demanded", field=field
        ) as fake:
            config = configuration(tmp_path / "data", fake.base_url)
            for text in ("one", "two"):
                async with open_inside(config, toolbox=lambda _: world.tools()) as node:
                    assert await ask(node, text, text) == f"Done, {text}."
            assert fake.breaches == []
            assert [entry.status for entry in fake.requests] == [200] * 6
        assert recorder.named("beamclaw.limits.overrun") == []
    assert [one["arguments"]["text"] for one in world.effects("put")] == list("0123")


@pytest.mark.parametrize("thinking", ["taken", "signed"])
async def test_another_model_is_not_told_what_this_one_has_thought(
    tmp_path: Path, thinking: Literal["taken", "signed"]
) -> None:
    world = World(tmp_path / "world")
    async with fake_openai(answer=thinker, thinking=thinking) as fake:
        config = configuration(tmp_path / "data", fake.base_url)
        async with open_inside(config, toolbox=lambda _: world.tools()) as node:
            for name in (MODEL, "another"):
                answer = await node.ask(name, node.headers(name, name), wait=20)
                assert answer.status == 200
        *_, last = fake.requests
        thoughts = [m.get("reasoning_content") for m in (last.body or {})["messages"]]
        assert [bool(thought) for thought in thoughts[-4:]] == [
            True,
            False,
            True,
            False,
        ]
        assert not any(thoughts[:-4])
