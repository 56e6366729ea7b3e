"""The contract of a ledger: commands that go on in the background, until they were told."""

import pytest

from beamclaw.contracts.ledger_errors import LedgerError
from beamclaw.contracts.ledger_ops import Deliver, DropCommand, PutCommand
from beamclaw.contracts.ledger_reads import ReadCommands
from beamclaw.contracts.ledger_rows import CommandRow
from beamclaw.contracts.ledger_session_ops import DropSession
from tests.support.ledgers import KEY, OTHER, Epochs, end, event, message

PUT = PutCommand(command_id="c", agent="main", title="sleep 9", at=5.0)
ROW = CommandRow(command_id="c", session_key=KEY, agent="main", title="sleep 9", at=5.0)


async def test_a_command_stands_there_until_it_was_told(ledger):
    await ledger.begin()
    await ledger.commit(ops=(PUT,), seq=None)
    await ledger.commit(ops=(PUT,), seq=None)

    assert await ledger.call(ReadCommands()) == (ROW,)
    ops = (Deliver(message("r2")), DropCommand("c"))
    await ledger.commit(ops=ops, seq=None)
    await ledger.commit(ops=ops, seq=None)
    assert await ledger.call(ReadCommands()) == ()
    assert [row.run_id for row in (await ledger.read()).inbox] == ["r2"]


async def test_it_is_there_after_the_ledger_was_opened_again(opened):
    epochs = Epochs()
    async with opened(epochs=epochs) as ledger:
        await ledger.begin()
        await ledger.commit(ops=(PUT,), seq=None)
    async with opened(epochs=epochs) as ledger:
        assert await ledger.call(ReadCommands()) == (ROW,)


async def test_nothing_is_told_if_the_commit_is_refused(ledger):
    await ledger.begin()
    await ledger.commit(ops=(PUT,), seq=None)
    with pytest.raises(LedgerError):
        await ledger.commit(ops=(DropCommand("c"), DropSession(9.0)), seq=None)

    assert await ledger.call(ReadCommands()) == (ROW,)


async def test_a_session_that_is_deleted_takes_its_commands_along(ledger):
    await ledger.begin()
    await ledger.commit(ops=(PUT,), seq=None)
    await ledger.commit(event("run-over", "r1"), run="r1", ops=(end(),))
    await ledger.commit(ops=(DropSession(9.0),), seq=None)

    assert await ledger.call(ReadCommands()) == ()


async def test_commands_are_written_by_the_session_s_own_claim(ledger):
    await ledger.begin()
    for op in (PUT, DropCommand("c")):
        with pytest.raises(LedgerError):
            await ledger.commit(ops=(op,), run="r1", seq=None)
    with pytest.raises(LedgerError):
        await ledger.commit(ops=(PUT,), key=OTHER, seq=None)
