"""What Anthropic keeps of a conversation is asked for, read again and paid for."""

import math
from pathlib import Path
from typing import Any

import attrs
import orjson
import pytest

import supervision
from beamclaw.config.schema import AgentConfig, ProviderConfig
from beamclaw.contracts import names
from beamclaw.contracts.ledger_usage import ReadSums, UsageSum
from beamclaw.contracts.messages import Usage
from beamclaw.contracts.secret import Secret
from beamclaw.testing.fake_anthropic import Reply, Tool, fake_anthropic
from beamclaw.testing.world import World
from tests.support.inside import configuration, open_inside

pytestmark = pytest.mark.slow

MODEL = "claude-sonnet-4-5"  # 3 dollars for a million tokens, 0.30 from the cache
SYSTEM = "You are told the same at length. " * 200


def puts(body: dict[str, Any]) -> Reply:
    """A tool call, and an answer behind its result."""
    last = body["messages"][-1]["content"]
    if last[-1]["type"] == "tool_result":
        return Reply(text="Done.")
    number = len(body["messages"])
    arguments = orjson.dumps({"text": str(number)}).decode()
    return Reply(tools=(Tool(id=f"t{number}", name="put", arguments=(arguments,)),))


async def used(tmp_path: Path, retention: str) -> tuple[UsageSum, list[Usage]]:
    """Of two turns of two calls: what the ledger has, and what the provider billed."""
    world = World(tmp_path / "world")
    async with fake_anthropic(answer=puts) as fake:
        provider = ProviderConfig(
            api="anthropic",
            base_url=fake.base_url,
            api_key=Secret("key-of-the-test"),
            cache_retention=retention,  # pyright: ignore[reportArgumentType]
        )
        config = attrs.evolve(
            configuration(tmp_path / "data", fake.base_url),
            providers={"anthropic": provider},
            agents={"main": AgentConfig(model=f"anthropic/{MODEL}", system=SYSTEM)},
        )
        async with open_inside(config, toolbox=lambda _: world.tools()) as node:
            for text in ("one", "two"):
                headers = node.headers(text, "")
                headers["x-openclaw-model"] = f"anthropic/{MODEL}"
                answer = await node.ask(text, headers, wait=20)
                assert answer.status == 200
            ledger = names.of_tenant("default", "ledger")
            (sum_,) = await supervision.call(ledger, ReadSums("provider"), timeout=None)
        assert fake.breaches == []
        assert [entry.status for entry in fake.requests] == [200] * 4
        return sum_, fake.billed


@pytest.mark.parametrize(
    "retention, dearer", [("none", 1.0), ("short", 1.25), ("long", 2.0)]
)
async def test_a_conversation_is_paid_for_as_the_provider_bills_it(
    tmp_path: Path, retention: str, dearer: float
) -> None:
    sum_, billed = await used(tmp_path, retention)
    together = sum(billed, Usage())
    assert sum_.usage == together
    assert (together.stored > 0) == (together.cached > 0) == (retention != "none")
    if retention != "none":
        # All but the first call find what was kept by the one before.
        assert [each.cached > 1_000 for each in billed] == [False, True, True, True]
        assert all(each.plain < 100 for each in billed)
    assert sum_.cost == sum(
        math.ceil(
            each.plain * 3
            + each.stored * 3 * dearer
            + each.cached * 0.3
            + each.output * 15
        )
        for each in billed
    )
