"""``POST /v1/embeddings``: what is asked for, and OpenAI's own client over a real node."""

from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import openai
import orjson
import pytest
import trio

from beamclaw.config.schema import (
    AgentConfig,
    BudgetConfig,
    Chosen,
    Config,
    GatewayConfig,
    LimitsConfig,
    ModelInfo,
    ProviderConfig,
)
from beamclaw.config.schema.gateway import EmbeddingsConfig
from beamclaw.contracts.embeddings import Embed, Embedded, NotEmbedded
from beamclaw.contracts.messages import Usage
from beamclaw.contracts.secret import Secret
from beamclaw.gateway.embeddings import limits_of
from beamclaw.gateway.openai import embeddings
from beamclaw.gateway.problem import Problem
from beamclaw.testing.fake_openai import Fault, fake_openai
from tests.beamclaw.gateway.edge import TOKEN
from tests.beamclaw.gateway.methods.conftest import configuration
from tests.support.inside import no_tools, open_inside
from tests.support.wire import Connection

SMALL = EmbeddingsConfig(max_texts=2, max_chars=5, max_all_chars=8)
CONFIG = Config(
    providers={
        "far": ProviderConfig(api="openai"),
        "demo": ProviderConfig(api="demo"),
        "claude": ProviderConfig(api="anthropic"),
    },
    agents={
        "main": AgentConfig(embeddings="far/small"),
        "bob": AgentConfig(),
    },
    chosen=Chosen(model="demo"),
    gateway=GatewayConfig(embeddings=SMALL),
)


def read(body, headers=()):
    return embeddings.read(body, dict(headers), CONFIG, limits_of(CONFIG))


def test_what_is_asked_for_goes_to_the_agents_model():
    body = {
        "model": "openclaw/main",
        "input": ["a", "b"],
        "encoding_format": "base64",
        "dimensions": 3,
        "user": "ann",
    }
    assert read(body) == embeddings.Wanted(
        model="openclaw/main",
        order=Embed(
            agent="main",
            provider="far",
            model="small",
            inputs=("a", "b"),
            base64=True,
            dimensions=3,
            user="ann",
        ),
    )


def test_another_model_may_be_chosen_for_any_agent():
    headers = {"x-openclaw-model": "far/large", "x-openclaw-agent-id": "bob"}
    wanted = read({"input": "a"}, headers)
    assert isinstance(wanted, embeddings.Wanted)
    assert (wanted.order.agent, wanted.order.model) == ("bob", "large")


@pytest.mark.parametrize(
    "body, headers, words",
    [
        ([], {}, "JSON object"),
        ({}, {}, "input must be a text"),
        ({"input": []}, {}, "input must be a text"),
        ({"input": ""}, {}, "input must be a text"),
        ({"input": [[1, 2]]}, {}, "input must be a text"),
        ({"input": ["a", "b", "c"]}, {}, "gateway.embeddings.max_texts"),
        ({"input": "abcdef"}, {}, "gateway.embeddings.max_chars"),
        ({"input": ["abcde", "abcd"]}, {}, "gateway.embeddings.max_all_chars"),
        ({"input": "a", "encoding_format": "x"}, {}, "encoding_format"),
        ({"input": "a", "dimensions": 0}, {}, "dimensions"),
        ({"input": "a", "model": "text-embedding-3-small"}, {}, "there is no model"),
        ({"input": "a", "model": "openclaw/bob"}, {}, "set agents.bob.embeddings"),
        ({"input": "a"}, {"x-openclaw-model": "far"}, "is no provider/model"),
        ({"input": "a"}, {"x-openclaw-model": "nobody/x"}, "is no provider/model"),
        ({"input": "a"}, {"x-openclaw-model": "demo/demo"}, "makes no embeddings"),
        ({"input": "a"}, {"x-openclaw-model": "claude/x"}, "makes no embeddings"),
    ],
)
def test_what_cannot_be_done_is_refused_in_words(body, headers, words):
    problem = read(body, headers)
    assert isinstance(problem, Problem)
    assert problem.status == 400
    assert words in problem.message


