"""The official ``openai`` client and its Responses, against a whole node."""

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
PIXEL = "data:image/png;base64,iVBORw0KGgo="
WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "description": "The weather in a town.",
    "parameters": {"type": "object", "properties": {"town": {"type": "string"}}},
    "strict": False,
}


def told(body: dict[str, Any]) -> Reply:
    """Says what it was told by all users; asks for the weather if it may."""
    last = body["messages"][-1]
    if last["role"] == "tool":
        return Reply(text=f"It is {last['content']}.")
    if any(t["function"]["name"] == "weather" for t in body.get("tools", ())):
        call = Tool(id="call_1", name="weather", arguments=('{"town": "Oslo"}',))
        return Reply(tools=(call,))
    users = [m["content"] for m in body["messages"] if m["role"] == "user"]
    return Reply(text=" | ".join(str(text) for text in users))


def connected(node: Node) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        base_url=f"{node.base_url}/v1", api_key=node.token, max_retries=0
    )


@asynccontextmanager
async def opened(
    path: Path, answer: Callable[[dict[str, Any]], Reply] = told
) -> AsyncIterator[tuple[FakeOpenAI, Node, openai.AsyncOpenAI]]:
    async with fake_openai(answer=answer) as fake:
        env = {"OPENAI_BASE_URL": fake.base_url, "OPENAI_API_KEY": "key"}
        async with open_node(path / "data", env=env) as node, connected(node) as ai:
            yield fake, node, ai
        assert fake.breaches == []


async def test_a_conversation_goes_on_from_each_of_its_responses(tmp_path: Path):
    async with opened(tmp_path) as (fake, node, ai):
        first = await ai.responses.create(
            model="openclaw", input="one", instructions="Be brief.", metadata={"a": "b"}
        )
        assert first.output_text == "one"
        assert first.status == "completed"
        assert first.usage is not None
        assert first.usage.input_tokens > 0
        second = await ai.responses.create(
            model="openclaw", input="two", previous_response_id=first.id
        )
        assert second.output_text == "one | two"
        # Also from one that is not the last any more, and after a death of the node.
        node.kill9()
        await node.wait()
        await node.start()
        async with connected(node) as again:
            other = await again.responses.create(
                model="openclaw", input="three", previous_response_id=first.id
            )
            assert other.output_text == "one | three"
            third = await again.responses.create(
                model="openclaw", input="four", previous_response_id=second.id
            )
            assert third.output_text == "one | two | four"
            kept = await again.responses.retrieve(first.id)
            assert kept.output_text == "one"
            assert kept.metadata == {"a": "b"}
            assert kept.instructions == "Be brief."
            assert kept.created_at == first.created_at
            await again.responses.delete(first.id)
            with pytest.raises(openai.NotFoundError):
                await again.responses.retrieve(first.id)
            with pytest.raises(openai.BadRequestError, match="no response"):
                await again.responses.create(
                    model="openclaw", input="five", previous_response_id=first.id
                )
    systems = [
        [m["content"] for m in entry.body["messages"] if m["role"] == "system"]
        for entry in fake.requests
        if entry.body is not None
    ]
    # Instructions hold for their own response only.
    assert [any("Be brief." in text for text in s) for s in systems] == [
        True,
        False,
        False,
        False,
    ]


