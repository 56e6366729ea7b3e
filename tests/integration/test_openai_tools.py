"""The official ``openai`` client brings tools of its own, against a whole node."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import openai
import pytest

from beamclaw.testing.fake_openai import FakeOpenAI, Reply, Tool, fake_openai
from tests.support.node import Node, open_node

pytestmark = [
    pytest.mark.slow,
    # The client leaves its own generators to the garbage collector.
    pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning"),
]

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a town.",
        "parameters": {
            "type": "object",
            "properties": {"town": {"type": "string"}},
            "required": ["town"],
        },
        "strict": True,
    },
}
ASKED: Any = {"role": "user", "content": "What is the weather in Oslo?"}


def weatherman(body: dict[str, Any]) -> Reply:
    """Asks for the tool, then says what it has said."""
    last = body["messages"][-1]
    if last["role"] == "tool":
        return Reply(text=f"It is {last['content']}.")
    call = Tool(id="call_1", name="weather", arguments=('{"town":', ' "Oslo"}'))
    return Reply(text="One moment. ", tools=(call,))


@asynccontextmanager
async def opened(
    path: Path, answer: Callable[[dict[str, Any]], Reply]
) -> AsyncIterator[tuple[FakeOpenAI, Node, openai.AsyncOpenAI]]:
    async with fake_openai(answer=answer) as fake:
        env = {"OPENAI_BASE_URL": fake.base_url, "OPENAI_API_KEY": "key"}
        async with (
            open_node(path / "data", env=env) as node,
            openai.AsyncOpenAI(
                base_url=f"{node.base_url}/v1", api_key=node.token, max_retries=0
            ) as ai,
        ):
            yield fake, node, ai
        assert fake.breaches == []


async def test_a_tool_makes_its_round(tmp_path: Path):
    async with opened(tmp_path, weatherman) as (fake, _, ai):
        first = await ai.chat.completions.create(
            model="openclaw", messages=[ASKED], tools=[WEATHER]
        )
        (choice,) = first.choices
        assert choice.finish_reason == "tool_calls"
        assert choice.message.content == "One moment. "
        (call,) = choice.message.tool_calls or []
        assert call.type == "function"
        assert call.function.name == "weather"
        assert json.loads(call.function.arguments) == {"town": "Oslo"}
        result: Any = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
        second = await ai.chat.completions.create(
            model="openclaw",
            messages=[ASKED, choice.message.model_dump(), result],  # type: ignore[list-item] -- as people do it
            tools=[WEATHER],
        )
        assert second.choices[0].message.content == "It is sunny."
        assert second.choices[0].finish_reason == "stop"

    asked = fake.requests[0].body
    assert asked is not None
    mine = [t for t in asked["tools"] if t["function"]["name"] == "weather"]
    assert mine == [WEATHER]
    assert len(asked["tools"]) > 1  # the agent keeps its own


async def test_a_streamed_call_comes_by_its_name_first(tmp_path: Path):
    async with opened(tmp_path, weatherman) as (_, _, ai):
        stream = await ai.chat.completions.create(
            model="openclaw", messages=[ASKED], tools=[WEATHER], stream=True
        )
        choices = [chunk.choices[0] async for chunk in stream]

    pieces = [call for c in choices for call in c.delta.tool_calls or ()]
    assert [(p.index, p.id, p.function and p.function.name) for p in pieces] == [
        (0, "call_1", "weather"),
        (0, None, None),
    ]
    text = "".join(p.function.arguments or "" for p in pieces if p.function)
    assert json.loads(text) == {"town": "Oslo"}
    assert choices[-1].finish_reason == "tool_calls"


async def test_in_a_lasting_conversation_the_results_come_with_the_next_message(
    tmp_path: Path,
):
    async with opened(tmp_path, weatherman) as (fake, node, ai):
        first = await ai.chat.completions.create(
            model="openclaw", messages=[ASKED], tools=[WEATHER], user="ann"
        )
        said = first.choices[0].message.model_dump()
        result: Any = {"role": "tool", "tool_call_id": "call_1", "content": "rainy"}
        node.kill9()
        await node.wait()
        await node.start()
        async with openai.AsyncOpenAI(
            base_url=f"{node.base_url}/v1", api_key=node.token, max_retries=0
        ) as again:
            second = await again.chat.completions.create(
                model="openclaw",
                messages=[ASKED, said, result],  # type: ignore[list-item] -- as people do it
                tools=[WEATHER],
                user="ann",
            )
            with pytest.raises(openai.APIStatusError, match="nobody waits"):
                await again.chat.completions.create(
                    model="openclaw",
                    messages=[ASKED, said, result],  # type: ignore[list-item] -- as people do it
                    tools=[WEATHER],
                    user="ann",
                )
    assert second.choices[0].message.content == "It is rainy."
    asked = fake.requests[-1].body
    assert asked is not None
    roles = [message["role"] for message in asked["messages"]]
    assert roles[-3:] == ["user", "assistant", "tool"]


async def test_a_client_that_goes_on_without_a_result_is_understood(tmp_path: Path):
    def answer(body: dict[str, Any]) -> Reply:
        if body["messages"][-1]["content"] == "never mind":
            return Reply(text="Well.")
        return weatherman(body)

    async with opened(tmp_path, answer) as (fake, _, ai):
        await ai.chat.completions.create(
            model="openclaw", messages=[ASKED], tools=[WEATHER], user="ann"
        )
        later: Any = {"role": "user", "content": "never mind"}
        second = await ai.chat.completions.create(
            model="openclaw", messages=[later], user="ann"
        )
    assert second.choices[0].message.content == "Well."
    asked = fake.requests[-1].body
    assert asked is not None
    *_, result, last = asked["messages"]
    assert "went on without" in result["content"]
    assert last == later


async def test_who_has_to_ask_for_a_certain_tool_is_told_of_no_others(tmp_path: Path):
    async with opened(tmp_path, weatherman) as (fake, _, ai):
        await ai.chat.completions.create(
            model="openclaw",
            messages=[ASKED],
            tools=[WEATHER],
            tool_choice={"type": "function", "function": {"name": "weather"}},
            parallel_tool_calls=False,
        )
    asked = fake.requests[0].body
    assert asked is not None
    assert asked["tools"] == [WEATHER]
    assert asked["tool_choice"]["function"] == {"name": "weather"}
    assert asked["parallel_tool_calls"] is False


async def test_parameters_reach_the_provider(tmp_path: Path):
    form: Any = {
        "type": "json_schema",
        "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": True},
    }
    async with opened(tmp_path, lambda _: Reply(text="{}")) as (fake, _, ai):
        await ai.chat.completions.create(
            model="openclaw",
            messages=[ASKED],
            temperature=0.5,
            top_p=0.9,
            presence_penalty=0.1,
            frequency_penalty=0.2,
            seed=7,
            stop=["END"],
            max_completion_tokens=50,
            response_format=form,
            reasoning_effort="low",
        )
    asked = fake.requests[0].body
    assert asked is not None
    wanted = {
        "temperature": 0.5,
        "top_p": 0.9,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "seed": 7,
        "stop": ["END"],
        "max_tokens": 50,
        "response_format": form,
        "reasoning_effort": "low",
    }
    assert {name: asked.get(name) for name in wanted} == wanted
