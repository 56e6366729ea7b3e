"""From a configuration to a connection, and what is known of models."""

import subprocess
import sys

import pytest

from beamclaw.config.schema import ModelInfo, ProviderConfig
from beamclaw.contracts.budgets import Price
from beamclaw.contracts.messages import ModelParams, said
from beamclaw.contracts.providers import ModelRequest, ProviderError
from beamclaw.contracts.secret import Secret
from beamclaw.providers import catalogue, connect
from beamclaw.providers.connect import models_question
from beamclaw.testing.fake_anthropic import fake_anthropic
from beamclaw.testing.fake_openai import Fault, fake_openai

HI = ModelRequest(model="m", messages=(said("user", "hi"),))
CANARY = "sk-canary-0123456789"


async def failure(provider, request=HI):
    with pytest.raises(ProviderError) as caught:
        async with provider.stream(request) as events:
            async for _ in events:
                pass
    await provider.aclose()
    return caught.value


async def sent(fake, api, request=HI, **settings):
    provider = connect(
        api,
        ProviderConfig(
            api=api, base_url=fake.base_url, api_key=Secret(CANARY), **settings
        ),
    )
    async with provider.stream(request) as events:
        async for _ in events:
            pass
    await provider.aclose()
    return fake.requests[-1]


@pytest.mark.parametrize(
    "base_url",
    ["", "nonsense", "ftp://host/v1", "http://", "http://host:99999", "http://["],
)
async def test_an_address_that_is_none_is_told_by_the_call(base_url):
    config = ProviderConfig(api="openai", base_url=base_url or "http://:80")
    error = await failure(connect("openai", config))
    assert error.kind == "invalid"
    assert "OPENAI_BASE_URL or providers.openai.base_url" in error.message


@pytest.mark.parametrize("key", ["with\nline", "ümlaut", "nul\0"])
async def test_a_key_that_no_header_can_carry(key):
    config = ProviderConfig(
        api="openai", api_key=Secret(key), key_source="environment variable X"
    )
    error = await failure(connect("openai", config))
    assert error.kind == "auth"
    assert "from environment variable X" in error.message
    assert key not in error.message


async def test_a_header_that_cannot_be_sent():
    config = ProviderConfig(api="openai", headers={"x-a": "b\nc"})
    error = await failure(connect("openai", config))
    assert "providers.openai.headers" in error.message


async def test_white_space_around_the_key_is_no_part_of_it():
    async with fake_openai(keys=[CANARY]) as fake:
        config = ProviderConfig(
            api="openai", base_url=f" {fake.base_url}/ ", api_key=Secret(f"{CANARY}\n")
        )
        provider = connect("openai", config)
        async with provider.stream(HI) as events:
            async for _ in events:
                pass
        await provider.aclose()
        assert fake.requests[0].key == CANARY


async def test_where_nothing_listens_the_words_name_the_variable():
    config = ProviderConfig(api="openai", base_url="http://127.0.0.1:1/v1")
    error = await failure(connect("openai", config))
    assert error.kind == "network"
    assert "Connection refused" in error.message
    assert "http://127.0.0.1:1/v1" in error.message
    assert "environment variable OPENAI_BASE_URL or" in error.message


async def test_a_provider_under_another_name_is_not_filled_from_the_environment():
    config = ProviderConfig(api="openai", base_url="http://127.0.0.1:1/v1")
    error = await failure(connect("mine", config))
    assert "OPENAI" not in error.message
    assert "check providers.mine.base_url in the configuration" in error.message


async def test_headers_of_the_configuration_go_along():
    async with fake_openai() as fake:
        entry = await sent(fake, "openai", headers={"Authorization": "Bearer other"})
        assert entry.key == "other"


async def test_anthropic_addresses_work_with_and_without_the_version():
    async with fake_anthropic() as fake:
        config = ProviderConfig(
            api="anthropic", base_url=f"{fake.base_url}/v1", api_key=Secret(CANARY)
        )
        provider = connect("anthropic", config)
        async with provider.stream(HI) as events:
            async for _ in events:
                pass
        await provider.aclose()
        assert fake.breaches == []


@pytest.mark.parametrize(
    "model, params, models, limit",
    [
        ("claude-haiku-4-5", ModelParams(max_tokens=7), {}, 7),
        ("claude-haiku-4-5", ModelParams(), {}, 64_000),
        ("claude-haiku-4-5-20251001", ModelParams(), {}, 64_000),
        ("claude-haiku-4-5", ModelParams(), {"claude-haiku-4-5": ModelInfo(max_output=9)}, 9),
        ("claude-of-next-year", ModelParams(), {}, 4096),
    ],
)  # fmt: skip
async def test_the_limit_that_anthropic_insists_on(model, params, models, limit):
    request = ModelRequest(model=model, messages=HI.messages, params=params)
    async with fake_anthropic() as fake:
        entry = await sent(fake, "anthropic", request, models=models)
        assert entry.body["max_tokens"] == limit