async def test_a_response_is_streamed(tmp_path: Path):
    async with opened(tmp_path) as (_, _, ai):
        stream = await ai.responses.create(model="openclaw", input="hello", stream=True)
        events = [event async for event in stream]
    numbers = [event.sequence_number for event in events]
    assert numbers == sorted(set(numbers))
    kinds = [event.type for event in events]
    assert kinds[:4] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert kinds[-4:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    deltas = [e.delta for e in events if e.type == "response.output_text.delta"]
    assert "".join(deltas) == "hello"
    last = events[-1]
    assert last.type == "response.completed"
    assert last.response.output_text == "hello"


async def test_a_stream_is_gone_on_with_after_a_death(tmp_path: Path):
    async with opened(tmp_path) as (_, node, ai):
        stream = await ai.responses.create(model="openclaw", input="hello", stream=True)
        events = [event async for event in stream]
        last = events[-1]
        assert last.type == "response.completed"
        # It was not said to be a stream in words of ours.
        assert "stream" not in last.response.model_dump()
        node.kill9()
        await node.wait()
        await node.start()
        async with connected(node) as again:
            for number in (0, 3, 5, 8, last.sequence_number - 1):
                rest = [
                    event
                    async for event in await again.responses.retrieve(
                        last.response.id, stream=True, starting_after=number
                    )
                ]
                seen = [e for e in events if e.sequence_number <= number]
                said = [
                    event.delta
                    for event in (*seen, *rest)
                    if event.type == "response.output_text.delta"
                ]
                assert "".join(said) in ("hello", "hello"[number - 3 :])
                assert rest[0].sequence_number > number
                assert rest[-1].type == "response.completed"


async def test_what_was_not_streamed_is_not_streamed_later(tmp_path: Path):
    async with opened(tmp_path) as (_, _, ai):
        whole = await ai.responses.create(model="openclaw", input="hello")
        with pytest.raises(openai.BadRequestError, match="stream: true"):
            await ai.responses.retrieve(whole.id, stream=True)
        with pytest.raises(openai.NotFoundError):
            await ai.responses.retrieve("resp_nothing", stream=True)


async def test_a_tool_makes_its_round_with_state(tmp_path: Path):
    async with opened(tmp_path) as (_, _, ai):
        async with ai.responses.stream(
            model="openclaw", input="The weather in Oslo?", tools=[WEATHER]
        ) as stream:
            first = await stream.get_final_response()
        (call,) = first.output
        assert call.type == "function_call"
        assert (call.name, json.loads(call.arguments)) == ("weather", {"town": "Oslo"})
        result: Any = {
            "type": "function_call_output",
            "call_id": call.call_id,
            "output": "sunny",
        }
        second = await ai.responses.create(
            model="openclaw",
            input=[result],
            previous_response_id=first.id,
            tools=[WEATHER],
        )
        assert second.output_text == "It is sunny."
        # Asked again behind the first one, it is another branch.
        other = await ai.responses.create(
            model="openclaw",
            input=[result | {"output": "rainy"}],
            previous_response_id=first.id,
            tools=[WEATHER],
        )
        assert other.output_text == "It is rainy."
        with pytest.raises(openai.APIStatusError, match="nobody waits"):
            await ai.responses.create(
                model="openclaw", input=[result], previous_response_id=second.id
            )


async def test_without_store_all_is_sent_again_and_nothing_is_kept(tmp_path: Path):
    async with opened(tmp_path) as (_, _, ai):
        asked: Any = {"role": "user", "content": "The weather in Oslo?"}
        first = await ai.responses.create(
            model="openclaw", input=[asked], tools=[WEATHER], store=False
        )
        (call,) = first.output
        result: Any = {
            "type": "function_call_output",
            "call_id": "call_1",
            "output": "windy",
        }
        second = await ai.responses.create(
            model="openclaw",
            input=[asked, call.model_dump(), result],  # type: ignore[list-item] -- as people do it
            store=False,
        )
        assert second.output_text == "It is windy."
        with pytest.raises(openai.NotFoundError):
            await ai.responses.retrieve(first.id)
        with pytest.raises(openai.BadRequestError, match="store false"):
            await ai.responses.create(
                model="openclaw", input="and?", previous_response_id=first.id
            )


async def test_an_image_reaches_the_model(tmp_path: Path):
    async with opened(tmp_path, lambda _: Reply(text="A dot.")) as (fake, _, ai):
        shown: Any = {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "What is it?"},
                {"type": "input_image", "image_url": PIXEL, "detail": "auto"},
            ],
        }
        answer = await ai.responses.create(model="openclaw", input=[shown])
        assert answer.output_text == "A dot."
    asked = fake.requests[0].body
    assert asked is not None
    assert asked["messages"][-1]["content"][1]["image_url"]["url"] == PIXEL


async def test_what_runs_in_the_background_can_be_stopped(tmp_path: Path):
    async with opened(tmp_path, lambda _: Reply(text="late", delay=60)) as (_, _, ai):
        begun = await ai.responses.create(
            model="openclaw", input="hello", background=True
        )
        assert begun.status in ("queued", "in_progress")
        assert (await ai.responses.retrieve(begun.id)).status in (
            "queued",
            "in_progress",
        )
        stopped = await ai.responses.cancel(begun.id)
        assert stopped.status == "cancelled"
        assert (await ai.responses.retrieve(begun.id)).status == "cancelled"


