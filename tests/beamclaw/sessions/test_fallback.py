"""Models that cannot answer, and those that are asked in their place."""

from collections.abc import AsyncGenerator

import pytest
import trio
from trio.testing import MockClock

from beamclaw.contracts.messages import Usage
from beamclaw.contracts.providers import (
    End,
    ModelRequest,
    ProviderError,
    ProviderEvent,
    TextDelta,
)
from tests.beamclaw.sessions.conftest import Model

CHAIN = (("test", "second"), ("test", "third"))


def failing(**errors: ProviderError):
    """Models that fail, by name; the others answer with their name."""

    async def script(request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
        error = errors.get(request.model)
        if error is not None:
            raise error
        yield TextDelta(f"by {request.model}")
        yield End("stop")

    return script


def asked(model: Model) -> list[str]:
    return [call.model for call in model.calls]


@pytest.mark.parametrize("kind", ["auth", "quota", "model_not_found"])
async def test_a_model_that_never_will_is_left_at_once(
    open_tenant, model: Model, autojump_clock: MockClock, kind
) -> None:
    model.scripts = [failing(m=ProviderError(kind, "no"))]
    async with open_tenant(fallbacks=CHAIN) as tenant:
        began = trio.current_time()
        end = await tenant.ask("hello")
        assert trio.current_time() - began < 0.1
    assert (end.text, end.model) == ("by second", "test/second")
    assert asked(model) == ["m", "second"]


async def test_a_model_that_is_busy_is_asked_again_before_another_is(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    model.scripts = [failing(m=ProviderError("overloaded", "busy"))]
    async with open_tenant(fallbacks=CHAIN) as tenant:
        end = await tenant.ask("hello")
    assert end.text == "by second"
    assert asked(model) == ["m", "m", "m", "second"]


async def test_nobody_waits_long_where_there_is_another_model(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    busy = ProviderError("rate_limit", "slow down", retry_after=60.0)
    model.scripts = [failing(m=busy)]
    async with open_tenant(fallbacks=CHAIN) as tenant:
        began = trio.current_time()
        assert (await tenant.ask("hello")).text == "by second"
        assert trio.current_time() - began < 1
    assert asked(model) == ["m", "second"]


async def test_the_last_one_says_why_there_is_no_answer(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    no = ProviderError("quota", "no money left")
    model.scripts = [failing(m=no, second=no, third=no)]
    async with open_tenant(fallbacks=CHAIN) as tenant:
        end = await tenant.ask("hello")
    assert (end.outcome, end.error_kind) == ("error", "quota")
    assert asked(model) == ["m", "second", "third"]


async def test_a_mistake_of_the_request_goes_to_nobody_else(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    model.scripts = [failing(m=ProviderError("invalid", "what?"))]
    async with open_tenant(fallbacks=CHAIN) as tenant:
        assert (await tenant.ask("hello")).outcome == "error"
    assert asked(model) == ["m"]


async def test_one_turn_fails_only_so_often(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    busy = ProviderError("server", "oops")
    model.scripts = [failing(m=busy, second=busy, third=busy)]
    async with open_tenant(fallbacks=CHAIN) as tenant:
        end = await tenant.ask("hello")
    assert end.outcome == "error"
    assert asked(model) == ["m"] * 3 + ["second"] * 3
    assert end.usage == Usage()


async def test_a_turn_that_dies_stays_with_the_model_it_has_changed_to(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    reached = trio.Event()

    async def script(request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
        if request.model == "m":
            raise ProviderError("auth", "no")
        if not reached.is_set():
            reached.set()
            await trio.sleep_forever()
        yield TextDelta(f"by {request.model}")
        yield End("stop")

    model.scripts = [script]
    async with open_tenant(fallbacks=CHAIN) as tenant:
        receipt = await tenant.send("hello")
        await reached.wait()
        await tenant.kill("default/run/run-1")
        assert (await tenant.end(receipt)).text == "by second"
    assert asked(model) == ["m", "second", "second"]


async def test_the_next_turn_begins_with_the_first_model_again(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    model.scripts = [failing(m=ProviderError("auth", "no"))]
    async with open_tenant(fallbacks=CHAIN) as tenant:
        await tenant.ask("hello")
        model.scripts = [failing()]
        assert (await tenant.ask("again")).text == "by m"
