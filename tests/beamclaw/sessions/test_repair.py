"""A session whose journal is damaged is made whole when it is loaded, by an event."""

from trio.testing import MockClock

import supervision
from beamclaw.contracts import journal
from beamclaw.contracts.journal import Answered, Body, Repaired, ToolEnded
from beamclaw.contracts.ledger import Claim, Commit, Owned
from beamclaw.contracts.ledger_reads import ReadSession
from beamclaw.contracts.messages import Message, ToolCall, ToolResult, Usage
from beamclaw.contracts.repair import LOST
from beamclaw.contracts.transcript import Transcript, extend
from tests.beamclaw.sessions.conftest import KEY, Model
from tests.beamclaw.sessions.test_tools import are_paired


async def write(*bodies: Body) -> None:
    """Write past the session, as nobody does."""
    entry = supervision.lookup("default/ledger")
    assert entry is not None
    owner: Owned = entry.value  # pyright: ignore[reportAssignmentType]
    found = await supervision.call("default/ledger", ReadSession(KEY))
    commit = Commit(
        claim=Claim("default", owner.owner_epoch),
        session_key=KEY,
        expected_seq=found.seq,
        events=tuple(journal.event(body, at=1.0) for body in bodies),
    )
    await supervision.call("default/ledger", commit)


def asks(id_: str) -> Answered:
    return Answered(
        attempt=1,
        message=Message("assistant", (ToolCall(id_, "f", "{}"),)),
        stop_reason="tool_calls",
        usage=Usage(),
    )


def result(id_: str) -> ToolEnded:
    return ToolEnded(outcome="ok", result=ToolResult(id_, "done"))


async def repairs() -> list[Repaired]:
    found = await supervision.call("default/ledger", ReadSession(KEY))
    bodies = [journal.read(event) for event in found.events]
    return [body for body in bodies if isinstance(body, Repaired)]


async def test_a_damaged_conversation_goes_on_and_says_what_was_wrong(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    async with open_tenant() as tenant:
        await tenant.ask("one")
        await write(asks("a"), result("b"), asks("a"), result("a"), result("a"))
    async with open_tenant() as tenant:
        tenant.sent = 10
        assert (await tenant.ask("two")).outcome == "ok"
        sent = model.calls[-1].messages
        assert are_paired(sent)
        assert [m.text for m in sent if m.role == "user"] == ["one", "two"]
        assert ToolResult("a", LOST, is_error=True) in [
            part for message in sent for part in message.parts
        ]
        (one,) = await repairs()
        assert "the call a without a result" in one.splices[0].why
        # What is in memory is what the journal says.
        found = await supervision.call("default/ledger", ReadSession(KEY))
        whole = extend(Transcript(), found.events)
        assert whole.messages[: len(sent)] == sent


async def test_a_conversation_is_repaired_once(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    async with open_tenant() as tenant:
        await tenant.ask("one")
        await write(asks("a"))
    for number in (10, 20):
        async with open_tenant() as tenant:
            tenant.sent = number
            await tenant.ask("and?")
            assert len(await repairs()) == 1


async def test_a_whole_conversation_is_left_alone(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    async with open_tenant() as tenant:
        await tenant.ask("one")
        await write(asks("a"), result("a"))
    async with open_tenant() as tenant:
        tenant.sent = 10
        await tenant.ask("two")
        assert await repairs() == []
