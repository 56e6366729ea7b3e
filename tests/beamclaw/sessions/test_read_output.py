"""A model reads what it was not told of an output: all of it, its own session's only."""

import re
import time
from collections.abc import AsyncGenerator

import attrs
import pytest
import trio
from trio.testing import MockClock

import supervision
from beamclaw.contracts.ledger_reads import ReadOutput, ReadSession
from beamclaw.contracts.lifecycle import DeleteSession, ResetSession
from beamclaw.contracts.messages import Usage
from beamclaw.contracts.providers import (
    End,
    ModelRequest,
    ProviderEvent,
    TextDelta,
    ToolCallDelta,
    UsageReport,
)
from beamclaw.contracts.tools import Bounds, Tool, ToolFailed
from beamclaw.toolkit import Order, tool, tools_of
from beamclaw.tools.outputs import Outputs
from tests.beamclaw.sessions.conftest import BOUNDS, KEY, TURN_LIMITS, Model, Tenant
from tests.beamclaw.sessions.family import do, obey
from tests.beamclaw.sessions.test_messages_between import is_tainted
from tests.beamclaw.sessions.test_outputs import Says, ends

TOLD = 100_000
LONG = "".join(f"{number:06} ä\n" for number in range(20_000))
NEXT = re.compile(r"go on with offset (\d+)")
NOTE = re.compile(r"kept as output (\S+), which")


def reading(most: int = BOUNDS.told) -> dict[str, Tool]:
    made = tools_of(Outputs(tenant="default", most=most))
    return {each.spec.name: each for each in made}


@pytest.fixture
def model() -> Model:
    return Model(scripts=[obey], tools={"say": Says(LONG), **reading()})


def of(text: str, tenant: Tenant, **asked: object) -> tuple[str, dict[str, object]]:
    """The call that reads what *text*, a result that was cut, has the rest of."""
    found = NOTE.search(text)
    assert found is not None, text
    return "read_output", {"output": found[1], **asked}


def order(key: str = KEY) -> Order:
    return Order(
        tenant="default",
        session_key=key,
        run_id="r",
        call_id="c",
        tool="read_output",
        arguments={},
        key="r/c",
    )


async def to_its_end(request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
    """Has something said at length, and reads it until there is no more."""
    last = request.messages[-1]
    name, asked = "say", "{}"
    if last.role == "tool":
        text = "".join(part.text for part in last.parts)  # pyright: ignore[reportAttributeAccessIssue] -- results
        cut, more = NOTE.search(text), NEXT.search(text.partition("\n")[0])
        if cut is None and more is None:
            yield TextDelta("read")
            yield End("stop")
            return
        output = cut[1] if cut else text.split()[1].rstrip(":")
        offset = "0" if cut else more[1] if more else ""
        name, asked = "read_output", f'{{"output": "{output}", "offset": {offset}}}'
    yield ToolCallDelta(0, f"call_{len(request.messages)}", name, asked)
    yield UsageReport(Usage(10, 10))
    yield End("tool_calls")


@pytest.mark.slow
async def test_an_output_of_a_megabyte_is_read_to_its_end_in_pieces(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    text = LONG * 6
    assert len(text.encode()) > 1_000_000
    model.scripts = [to_its_end]
    model.tools["say"] = Says(text)
    model.tools |= reading(TOLD)
    bounds = Bounds(told=TOLD, kept=10_000_000, media=0)
    limits = attrs.evolve(TURN_LIMITS, tokens=10_000_000)
    async with open_tenant(bounds=bounds, turn_limits=limits) as tenant:
        assert (await tenant.ask("read it")).text == "read"
        said, *pieces = await ends()
        assert said.rest is not None
        # No piece was cut itself.
        assert {one.rest for one in pieces} == {None}
        assert all(len(one.result.text) <= TOLD for one in pieces)
        heads, texts = zip(
            *(one.result.text.split("\n", 1) for one in pieces), strict=True
        )
        assert "".join(texts) == text
        first = TOLD - 160 - len(said.rest)
        assert heads[0].startswith(f"[output {said.rest}: characters 0 to {first} of")
        assert heads[-1].endswith("; it ends here]")


async def test_a_piece_is_not_cut_where_a_client_has_named_its_run_at_length(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    bounds = attrs.evolve(BOUNDS, kept=10_000_000)
    async with open_tenant(bounds=bounds) as tenant:
        end = await tenant.ask(do(("say", {})), run_id="r" * 200)
        await tenant.ask(do(of(end.text, tenant, offset=100_000)))
        (_, piece) = await ends()
        assert piece.rest is None
        assert len(piece.result.text) <= BOUNDS.told


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"offset": 9, "length": 8}, "characters 9 to 17 of {kept}; go on with offset"),
        ({"offset": 9, "length": 8}, "]\n000001 ä"),
        ({"offset": 10**9}, "characters {kept} to {kept} of {kept}; it ends here]\n"),
        ({"match": "019999"}, "no more of it from 0 to {kept}]\n179991: 019999 ä"),
        ({"match": "ä ä"}, "it is not there from 0 to {kept}]"),
        ({"match": "0000", "offset": 90}, "there are more; go on with offset"),
        ({"offset": -1}, "read_output was not begun, its arguments do not fit"),
    ],
)
async def test_any_part_of_it_is_shown_and_what_stands_in_it_is_found(
    open_tenant, model: Model, autojump_clock, asked: dict[str, object], text: str
) -> None:
    bounds = attrs.evolve(BOUNDS, kept=10_000_000)
    async with open_tenant(bounds=bounds) as tenant:
        end = await tenant.ask(do(("say", {})))
        end = await tenant.ask(do(of(end.text, tenant, **asked)))
        assert text.format(kept=len(LONG)) in end.text