@pytest.mark.parametrize(
    "kind, status, code",
    [
        ("budget", 429, "budget_reached"),
        ("rate_limit", 429, "rate_limit_exceeded"),
        ("invalid", 400, "invalid"),
        ("overloaded", 502, "provider_overloaded"),
        ("auth", 502, "auth"),
    ],
)
def test_why_there_are_none_is_said_in_openais_words(kind, status, code):
    problem = embeddings.failed(NotEmbedded(kind=kind, message="why"))
    assert (problem.status, problem.code, problem.message) == (status, code, "why")


def test_the_answer_has_openais_shape():
    wanted = embeddings.Wanted(
        model="openclaw",
        order=Embed(agent="main", provider="far", model="m", inputs=("a",)),
    )
    made = Embedded(b"[[0.5,1]]", Usage(3, 0))
    assert orjson.loads(embeddings.answer(wanted, made)) == {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 1]}],
        "model": "openclaw",
        "usage": {"prompt_tokens": 3, "total_tokens": 3},
    }


# --- over a whole node


@asynccontextmanager
async def opened(tmp_path: Path, **more):
    async with fake_openai() as fake:
        config = configuration(tmp_path / "data", **more)
        key = Secret("sk-of-the-fake")
        vectors = ProviderConfig(
            api="openai",
            base_url=fake.base_url,
            api_key=key,
            retry_first=0.001,
            models={"small": ModelInfo(input_price=1.0)},
        )
        config = attrs.evolve(
            config,
            providers={**config.providers, "far": vectors},
            agents={**config.agents, "main": AgentConfig(embeddings="far/small")},
        )
        async with open_inside(config, toolbox=no_tools) as node:
            yield fake, await node.url()


async def client(url: str, **more: Any):
    """By OpenAI's own client, which asks for base64 unless it is told otherwise."""

    def work():
        with openai.OpenAI(
            base_url=f"{url}/v1", api_key=TOKEN, max_retries=0, timeout=30.0
        ) as ours:
            asked: dict[str, Any] = {"model": "openclaw", **more}
            return ours.embeddings.create(**asked)

    return await trio.to_thread.run_sync(work)


@pytest.mark.parametrize("quirks", [(), ("no_base64",)])
async def test_openais_own_client_gets_its_vectors(tmp_path, quirks):
    async with opened(tmp_path) as (fake, url):
        fake.fail(Fault(quirks=frozenset(quirks)))
        found = await client(url, input=["hello", "hi"], dimensions=2)
        plain = await client(url, input="hello", encoding_format="float")
        assert fake.breaches == []
    assert [each.embedding for each in found.data] == [[5.0, 0.5], [2.0, 0.5]]
    assert (found.model, found.usage.prompt_tokens) == ("openclaw", 3)
    assert plain.data[0].embedding[0] == 5.0


async def test_openais_own_client_is_told_what_is_wrong(tmp_path):
    async with opened(tmp_path) as (fake, url):
        with pytest.raises(
            openai.BadRequestError, match=r"set agents\.bob\.embeddings"
        ):
            await client(url, input="x", model="openclaw/bob")
        fake.fail(*[Fault(status=503)] * 3)
        with pytest.raises(openai.InternalServerError, match="after 3 attempts"):
            await client(url, input="x")
        fake.fail(Fault(status=401))
        with pytest.raises(openai.InternalServerError, match="far"):
            await client(url, input="x")
        assert fake.breaches == []


async def test_a_cap_is_held_and_said(tmp_path):
    limits = LimitsConfig(day=BudgetConfig(calls=1))
    async with opened(tmp_path, limits=limits) as (fake, url):
        await client(url, input="x")
        with pytest.raises(openai.RateLimitError, match=r"limits\.day\.calls"):
            await client(url, input="x")
        assert len(fake.ledger) == 1


async def test_it_takes_the_token(tmp_path):
    async with opened(tmp_path) as (fake, url):
        with await Connection.open(url) as connection:
            head = {"Content-Type": "application/json", "Authorization": "Bearer no"}
            answer = await connection.request(
                "POST", "/v1/embeddings", head, b'{"input":"x"}'
            )
        assert answer.status == 401
        assert fake.ledger == []
