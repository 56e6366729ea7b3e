"""Any process killed at any stage of a turn: the answer comes, and is paid for once.

A turn is brought to a stage by a fake provider that holds; then one process is killed
outright. Whoever joins the turn afterwards gets the whole answer. The model is asked
again only where the death cut its call.
"""
# ruff: noqa: ASYNC110 -- figures are looked at, they tell nobody

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio

import supervision
from beamclaw.contracts import names
from beamclaw.contracts.providers import GetPermits
from beamclaw.contracts.runs import Progress
from tests.audit.book import read_book
from tests.audit.known import Known, Sent
from tests.audit.rules import violations
from tests.support.inside import Inside, Reader, configuration, open_inside
from tests.support.model import Model, answer, open_model

pytestmark = pytest.mark.slow

MARKER = "turn"
TOKENS = 5
EXPECTED = "".join(answer(MARKER, TOKENS))
KEY = "agent:main:crash"

# Stage: how many tokens the provider has sent when it is reached.
STAGES = {"called": 0, "answering": 2, "all but the end": TOKENS}
# Its death cuts the model call, and the turn's next attempt asks again.
CUTS = ("run", "default/ledger", "default/runs", "tenant:default")
# Its death cuts no call.
KEEPS = (
    "session",
    "default/sessions",
    "default/limits",
    "default/clients",
    "providers/openai",
    "bus",
    "store",
    "config",
    "gateway",
    "gateway/connections",
)
PARTS = (
    *("default/ledger", "default/limits", "default/runs", "default/clients"),
    *("default/sessions", "providers/openai", "bus", "gateway"),
)


def find(victim: str) -> supervision.Pid:
    """The process meant by *victim*: a registered name, or this turn's run or session."""
    if victim == "run":
        topic = names.topic("default", KEY)
        runs = supervision.names("default/run/")
        (pid,) = [entry.pid for entry in runs if _topic(entry.value) == topic]
    elif victim == "session":
        pid = supervision.whereis(names.session("default", KEY))
    else:
        pid = supervision.whereis(victim)
    assert pid is not None, f"no process {victim}"
    return pid


async def kill(victim: str) -> None:
    """Kill it outright, and wait until it and whoever fell with it are back."""
    pid = find(victim)
    supervision.exit(pid, supervision.KILL)
    back = () if victim in ("run", "session") else (victim, *PARTS)
    with trio.fail_after(60):
        while supervision.is_alive(pid) or None in map(supervision.whereis, back):
            await trio.sleep(0.001)


def _topic(value: object) -> str | None:
    return value.topic if isinstance(value, Progress) else None


@attrs.define
class Turning:
    """A turn in progress at its stage."""

    node: Inside
    model: Model
    reader: Reader
    headers: dict[str, str]

    async def joined(self) -> str:
        """The answer, as somebody gets it who sends the same message again."""
        with trio.fail_after(60):
            while True:
                reader = Reader()
                await self.node.stream(f"say <<{MARKER}>>", self.headers, reader)
                if reader.whole:
                    return reader.text
                await trio.sleep(0.01)

    def calls(self) -> int:
        return sum(call.marker == MARKER for call in self.model.calls)

    def faults(self) -> list[str]:
        """What the auditor says, apart from how often the model was asked."""
        sent = {
            marker: Sent(marker=marker, session=KEY, at=0)
            for marker in (MARKER, "other")
        }
        known = Known(book=read_book(self.node.ledger), sent=sent)
        found = violations(known)
        # Beside this turn another one may be in progress; what cut a call is not told.
        return [f for f in found if "other" not in f and "not_again" not in f]


@asynccontextmanager
async def turning(folder: Path, hold: int) -> AsyncIterator[Turning]:
    """A node with one turn of which *hold* tokens have been sent."""
    plan = f"t{TOKENS}-w0-g0-hold{hold}"
    async with open_model() as model:
        config = configuration(folder / "data", model.url)
        async with open_inside(config) as node, trio.open_nursery() as nursery:
            reader = Reader()
            headers = node.headers(MARKER, plan)
            with trio.fail_after(60):
                nursery.start_soon(node.stream, f"say <<{MARKER}>>", headers, reader)
                await model.wait_calls(1)
                if hold:
                    await model.wait_answered(MARKER, hold)
                    await reader.wait_text()
            yield Turning(node, model, reader, headers)
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("victim", CUTS)
async def test_a_death_that_cuts_the_call_costs_one_more(
    tmp_path: Path, stage: str, victim: str
):
    async with turning(tmp_path, STAGES[stage]) as turn:
        await kill(victim)
        turn.model.release.set()

        assert await turn.joined() == EXPECTED
        assert turn.calls() == 2
        assert turn.faults() == []


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("victim", KEEPS)
async def test_a_death_beside_the_call_costs_nothing(
    tmp_path: Path, stage: str, victim: str
):
    async with turning(tmp_path, STAGES[stage]) as turn:
        await kill(victim)
        turn.model.release.set()

        assert await turn.joined() == EXPECTED
        assert turn.calls() == 1
        assert turn.faults() == []


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("victim", ["run", "session", "default/ledger", "bus"])
async def test_who_reads_the_stream_gets_the_text_once_or_sees_that_it_broke(
    tmp_path: Path, stage: str, victim: str
):
    async with turning(tmp_path, STAGES[stage]) as turn:
        await kill(victim)
        turn.model.release.set()
        with trio.fail_after(60):
            await turn.reader.wait_over()

        assert EXPECTED.startswith(turn.reader.text)
        if turn.reader.whole:
            assert turn.reader.text == EXPECTED
        else:
            assert turn.reader.errors or turn.reader.status != 200


@pytest.mark.parametrize("victim", [*CUTS, *KEEPS])
async def test_a_death_while_the_turn_waits_for_a_permit_costs_no_call(
    tmp_path: Path, victim: str
):
    plan = f"t{TOKENS}-w0-g0-hold0"
    async with open_model() as model:
        config = configuration(tmp_path / "data", model.url, max_concurrent=1)
        async with open_inside(config) as node, trio.open_nursery() as nursery:
            other = node.headers("other", plan, session="agent:main:other")
            headers = node.headers(MARKER, plan)
            text = f"say <<{MARKER}>>"
            with trio.fail_after(60):
                nursery.start_soon(node.stream, "say <<other>>", other, Reader())
                await model.wait_calls(1)
                nursery.start_soon(node.stream, text, headers, Reader())
                await wait_for_a_permit()
            turn = Turning(node, model, Reader(), headers)

            await kill(victim)
            model.release.set()

            assert await turn.joined() == EXPECTED
            assert turn.calls() == 1
            nursery.cancel_scope.cancel()


async def wait_for_a_permit() -> None:
    """Until a turn waits for the one permit that there is."""
    while (await supervision.call("providers/openai", GetPermits())).waiting == 0:
        await trio.sleep(0.001)