async def test_errors_are_its_own(tmp_path: Path):
    async with opened(tmp_path) as (_, _, ai):
        with pytest.raises(openai.BadRequestError, match="input"):
            await ai.responses.create(model="openclaw", input=[])
        with pytest.raises(openai.BadRequestError, match="tools"):
            await ai.responses.create(
                model="openclaw", input="x", tools=[{"type": "web_search"}]
            )
        with pytest.raises(openai.BadRequestError, match="nobody"):
            await ai.responses.create(model="openclaw/nobody", input="x")


async def test_what_a_response_was_given_is_listed_in_pages(tmp_path: Path):
    async with opened(tmp_path) as (_, node, ai):
        said: Any = [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": [{"type": "output_text", "text": "1"}]},
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "two"},
                    {"type": "input_image", "image_url": PIXEL, "detail": "auto"},
                ],
            },
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "done"},
            {"role": "user", "content": "three"},
        ]
        first = await ai.responses.create(model="openclaw", input=said)
        second = await ai.responses.create(
            model="openclaw", input="four", previous_response_id=first.id
        )
        node.kill9()
        await node.wait()
        await node.start()
        async with connected(node) as again:
            list_ = again.responses.input_items.list
            given: list[Any] = [
                item async for item in list_(first.id, order="asc", limit=2)
            ]
            kinds = [(item.type, getattr(item, "role", None)) for item in given]
            assert kinds == [
                ("message", "system"),
                ("message", "user"),
                ("message", "assistant"),
                ("message", "user"),
                ("function_call", None),
                ("function_call_output", None),
                ("message", "user"),
            ]
            assert [
                item.content[0].text for item in given if item.type == "message"
            ] == [
                "Be brief.",
                "one",
                "1",
                "two",
                "three",
            ]
            assert given[3].content[1].image_url is None
            assert (given[4].name, given[5].output) == ("f", "done")
            assert len({item.id for item in given}) == len(given)
            # The last comes first, unless it is said otherwise.
            turned = [item.id async for item in list_(first.id)]
            assert turned == [item.id for item in reversed(given)]
            page = await list_(first.id, order="asc", after=given[2].id, limit=1)
            assert [item.id for item in page.data] == [given[3].id]
            assert page.has_more
            shown: Any = await list_(
                first.id,
                include=["message.input_image.image_url"],
                after=given[4].id,
                limit=1,
            )
            assert shown.data[0].content[1].image_url == PIXEL
            # Its own only: those before it are the response's that it follows.
            assert [i.content[0].text async for i in list_(second.id)] == ["four"]  # type: ignore[union-attr] -- a message
            with pytest.raises(openai.BadRequestError, match="no item"):
                await list_(first.id, after="msg_nothing")
            with pytest.raises(openai.BadRequestError, match="limit"):
                await list_(first.id, limit=101)
            with pytest.raises(openai.NotFoundError):
                await list_("resp_nothing")
            await again.responses.delete(second.id)
            with pytest.raises(openai.NotFoundError):
                await list_(second.id)


async def test_what_waits_for_its_turn_was_given_something_too(tmp_path: Path):
    async with opened(tmp_path, lambda _: Reply(text="late", delay=60)) as (_, _, ai):
        for text in ("one", "two"):
            begun = await ai.responses.create(
                model="openclaw", input=text, user="ada", background=True
            )
            page: Any = await ai.responses.input_items.list(begun.id)
            assert [item.content[0].text for item in page.data] == [text]


async def test_a_response_of_a_conversation_that_was_deleted_is_gone(tmp_path: Path):
    async with opened(tmp_path) as (_, node, ai):
        kept = await ai.responses.create(model="openclaw", input="one", user="ada")
        deleted = await node.command("sessions", "delete", "agent:main:openai-user:ada")
        assert deleted.code == 0, deleted.err
        with pytest.raises(openai.NotFoundError):
            await ai.responses.retrieve(kept.id)
        with pytest.raises(openai.BadRequestError, match="no response"):
            await ai.responses.create(
                model="openclaw", input="two", previous_response_id=kept.id
            )
        with pytest.raises(openai.NotFoundError):
            await ai.responses.delete(kept.id)


async def test_the_last_response_takes_its_conversation_along(tmp_path: Path):
    async with opened(tmp_path) as (_, node, ai):
        first = await ai.responses.create(model="openclaw", input="one")
        second = await ai.responses.create(
            model="openclaw", input="two", previous_response_id=first.id
        )
        await ai.responses.delete(first.id)
        assert "openai-response:" in (await node.command("sessions", "list")).out
        await ai.responses.delete(second.id)
        assert "openai-response:" not in (await node.command("sessions", "list")).out
