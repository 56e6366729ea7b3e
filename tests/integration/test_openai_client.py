"""The official ``openai`` client, unchanged, against a whole node."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import openai
import pytest
from openai.types.chat import ChatCompletionUserMessageParam

from beamclaw.testing.fake_anthropic import fake_anthropic
from beamclaw.testing.fake_openai import Fault, Reply, fake_openai
from tests.support.node import Node, open_node

pytestmark = [
    pytest.mark.slow,
    # The client leaves its own generators to the garbage collector.
    pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning"),
]

USER: ChatCompletionUserMessageParam = {"role": "user", "content": "hello"}


@asynccontextmanager
async def client(
    node: Node, token: str | None = None
) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        base_url=f"{node.base_url}/v1", api_key=token or node.token, max_retries=0
    ) as connected:
        yield connected


async def test_it_gets_an_answer_from_demo_without_a_key_or_network(tmp_path: Path):
    async with open_node(tmp_path / "data") as node, client(node) as ai:
        whole = await ai.chat.completions.create(model="openclaw", messages=[USER])

    assert whole.choices[0].message.content
    assert whole.choices[0].finish_reason == "stop"
    assert whole.model == "openclaw"
    assert whole.usage is not None
    assert whole.usage.completion_tokens > 0


async def test_it_streams(tmp_path: Path):
    async with open_node(tmp_path / "data") as node, client(node) as ai:
        stream = await ai.chat.completions.create(
            model="openclaw",
            messages=[USER],
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]

    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 0
    assert {chunk.id for chunk in chunks} == {chunks[0].id}


async def test_it_lists_the_agents(tmp_path: Path):
    async with open_node(tmp_path / "data") as node, client(node) as ai:
        models = [model.id async for model in ai.models.list()]

    assert {"openclaw", "openclaw/default", "openclaw/main"} <= set(models)


async def test_a_wrong_token_is_its_authentication_error(tmp_path: Path):
    async with open_node(tmp_path / "data") as node, client(node, "wrong") as ai:
        with pytest.raises(openai.AuthenticationError):
            await ai.chat.completions.create(model="openclaw", messages=[USER])


async def test_an_unknown_agent_is_its_bad_request_error(tmp_path: Path):
    async with open_node(tmp_path / "data") as node, client(node) as ai:
        with pytest.raises(openai.BadRequestError, match="nobody"):
            await ai.chat.completions.create(model="openclaw/nobody", messages=[USER])


async def test_a_user_is_a_lasting_conversation(tmp_path: Path):
    async with (
        fake_openai() as fake,
        open_node(
            tmp_path / "data",
            env={"OPENAI_BASE_URL": fake.base_url, "OPENAI_API_KEY": "key"},
        ) as node,
        client(node) as ai,
    ):
        for text in ("first", "second"):
            said: ChatCompletionUserMessageParam = {"role": "user", "content": text}
            await ai.chat.completions.create(
                model="openclaw", messages=[said], user="u"
            )

    bodies = [entry.body for entry in fake.requests]
    assert bodies[1] is not None
    roles = [message["role"] for message in bodies[1]["messages"]]
    assert roles[-3:] == ["user", "assistant", "user"]
    assert fake.breaches == []


async def test_with_openai_in_the_environment_the_answer_is_that_providers(
    tmp_path: Path,
):
    async with fake_openai(
        keys=["the-key"], answer=lambda _: Reply(text="from the provider")
    ) as fake:
        env = {"OPENAI_BASE_URL": fake.base_url, "OPENAI_API_KEY": "the-key"}
        async with open_node(tmp_path / "data", env=env) as node, client(node) as ai:
            whole = await ai.chat.completions.create(model="openclaw", messages=[USER])

    assert whole.choices[0].message.content == "from the provider"
    assert fake.breaches == []


async def test_with_anthropic_in_the_environment_the_answer_is_that_providers(
    tmp_path: Path,
):
    async with fake_anthropic(
        keys=["the-key"], answer=lambda _: Reply(text="from the other provider")
    ) as fake:
        env = {"ANTHROPIC_BASE_URL": fake.base_url, "ANTHROPIC_API_KEY": "the-key"}
        async with open_node(tmp_path / "data", env=env) as node, client(node) as ai:
            stream = await ai.chat.completions.create(
                model="openclaw", messages=[USER], stream=True
            )
            chunks = [chunk async for chunk in stream]

    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == "from the other provider"
    assert fake.breaches == []


async def test_a_refused_key_is_told_with_the_variable_it_came_from(tmp_path: Path):
    async with fake_openai(keys=["another"]) as fake:
        env = {"OPENAI_BASE_URL": fake.base_url, "OPENAI_API_KEY": "refused-key"}
        async with open_node(tmp_path / "data", env=env) as node, client(node) as ai:
            with pytest.raises(openai.APIStatusError) as raised:
                await ai.chat.completions.create(model="openclaw", messages=[USER])

    assert raised.value.status_code == 502
    assert "OPENAI_API_KEY" in str(raised.value)
    assert "refused-key" not in str(raised.value)


async def test_a_provider_that_was_busy_is_asked_again(tmp_path: Path):
    async with fake_openai() as fake:
        fake.fail(Fault(status=529))
        env = {"OPENAI_BASE_URL": fake.base_url, "OPENAI_API_KEY": "key"}
        async with open_node(tmp_path / "data", env=env) as node, client(node) as ai:
            whole = await ai.chat.completions.create(model="openclaw", messages=[USER])

    assert whole.choices[0].message.content == "You said: hello"
    assert len(fake.requests) == 2
