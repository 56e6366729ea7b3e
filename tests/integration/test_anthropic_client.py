"""The official ``anthropic`` client, unchanged, against a whole node."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import pytest

from beamclaw.testing.fake_anthropic import fake_anthropic
from beamclaw.testing.fake_openai import FakeOpenAI, Reply, Tool, fake_openai
from tests.support.node import Node, open_node

pytestmark = [
    pytest.mark.slow,
    # The client leaves its own generators to the garbage collector.
    pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning"),
]
USER: Any = {"role": "user", "content": "hello"}
WEATHER: Any = {
    "name": "weather",
    "description": "The weather in a town.",
    "input_schema": {"type": "object", "properties": {"town": {"type": "string"}}},
}
PIXEL = "iVBORw0KGgo="


def weatherman(body: dict[str, Any]) -> Reply:
    last = body["messages"][-1]
    if last["role"] == "tool":
        return Reply(text=f"It is {last['content']}.")
    if not any(t["function"]["name"] == "weather" for t in body.get("tools", ())):
        return Reply(text="hello back to you")
    call = Tool(id="call_1", name="weather", arguments=('{"town":', ' "Oslo"}'))
    return Reply(text="One moment. ", tools=(call,))


def connected(node: Node, token: str = "") -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(
        base_url=node.base_url, api_key=token or node.token, max_retries=0
    )


@asynccontextmanager
async def opened(
    path: Path, answer: Callable[[dict[str, Any]], Reply] = weatherman
) -> AsyncIterator[tuple[FakeOpenAI, Node, anthropic.AsyncAnthropic]]:
    async with fake_openai(answer=answer) as fake:
        env = {"OPENAI_BASE_URL": fake.base_url, "OPENAI_API_KEY": "key"}
        async with open_node(path / "data", env=env) as node, connected(node) as ai:
            yield fake, node, ai
        assert fake.breaches == []


async def test_it_gets_an_answer_from_demo_without_a_key_or_network(tmp_path: Path):
    async with open_node(tmp_path / "data") as node, connected(node) as ai:
        answer = await ai.messages.create(
            model="openclaw", max_tokens=100, messages=[USER]
        )
    (block,) = answer.content
    assert block.type == "text"
    assert block.text
    assert answer.stop_reason == "end_turn"
    assert answer.model == "openclaw"
    assert answer.usage.output_tokens > 0


async def test_it_streams_what_the_system_says_and_counts(tmp_path: Path):
    async with opened(tmp_path) as (fake, _, ai):
        async with ai.messages.stream(
            model="openclaw",
            max_tokens=100,
            system="Be brief.",
            messages=[USER],
            stop_sequences=["END"],
            extra_body={"temperature": 0.5},
        ) as stream:
            pieces = [text async for text in stream.text_stream]
            answer = await stream.get_final_message()
        counted = await ai.messages.count_tokens(model="openclaw", messages=[USER])
    assert "".join(pieces) == "hello back to you"
    assert answer.stop_reason == "end_turn"
    assert answer.usage.input_tokens > 0
    assert counted.input_tokens > 0
    asked = fake.requests[0].body
    assert asked is not None
    assert asked["messages"][0]["content"].endswith("Be brief.")
    wanted = {"stop": ["END"], "temperature": 0.5, "max_tokens": 100}
    assert {name: asked[name] for name in wanted} == wanted
    assert len(fake.requests) == 1


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_tool_makes_its_round(tmp_path: Path, streamed: bool):
    async with opened(tmp_path) as (_, _, ai):
        asked: dict[str, Any] = {
            "model": "openclaw",
            "max_tokens": 100,
            "messages": [USER],
            "tools": [WEATHER],
        }
        if streamed:
            async with ai.messages.stream(**asked) as stream:
                first = await stream.get_final_message()
        else:
            first = await ai.messages.create(**asked)
        assert first.stop_reason == "tool_use"
        text, call = first.content
        assert text.type == "text"
        assert call.type == "tool_use"
        assert (call.name, call.input) == ("weather", {"town": "Oslo"})
        result = {"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}
        asked["messages"] = [
            USER,
            {"role": "assistant", "content": first.content},
            {"role": "user", "content": [result]},
        ]
        second = await ai.messages.create(**asked)
    (said,) = second.content
    assert said.type == "text"
    assert said.text == "It is sunny."


async def test_pictures_and_documents_reach_the_model(tmp_path: Path):
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    text = {"type": "text", "media_type": "text/plain", "data": "A short story."}
    shown: Any = {
        "role": "user",
        "content": [
            {"type": "image", "source": source},
            {"type": "document", "source": text, "title": "story.txt"},
            {"type": "text", "text": "What is it?"},
        ],
    }
    async with opened(tmp_path) as (fake, _, ai):
        await ai.messages.create(model="openclaw", max_tokens=100, messages=[shown])
    asked = fake.requests[0].body
    assert asked is not None
    image, story, words = asked["messages"][-1]["content"]
    assert image["image_url"]["url"] == f"data:image/png;base64,{PIXEL}"
    assert "A short story." in story["text"]
    assert words["text"] == "What is it?"


async def test_a_model_of_anthropic_is_asked_as_it_was_asked_here(tmp_path: Path):
    async with fake_anthropic(answer=lambda _: Reply(text="yes")) as fake:
        env = {"ANTHROPIC_BASE_URL": fake.base_url, "ANTHROPIC_API_KEY": "key"}
        async with (
            open_node(tmp_path / "data", env=env) as node,
            connected(node) as ai,
        ):
            answer = await ai.messages.create(
                model="openclaw",
                max_tokens=100,
                messages=[USER],
                tools=[WEATHER],
                tool_choice={"type": "tool", "name": "weather"},
                extra_body={"top_k": 5},
            )
    assert answer.content
    asked = fake.requests[0].body
    assert asked is not None
    assert asked["tools"] == [WEATHER]
    assert asked["tool_choice"] == {"type": "tool", "name": "weather"}
    assert asked["top_k"] == 5
    assert fake.breaches == []


async def test_errors_are_its_own(tmp_path: Path):
    async with opened(tmp_path) as (_, node, ai):
        with pytest.raises(anthropic.BadRequestError, match="messages") as raised:
            await ai.messages.create(model="openclaw", max_tokens=9, messages=[])
        assert raised.value.type == "invalid_request_error"
        with pytest.raises(anthropic.APIStatusError, match="claude-opus-5"):
            await ai.messages.create(
                model="claude-opus-5", max_tokens=9, messages=[USER]
            )
        async with connected(node, "wrong") as other:
            with pytest.raises(anthropic.AuthenticationError) as refused:
                await other.messages.create(
                    model="openclaw", max_tokens=9, messages=[USER]
                )
        assert refused.value.type == "authentication_error"