async def test_a_place_at_the_border_of_two_pieces_is_found_once(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    at = 250_000 - 3
    model.tools["say"] = Says("x" * at + "needle" + "y" * 9_000)
    bounds = attrs.evolve(BOUNDS, kept=10_000_000)
    async with open_tenant(bounds=bounds) as tenant:
        end = await tenant.ask(do(("say", {})))
        end = await tenant.ask(do(of(end.text, tenant, match="needle")))
        shown = f"{at}: {'x' * 100}needle{'y' * 200}"
        assert end.text.endswith(f"\n{shown}")
        assert end.text.count("needle") == 1


async def test_of_an_endless_output_is_said_that_only_the_beginning_is_kept(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    async with open_tenant(bounds=attrs.evolve(BOUNDS, kept=9_000)) as tenant:
        end = await tenant.ask(do(("say", {})))
        end = await tenant.ask(do(of(end.text, tenant, length=1)))
        assert f"of {len(LONG)} only those are kept" in end.text


async def test_an_output_of_another_session_is_refused(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    async with open_tenant() as tenant:
        end = await tenant.ask(do(("say", {})), key="agent:main:friend")
        end = await tenant.ask(do(of(end.text, tenant)))
        assert "is of another session" in end.text
        assert LONG[:8] not in end.text


async def test_an_output_that_nobody_has_kept_is_refused_in_words(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    async with open_tenant() as tenant:
        end = await tenant.ask(do(("read_output", {"output": "run-1/call_9"})))
        assert "there is no output run-1/call_9: take the id" in end.text


async def test_an_output_goes_with_its_conversation_also_for_who_has_its_key_next(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    async with open_tenant() as tenant:
        end = await tenant.ask(do(("say", {})))
        name, asked = of(end.text, tenant)
        await supervision.call(f"default/session/{KEY}", DeleteSession())
        # Nothing is erased yet.
        assert (
            await supervision.call("default/ledger", ReadOutput("run-1/call_0")) is None
        )
        end = await tenant.ask(do((name, asked)))
        assert "there is no output" in end.text


async def test_words_of_strangers_stay_that_when_they_are_read_behind_a_reset(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    @tool(effect="pure", untrusted=True)
    async def page() -> str:
        """Give the words of a stranger."""
        return LONG

    (model.tools["page"],) = tools_of(page)
    async with open_tenant() as tenant:
        theirs = of((await tenant.ask(do(("page", {})))).text, tenant)
        mine = of((await tenant.ask(do(("say", {})))).text, tenant)
        await supervision.call(f"default/session/{KEY}", ResetSession())
        await tenant.ask(do(mine))
        assert not await is_tainted(KEY)
        await tenant.ask(do(theirs))
        assert await is_tainted(KEY)


@pytest.mark.slow
async def test_fifty_megabytes_are_read_where_one_looks_and_hold_up_nobody(
    open_tenant, model: Model
) -> None:
    size = 50_000_000
    model.tools["say"] = Says("x" * (size - 6) + "needle")
    bounds = attrs.evolve(BOUNDS, kept=2 * size)
    longest = 0.0

    async def look(task_status: trio.TaskStatus[None]) -> None:
        nonlocal longest
        task_status.started()
        while True:
            before = time.monotonic()
            await trio.sleep(0.001)
            longest = max(longest, time.monotonic() - before)

    async with open_tenant(bounds=bounds) as tenant:
        pointer = NOTE.search((await tenant.ask(do(("say", {})))).text)
        assert pointer is not None
        reads = model.tools["read_output"]
        asked = {"output": pointer[1], "offset": size - 9}
        async with trio.open_nursery() as nursery:
            await nursery.start(look)
            tail = await reads.run(attrs.evolve(order(), arguments=asked))
            assert tail.text.endswith("\nxxxneedle")
            asked = {"output": pointer[1], "match": "needle"}
            found = await reads.run(attrs.evolve(order(), arguments=asked))
            assert f"\n{size - 6}: " in found.text
            nursery.cancel_scope.cancel()
    assert longest < 0.25


async def test_what_is_cut_says_by_which_tool_the_rest_is_read(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    async with open_tenant() as tenant:
        await tenant.ask(do(("say", {})))
        (one,) = await ends()
        assert f"kept as output {one.rest}, which read_output reads" in one.result.text
        found = await supervision.call("default/ledger", ReadSession(KEY))
        assert found.row is not None
    with pytest.raises(ToolFailed, match="arguments do not fit"):
        await model.tools["read_output"].run(order())