async def test_a_server_that_refuses_the_name_of_the_limit_is_asked_with_the_other():
    refused = Fault(
        status=400,
        code="unsupported_parameter",
        message="Unsupported parameter: 'max_tokens' is not supported with this model. "
        "Use 'max_completion_tokens' instead.",
    )
    request = ModelRequest(
        model="m", messages=HI.messages, params=ModelParams(max_tokens=5)
    )
    async with fake_openai() as fake:
        provider = connect(
            "openai",
            ProviderConfig(
                api="openai", base_url=fake.base_url, api_key=Secret(CANARY)
            ),
        )
        fake.fail(refused)
        for _ in range(2):
            async with provider.stream(request) as events:
                async for _ in events:
                    pass
        await provider.aclose()
        assert [
            [name for name in entry.body or () if name.startswith("max_")]
            for entry in fake.requests
        ] == [["max_tokens"], ["max_completion_tokens"], ["max_completion_tokens"]]


def test_what_is_known_of_models_is_replaced_by_the_configuration():
    mine = {"gpt-4.1": ModelInfo(max_output=5, input_price=0.0)}
    known = catalogue.known("gpt-4.1", mine)
    assert (known.context_window, known.max_output) == (1_047_576, 5)
    openai = ProviderConfig(api="openai", models=mine)
    expected = Price(input=0.0, output=8.0, cached=0.5)
    assert catalogue.price("gpt-4.1", openai) == expected
    dated = catalogue.price("gpt-4.1-2025-04-14", ProviderConfig(api="openai"))
    assert dated is not None
    assert dated.input == 2.0
    assert catalogue.price("never-heard-of", openai) is None
    assert catalogue.known("gpt-4.1-2025-04-14", {}).max_output == 32_768
    assert catalogue.known("never-heard-of", {}) == ModelInfo()


@pytest.mark.parametrize(
    "settings, stored",
    [
        ({}, 3.75),
        ({"cache_retention": "long"}, 6.0),
        ({"cache_retention": "none"}, 3.0),
        ({"models": {"claude-sonnet-4-5": ModelInfo(input_price=4.0)}}, 5.0),
        ({"models": {"claude-sonnet-4-5": ModelInfo(stored_price=3.5)}}, 3.5),
        ({"api": "openai"}, None),
    ],
)
def test_what_anthropic_keeps_is_dearer_by_how_long(settings, stored):
    provider = ProviderConfig(**{"api": "anthropic", **settings})
    price = catalogue.price("claude-sonnet-4-5-20250929", provider)
    assert price is not None
    assert price.stored == stored


@pytest.mark.parametrize(
    "model, given, most",
    [
        ("never-heard-of", {}, 4_096),
        ("never-heard-of", {"context_window": 8_192}, 2_048),
        ("never-heard-of", {"context_window": 128_000}, 4_096),
        ("gpt-4o", {"context_window": 16_000}, 4_000),
        # Who says more gets it, whatever that leaves.
        ("gpt-4o", {"context_window": 16_000, "max_output": 15_000}, 15_000),
        # What we know of its window, we know with its output.
        ("claude-haiku-4-5", {}, 64_000),
        ("claude-haiku-4-5", {"input_price": 1.0}, 64_000),
    ],
)
def test_an_answer_leaves_room_in_a_window_that_is_configured(model, given, most):
    assert catalogue.max_output(model, {model: ModelInfo(**given)}) == most


@pytest.mark.slow
def test_the_http_client_is_not_loaded_before_it_is_needed():
    program = (
        "import sys, beamclaw.providers\n"
        "from beamclaw.config.schema import ProviderConfig\n"
        "beamclaw.providers.connect('demo', ProviderConfig())\n"
        "print([name for name in ('httpx2', 'httpcore2') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("api", "base_url", "address"),
    [
        ("openai", None, "https://api.openai.com/v1/models"),
        ("openai", "http://host:1/v1/", "http://host:1/v1/models"),
        ("anthropic", None, "https://api.anthropic.com/v1/models"),
        ("anthropic", "http://host:1", "http://host:1/v1/models"),
        ("anthropic", "http://host:1/v1", "http://host:1/v1/models"),
    ],
)
def test_the_list_of_models_is_asked_for_where_calls_go(api, base_url, address):
    config = ProviderConfig(
        api=api,
        base_url=base_url,
        api_key=(Secret(CANARY), Secret("other")),
        headers={"X-Team": "a"},
    )
    question = models_question(config)
    assert question is not None
    assert question[0] == address
    proof = {
        "openai": {"authorization": f"Bearer {CANARY}"},
        "anthropic": {"x-api-key": CANARY, "anthropic-version": "2023-06-01"},
    }
    assert question[1] == {"user-agent": "beamclaw", "x-team": "a", **proof[api]}


def test_a_provider_without_a_list_is_not_asked_for_it():
    assert models_question(ProviderConfig(api="demo")) is None


@pytest.mark.parametrize("api", ["openai", "anthropic"])
def test_the_price_of_the_model_that_is_asked_where_nobody_names_one_is_known(api):
    model = ProviderConfig(api=api).chosen_model
    assert catalogue.price(model, ProviderConfig(api=api)) is not None
