"""The contract of a ledger: `beamclaw.contracts.ledger`, sentence by sentence.

Every implementation passes the same tests; another one is another entry in
``LEDGERS`` of :mod:`tests.support.ledgers`.
"""

from functools import partial
from typing import Any

import attrs
import pytest
import trio

import supervision
from beamclaw.contracts.budgets import Spent, session_purse
from beamclaw.contracts.ledger import GetLedgerStatus, ProveCommit
from beamclaw.contracts.ledger_errors import (
    HasWork,
    IdempotencyConflict,
    LedgerError,
    Overloaded,
    SequenceConflict,
    StaleClaim,
    TooManyChildren,
)
from beamclaw.contracts.ledger_inbox import Receipt
from beamclaw.contracts.ledger_ops import (
    OUTPUT_PIECE,
    CancelChildren,
    ClaimRun,
    Deliver,
    ForgetAbout,
    NoteRevival,
    NoteWarned,
    Op,
    OpenChild,
    OpenRun,
    PutDefinition,
    PutOutbound,
    PutOutput,
    Reserve,
    Settle,
    Take,
    TakeChild,
)
from beamclaw.contracts.ledger_reads import (
    CountAbout,
    OutputRead,
    ReadAncestors,
    ReadChildren,
    ReadDefinition,
    ReadExpired,
    ReadJournal,
    ReadMessage,
    ReadOpenWork,
    ReadOutput,
    ReadRun,
    ReadSession,
    ReadSessions,
    ReadTurn,
    SessionRead,
)
from beamclaw.contracts.ledger_rows import RunRow, SnapshotRow
from beamclaw.contracts.ledger_session_ops import (
    DropSession,
    ForgetSnapshots,
    PutSnapshot,
    SetAgent,
)
from beamclaw.contracts.ledger_usage import (
    By,
    PurseRow,
    ReadPurses,
    ReadSpent,
    ReadSums,
    ReadUsage,
)
from beamclaw.contracts.messages import ToolCall, Usage
from beamclaw.contracts.subagents import Spend
from tests.support.ledgers import (
    KEY,
    NAME,
    OTHER,
    THREADS,
    Client,
    Epochs,
    end,
    event,
    message,
)

# --- messages


async def test_an_accepted_message_waits_for_its_session(ledger):
    receipt = await ledger.accept()
    assert receipt == Receipt(
        inbox_id=1, run_id="r1", session_key=KEY, at=1.0, fresh=True
    )
    waiting = (await ledger.read()).inbox
    assert [(row.id, row.run_id, row.body) for row in waiting] == [
        (1, "r1", b'{"say":"hello"}')
    ]
    assert await ledger.call(ReadOpenWork()) == (KEY,)
    assert await ledger.call(ReadRun("r1")) == RunRow(
        run_id="r1", session_key=KEY, state="queued"
    )


async def test_only_the_first_message_of_a_session_is_fresh(ledger):
    assert (await ledger.accept("r1")).fresh
    assert not (await ledger.accept("r2")).fresh
    assert (await ledger.accept("r3", OTHER)).fresh


async def test_a_repeat_gets_the_receipt_of_the_first(ledger):
    first = await ledger.accept("r1")
    again = await ledger.accept("r2", external_id="id of r1", at=2.0)
    assert again == Receipt(
        inbox_id=first.inbox_id, run_id="r1", session_key=KEY, at=1.0, duplicate=True
    )
    assert await ledger.call(ReadRun("r2")) is None


async def test_a_repeat_names_the_session_of_the_first(ledger):
    await ledger.accept("r1", OTHER, conversation="c")
    again = await ledger.accept("r2", conversation="c", external_id="id of r1")
    assert (again.session_key, again.run_id) == (OTHER, "r1")
    assert (await ledger.read()).inbox == ()


async def test_a_repeat_is_known_after_the_message_was_taken(ledger):
    await ledger.begin("r1")
    assert (await ledger.accept("r9", external_id="id of r1")).run_id == "r1"


@pytest.mark.parametrize("part", ["source", "account", "conversation", "external_id"])
async def test_each_part_of_the_id_makes_another_message(ledger, part):
    await ledger.accept("r1")
    given = {"external_id": "id of r1", part: "another"}
    assert not (await ledger.accept("r2", **given)).duplicate


async def test_an_id_cannot_be_used_for_another_content(ledger):
    await ledger.accept("r1")
    with pytest.raises(IdempotencyConflict, match="came before with another content"):
        await ledger.accept("r2", external_id="id of r1", fingerprint="another")


async def test_repeats_that_come_together_are_one_message(ledger):
    receipts: list[Receipt] = []

    async def send(number: int) -> None:
        receipts.append(await ledger.accept(f"r{number}", external_id="same"))

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(send, number)
    assert sum(not receipt.duplicate for receipt in receipts) == 1
    assert len({receipt.run_id for receipt in receipts}) == 1
    assert len((await ledger.read()).inbox) == 1


async def test_a_run_id_is_given_to_one_message_only(ledger):
    await ledger.accept("r1")
    with pytest.raises(LedgerError, match="given to another message"):
        await ledger.accept("r1", external_id="another")


async def test_a_full_inbox_refuses_at_once_and_says_what_holds_it(opened):
    async with opened(inbox_limit=2) as ledger:
        await ledger.accept("r1")
        await ledger.accept("r2")
        with pytest.raises(Overloaded, match=r"2 messages .*sessions.inbox_limit: 2"):
            await ledger.accept("r3")
        assert (await ledger.accept("r9", external_id="id of r1")).duplicate
        await ledger.commit(ops=(Take((1,)), OpenRun("r1", 2.0)))
        assert (await ledger.accept("r3")).inbox_id == 3


async def test_one_session_has_a_share_of_the_inbox(opened):
    async with opened(inbox_limit=3, inbox_share=1) as ledger:
        await ledger.accept("r1", "one")
        with pytest.raises(Overloaded, match=r"in one .*session_inbox_limit: 1"):
            await ledger.accept("r2", "one")
        await ledger.accept("r2", "two")
        await ledger.commit(key="one", ops=(Take((1,)), OpenRun("r1", 2.0)))
        await ledger.accept("r3", "one")


# --- the journal


async def test_events_are_numbered_from_one_without_gaps(ledger):
    await ledger.accept()
    assert await ledger.commit(event("a"), event("b")) == 2
    assert await ledger.commit(event("c")) == 3
    read = await ledger.read()
    assert [(found.seq, found.kind) for found in read.events] == [
        (1, "a"),
        (2, "b"),
        (3, "c"),
    ]
    assert read.seq == 3


async def test_an_event_is_read_as_it_was_written(ledger):
    await ledger.begin()
    given = event(
        "answer",
        "r1",
        version=7,
        at=1234567890.1234567,
        body='{"text":"Größe 🎈"}'.encode(),
        parent=1,
        origin="node-2",
        sender="ann",
        reply_to="telegram:1",
    )
    await ledger.commit(given, run="r1")
    (found,) = (await ledger.read(after=1)).events
    for name, value in attrs.asdict(given).items():
        assert getattr(found, name) == value
    assert (found.seq, found.run_epoch) == (2, 1)


async def test_a_journal_can_be_read_from_any_event_on(ledger):
    await ledger.accept()
    await ledger.commit(*[event(str(number)) for number in range(1, 51)])
    for after in (0, 1, 49, 50, 99):
        found = (await ledger.read(after=after)).events
        assert [e.seq for e in found] == list(range(after + 1, 51))
        assert await ledger.call(ReadJournal(KEY, after)) == found


async def test_sessions_have_a_journal_each(ledger):
    await ledger.accept("r1")
    await ledger.accept("r2", OTHER)
    await ledger.commit(event("mine"))
    await ledger.commit(event("theirs"), key=OTHER)
    await ledger.commit(event("mine too"))
    assert [e.kind for e in (await ledger.read()).events] == ["mine", "mine too"]
    assert [e.kind for e in (await ledger.read(OTHER)).events] == ["theirs"]


@pytest.mark.parametrize("seq", [0, 1, 3, None])
async def test_who_does_not_know_the_end_of_the_journal_cannot_write(ledger, seq):
    await ledger.accept()
    await ledger.commit(event(), event())
    with pytest.raises(SequenceConflict, match="is at event 2"):
        await ledger.commit(event(), seq=seq)
    assert (await ledger.read()).seq == 2


async def test_without_events_the_end_of_the_journal_need_not_be_known(ledger):
    await ledger.accept()
    await ledger.commit(event())
    assert await ledger.commit(ops=(Take((1,)),), seq=None) == 1


async def test_a_session_that_never_had_a_message_cannot_be_written(ledger):
    with pytest.raises(LedgerError, match="no message ever came"):
        await ledger.commit(event(), key="agent:main:nobody")
    empty = SessionRead(seq=0, events=(), inbox=())
    assert await ledger.read("agent:main:nobody") == empty


# --- all or nothing


async def test_of_a_refused_commit_nothing_is_written(ledger):
    await ledger.accept("r1")
    await ledger.accept("r2", OTHER)
    ops = (PutDefinition("h", b"{}"), Take((1,)), OpenRun("r1", 2.0), Take((2,)))
    with pytest.raises(LedgerError, match="message 2 does not wait"):
        await ledger.commit(event(), ops=ops)
    read = await ledger.read()
    assert (read.seq, len(read.inbox), read.open_run) == (0, 1, None)
    assert await ledger.call(ReadDefinition("h")) is None
    assert await ledger.call(ReadRun("r1")) == RunRow(
        run_id="r1", session_key=KEY, state="queued"
    )


UNWRITABLE = {
    "not a text": {"kind": None},
    "half of a character": {"kind": "\ud83d"},
    "a number that is too large": {"version": 2**70},
    "not a body": {"body": None},
}


@pytest.mark.parametrize("values", UNWRITABLE.values(), ids=UNWRITABLE.keys())
async def test_only_the_guilty_one_of_many_is_told(ledger, values):
    """What only the database can find out must not hurt those beside it."""
    for number in range(8):
        await ledger.accept(f"r{number}", f"k{number}")
    failed: list[tuple[int, str]] = []

    async def write(number: int) -> None:
        written = event(**(values if number == 3 else {}))
        try:
            await ledger.commit(written, key=f"k{number}")
        except LedgerError as error:
            failed.append((number, str(error)[:19]))

    async with trio.open_nursery() as nursery:
        for number in range(8):
            nursery.start_soon(write, number)
    assert failed == [(3, "nothing was written")]
    seqs = [(await ledger.read(f"k{number}")).seq for number in range(8)]
    assert seqs == [1, 1, 1, 0, 1, 1, 1, 1]
    assert supervision.whereis(NAME) is not None
    assert await ledger.commit(event(), key="k3") == 1


# --- claims


@pytest.mark.parametrize("epoch", [0, 2])
async def test_another_owner_epoch_is_refused(ledger, epoch):
    await ledger.accept()
    with pytest.raises(StaleClaim):
        await ledger.commit(event(), epoch=epoch)


async def test_who_opened_the_ledger_before_is_refused_after(opened):
    epochs = Epochs()
    async with opened(epochs) as ledger:
        await ledger.accept()
        await ledger.commit(event())
    async with opened(epochs) as ledger:
        assert ledger.epoch == 2
        with pytest.raises(StaleClaim):
            await ledger.commit(event(), seq=1, epoch=1)
        assert await ledger.commit(event(), seq=1) == 2


async def test_a_run_writes_under_its_claim(ledger):
    await ledger.begin()
    assert await ledger.commit(event("ask", "r1"), run="r1") == 2
    (_, found) = (await ledger.read()).events
    assert (found.run_id, found.run_epoch) == ("r1", 1)


@pytest.mark.parametrize("run_epoch", [0, 2])
async def test_another_run_epoch_is_refused(ledger, run_epoch):
    await ledger.begin()
    with pytest.raises(StaleClaim, match="is at epoch 1"):
        await ledger.commit(event(), run="r1", run_epoch=run_epoch)


async def test_a_run_that_was_taken_over_is_refused(ledger):
    await ledger.begin()
    await ledger.commit(event(), run="r1", run_epoch=2, ops=(ClaimRun(5.0),))
    with pytest.raises(StaleClaim):
        await ledger.commit(event(), run="r1", run_epoch=1)
    assert await ledger.commit(event("ask", "r1"), run="r1", run_epoch=2) == 3
    assert (await ledger.read()).events[-1].run_epoch == 2
    assert (await ledger.call(ReadRun("r1"))).epoch == 2


@pytest.mark.parametrize("run_epoch", [0, 1])
async def test_a_run_is_taken_over_with_a_newer_epoch_only(ledger, run_epoch):
    await ledger.begin()
    with pytest.raises(StaleClaim):
        await ledger.commit(run="r1", run_epoch=run_epoch, ops=(ClaimRun(5.0),))


async def test_a_stale_claim_is_told_before_a_conflict(ledger):
    await ledger.begin()
    with pytest.raises(StaleClaim):
        await ledger.commit(event(), run="r1", run_epoch=7, seq=99)


async def test_a_claim_of_no_run_or_of_another_session_is_refused(ledger):
    await ledger.begin("r1")
    await ledger.begin("r2", OTHER)
    for run in ("r2", "nobody"):
        with pytest.raises(StaleClaim, match="not in progress in session"):
            await ledger.commit(event(), run=run)


# --- runs


async def test_a_run_is_queued_then_running_then_ended(ledger):
    await ledger.accept()
    states = [(await ledger.call(ReadRun("r1"))).state]
    await ledger.commit(ops=(Take((1,)), OpenRun("r1", 2.0)))
    states.append((await ledger.read()).open_run.state)
    await ledger.commit(run="r1", ops=(end(),))
    states.append((await ledger.call(ReadRun("r1"))).state)
    assert states == ["queued", "running", "ended"]
    assert (await ledger.read()).open_run is None
    assert await ledger.call(ReadOpenWork()) == ()


async def test_what_a_run_ended_with_is_kept(ledger):
    await ledger.begin()
    await ledger.commit(
        run="r1",
        ops=(
            end(
                outcome="error",
                stop_reason="error",
                text="half an ans",
                usage=Usage(10, 5, 3, estimated=True),
                error_kind="overloaded",
                error="the provider is overloaded",
            ),
        ),
    )
    assert await ledger.call(ReadRun("r1")) == RunRow(
        run_id="r1",
        session_key=KEY,
        state="ended",
        epoch=1,
        outcome="error",
        stop_reason="error",
        text="half an ans",
        usage=Usage(10, 5, 3, estimated=True),
        error_kind="overloaded",
        error="the provider is overloaded",
    )


async def test_the_calls_that_a_client_carries_out_are_kept_with_the_end(ledger):
    calls = (ToolCall("c1", "weather", '{"town":"Oslo"}'), ToolCall("c2", "time", ""))
    await ledger.begin()
    await ledger.commit(run="r1", ops=(end(stop_reason="tool_calls", calls=calls),))
    assert (await ledger.call(ReadRun("r1"))).calls == calls


async def test_what_is_kept_about_a_run_is_there_until_it_is_forgotten(ledger):
    await ledger.accept(about=b'{"a":1}')
    await ledger.accept("r2")
    assert (await ledger.call(ReadRun("r1"))).about == b'{"a":1}'
    assert (await ledger.call(ReadRun("r2"))).about == b""
    await ledger.commit(ops=(Take((1,)), OpenRun("r1", 2.0)))
    await ledger.commit(run="r1", ops=(end(),))
    assert (await ledger.call(ReadRun("r1"))).about == b'{"a":1}'
    assert await ledger.call(CountAbout(KEY)) == 1
    assert await ledger.call(CountAbout(KEY, besides="r1")) == 0
    assert await ledger.call(CountAbout(KEY, besides="r2")) == 1
    await ledger.commit(ops=(ForgetAbout("r1"),))
    assert (await ledger.call(ReadRun("r1"))).about == b""
    assert await ledger.call(CountAbout(KEY)) == 0


async def test_a_message_is_found_by_its_run_while_it_waits(ledger):
    await ledger.accept("r1")
    await ledger.accept("r2", OTHER)
    found = await ledger.call(ReadMessage("r2"))
    assert (found.id, found.session_key, found.run_id) == (2, OTHER, "r2")
    assert found.body == b'{"say":"hello"}'
    await ledger.commit(ops=(Take((2,)), OpenRun("r2", 2.0)), key=OTHER)
    assert await ledger.call(ReadMessage("r2")) is None
    assert await ledger.call(ReadMessage("r9")) is None


async def test_the_events_of_a_turn_are_its_own_and_those_it_began_with(ledger):
    async def turn(run: str) -> None:
        await ledger.accept(run)
        number = (await ledger.read()).inbox[0].id
        opening = (event("said"), event("begun", run), event("said", run))
        ops = (Take((number,)), OpenRun(run, 2.0))
        await ledger.commit(*opening, ops=ops)
        await ledger.commit(event("over", run), ops=(end(run),), run=run)

    for run in ("r1", "r2", "r3"):
        await turn(run)
    await ledger.commit(event("said"))
    for number, run in enumerate(("r1", "r2", "r3")):
        found = await ledger.call(ReadTurn(run, "said"))
        first = 4 * number + 1
        assert [each.seq for each in found] == [first, first + 2]
        everything = (await ledger.read()).events
        assert found == (everything[first - 1], everything[first + 1])
    assert await ledger.call(ReadTurn("r2", "begun")) != ()
    assert await ledger.call(ReadTurn("r2", "never")) == ()
    assert await ledger.call(ReadTurn("r9", "said")) == ()


async def test_an_ended_run_writes_no_more(ledger):
    await ledger.begin()
    await ledger.commit(run="r1", ops=(end(),))
    with pytest.raises(StaleClaim):
        await ledger.commit(event(), run="r1")
    with pytest.raises(LedgerError, match="over already"):
        await ledger.commit(ops=(end(),))
    with pytest.raises(LedgerError, match="begun before"):
        await ledger.commit(ops=(OpenRun("r1", 5.0),))


async def test_a_session_ends_its_run_and_the_run_is_refused_from_then_on(ledger):
    await ledger.begin()
    await ledger.commit(event("ended", "r1"), ops=(end(outcome="aborted"),))
    row = await ledger.call(ReadRun("r1"))
    assert (row.state, row.outcome, row.epoch) == ("ended", "aborted", 2)
    assert (await ledger.read()).events[-1].run_epoch == 2
    with pytest.raises(StaleClaim):
        await ledger.commit(event(), run="r1")


async def test_a_waiting_message_is_stopped_by_its_session(ledger):
    await ledger.accept()
    await ledger.commit(ops=(Take((1,)), end(outcome="aborted", text="")))
    assert await ledger.call(ReadOpenWork()) == ()
    assert (await ledger.call(ReadRun("r1"))).outcome == "aborted"


@pytest.mark.parametrize("op", [OpenRun("r1", 2.0), end()], ids=["begins", "ends"])
async def test_no_run_goes_on_while_its_message_waits(ledger, op):
    await ledger.accept()
    with pytest.raises(LedgerError, match="has to be taken first"):
        await ledger.commit(ops=(op,))


async def test_a_session_has_one_run_in_progress(ledger):
    await ledger.begin("r1")
    receipt = await ledger.accept("r2")
    ops = (Take((receipt.inbox_id,)), OpenRun("r2", 5.0))
    with pytest.raises(LedgerError, match="has run r1 in progress"):
        await ledger.commit(ops=ops)
    await ledger.commit(run="r1", ops=(end(),))
    await ledger.commit(ops=ops)
    assert (await ledger.read()).open_run.run_id == "r2"


async def test_a_message_is_taken_once(ledger):
    await ledger.accept()
    await ledger.commit(ops=(Take((1,)),))
    with pytest.raises(LedgerError, match="message 1 does not wait"):
        await ledger.commit(ops=(Take((1,)),))
    with pytest.raises(LedgerError, match="message 1 does not wait"):
        await ledger.commit(ops=(Take((1, 1)),))


@pytest.mark.parametrize("op", [OpenRun("r2", 5.0), NoteRevival("r1"), end("r2")])
async def test_a_run_speaks_for_itself_only(ledger, op):
    await ledger.begin("r1")
    await ledger.accept("r2")
    with pytest.raises(LedgerError):
        await ledger.commit(run="r1", ops=(op,))


async def test_revivals_are_counted(ledger):
    await ledger.begin()
    for _ in range(3):
        await ledger.commit(ops=(NoteRevival("r1"),))
    assert (await ledger.read()).open_run.revivals == 3
    await ledger.commit(run="r1", ops=(end(),))
    with pytest.raises(LedgerError, match="not in progress"):
        await ledger.commit(ops=(NoteRevival("r1"),))


async def test_open_work_is_told_oldest_first(ledger):
    await ledger.accept("r1", "old", at=10.0)
    await ledger.accept("r2", "new", at=30.0)
    await ledger.accept("r3", "middle", at=20.0)
    await ledger.accept("r4", "old", at=40.0)
    assert await ledger.call(ReadOpenWork()) == ("old", "middle", "new")


# --- usage


def reserve(attempt: int = 1, **other: Any) -> Reserve:
    given: dict[str, Any] = {
        "run_id": "r1",
        "agent": "main",
        "provider": "openai",
        "model": "m",
        "at": 86_400.0 * 3 + 1,
        "bound": Usage(100, 50, 0),
    }
    return Reserve(attempt=attempt, **(given | other))


async def test_a_reservation_counts_in_full_until_it_is_settled(ledger):
    await ledger.begin()
    await ledger.commit(run="r1", ops=(reserve(1),))
    (row,) = await ledger.call(ReadUsage())
    assert (row.day, row.calls) == ("1970-01-04", 1)
    assert (row.usage, row.reserved) == (Usage(), Usage(100, 50))
    settle = Settle("r1", 1, 5.0, Usage(90, 7, 80, estimated=True))
    await ledger.commit(run="r1", ops=(settle, reserve(2)))
    (row,) = await ledger.call(ReadUsage())
    assert row.usage == Usage(90, 7, 80, estimated=True)
    assert (row.calls, row.reserved) == (2, Usage(100, 50))


async def test_a_call_that_was_stopped_counts_as_its_prompt_and_what_came(ledger):
    await ledger.begin()
    await ledger.commit(run="r1", ops=(reserve(1, cost=1_000),))
    await ledger.commit(run="r1", ops=(Settle("r1", 1, 5.0, None, told=5),))
    (row,) = await ledger.call(ReadUsage())
    assert row.usage == Usage(100, 5, 0, estimated=True)
    spent = dict(await ledger.call(ReadSpent(("1970-01-04",))))
    assert {(sum_.tokens, sum_.cost) for sum_ in spent.values()} == {(105, 700)}


async def test_usage_is_summed_by_day_agent_provider_and_model(ledger):
    await ledger.begin()
    for attempt, other in enumerate(
        [{}, {}, {"model": "n"}, {"agent": "b"}, {"provider": "p"}, {"at": 1.0}]
    ):
        await ledger.commit(run="r1", ops=(reserve(attempt, **other),))
    rows = await ledger.call(ReadUsage())
    assert sorted(row.calls for row in rows) == [1, 1, 1, 1, 2]
    assert len(await ledger.call(ReadUsage(since=86_400.0))) == 4


async def test_usage_is_summed_by_whatever_is_asked_for(ledger):
    await ledger.begin()
    await ledger.begin("r2", OTHER)
    for attempt, other in enumerate(
        [{}, {"model": "n", "cost": 9}, {"agent": "b"}, {"at": 1.0, "cost": 5}]
    ):
        await ledger.commit(run="r1", ops=(reserve(attempt, **other),))
    mine = reserve(9, run_id="r2", provider="p", cost=7)
    await ledger.commit(run="r2", key=OTHER, ops=(mine,))
    settle = Settle("r2", 9, 5.0, Usage(10, 5, 4), 3)
    await ledger.commit(run="r2", key=OTHER, ops=(settle,))

    async def told(by: By, **other: Any) -> list[tuple[str, int, int]]:
        rows = await ledger.call(ReadSums(by, **other))
        return [(row.name, row.calls, row.cost) for row in rows]

    assert await told("day") == [("1970-01-01", 1, 5), ("1970-01-04", 4, 12)]
    assert await told("agent") == [("main", 4, 17), ("b", 1, 0)]
    assert await told("provider") == [("openai", 4, 14), ("p", 1, 3)]
    models = [("openai/n", 1, 9), ("openai/m", 3, 5), ("p/m", 1, 3)]
    assert await told("model") == models
    assert await told("session") == [(KEY, 4, 14), (OTHER, 1, 3)]
    assert await told("session", limit=1) == [(KEY, 4, 14)]
    assert await told("day", since=86_400.0) == [("1970-01-04", 4, 12)]
    (row,) = [row for row in await ledger.call(ReadSums("provider")) if row.name == "p"]
    assert (row.usage, row.reserved) == (Usage(10, 5, 4), Usage())


async def test_what_was_warned_of_is_known_until_the_purse_is_forgotten(ledger):
    await ledger.begin()
    await ledger.commit(run="r1", ops=(reserve(1, cost=11),))
    purse, nobody = session_purse(KEY), session_purse(OTHER)
    notes = [NoteWarned(purse, "cost", limit, 5.0) for limit in (20, 12, 20)]
    await ledger.commit(ops=tuple(notes), seq=None)
    await ledger.commit(ops=(notes[0],), seq=None)
    found = await ledger.call(ReadPurses((purse, nobody)))
    assert found == (
        PurseRow(purse, Spent(150, 11, 1), (("cost", 12), ("cost", 20))),
        PurseRow(nobody, Spent()),
    )


async def test_only_a_session_notes_a_warning(ledger):
    await ledger.begin()
    note = NoteWarned(session_purse(KEY), "cost", 20, 5.0)
    with pytest.raises(LedgerError, match="NoteWarned"):
        await ledger.commit(run="r1", ops=(note,))


async def test_an_attempt_is_reserved_once_and_settled_once(ledger):
    await ledger.begin()
    settle = Settle("r1", 1, 5.0, Usage(1, 1))
    with pytest.raises(LedgerError, match="nothing is reserved"):
        await ledger.commit(run="r1", ops=(settle,))
    await ledger.commit(run="r1", ops=(reserve(1),))
    with pytest.raises(LedgerError):
        await ledger.commit(run="r1", ops=(reserve(1),))
    await ledger.commit(run="r1", ops=(settle,))
    with pytest.raises(LedgerError, match="nothing is reserved"):
        await ledger.commit(run="r1", ops=(settle,))


# --- definitions and the outbox


async def test_a_definition_is_kept_by_its_hash(ledger):
    await ledger.accept()
    assert await ledger.call(ReadDefinition("h")) is None
    for _ in range(2):
        await ledger.commit(ops=(PutDefinition("h", b'{"model":"m"}'),))
    assert await ledger.call(ReadDefinition("h")) == b'{"model":"m"}'


async def test_an_outbound_is_put_once_under_its_key(ledger):
    await ledger.begin()
    piece = PutOutbound(key="r1/1", run_id="r1", reply_to="t:1", body=b"{}", at=5.0)
    for _ in range(2):
        await ledger.commit(run="r1", ops=(piece,))


# --- turns that work for others

SUB = "agent:main:subagent:1"


def spawn(run: str = "r1", child: str = "c1", **other: Any) -> OpenChild:
    key = other.pop("key", SUB)
    given: dict[str, Any] = {
        "message": message(child, key, source="agent", account="agent"),
        "run_id": run,
        "call_id": f"call of {child}",
        "kind": "spawn",
        "mode": "wait",
        "most_of_session": 5,
        "most": 8,
    }
    return OpenChild(**(given | other))


async def take_message(ledger: Client, key: str = SUB) -> None:
    """Whoever the message is for begins its turn."""
    (row,) = (await ledger.read(key)).inbox
    await ledger.take(row, key=key)


async def test_a_child_is_opened_with_its_message_in_one_commit(ledger):
    await ledger.begin()
    await ledger.commit(event("begun", "r1"), run="r1", ops=(spawn(),))
    (row,) = (await ledger.read(SUB)).inbox
    assert (row.run_id, row.body) == ("c1", b'{"say":"hello"}')
    (child,) = (await ledger.read()).children
    assert (child.run_id, child.session_key, child.state) == ("c1", SUB, "open")
    assert (child.parent_session, child.parent_run) == (KEY, "r1")
    assert set(await ledger.call(ReadOpenWork())) == {KEY, SUB}


async def test_a_child_that_is_refused_leaves_no_message(ledger):
    await ledger.begin()
    with pytest.raises(StaleClaim):
        await ledger.commit(ops=(spawn(),), run="r1", run_epoch=2)
    with pytest.raises(LedgerError, match="session's own claim"):
        await ledger.commit(run="r1", ops=(spawn(), OpenRun("r1", 1.0)))
    assert await ledger.read(SUB) == SessionRead(seq=0, events=(), inbox=())
    assert (await ledger.read()).children == ()


@pytest.mark.parametrize(
    "most, words",
    [
        ({"most": 2}, r"2 sub-agents work already \(limits.subagents.concurrent: 2\)"),
        ({"most_of_session": 2}, r"2 sub-agents of this .*subagents.children: 2\)"),
    ],
)
async def test_so_many_children_and_no_more(ledger, most, words):
    await ledger.begin()
    for number in range(2):
        await ledger.commit(
            run="r1", ops=(spawn(child=f"c{number}", key=f"k{number}", **most),)
        )
    with pytest.raises(TooManyChildren, match=words):
        await ledger.commit(run="r1", ops=(spawn(child="c9", key="k9", **most),))
    # A message to another session is none, and who has ended makes a place.
    sent = spawn(child="s1", key="k8", kind="send", **most)
    await ledger.commit(run="r1", ops=(sent,))
    await take_message(ledger, "k0")
    await ledger.commit(run="c0", key="k0", ops=(end("c0"),))
    await ledger.commit(run="r1", ops=(spawn(child="c9", key="k9", **most),))


async def test_a_full_inbox_takes_no_child_and_still_what_is_owed(opened):
    async with opened(inbox_limit=1) as ledger:
        await ledger.begin()
        await ledger.accept("r2")
        with pytest.raises(Overloaded):
            await ledger.commit(run="r1", ops=(spawn(),))
        owed = message("a1", source="agent")
        for _ in range(2):
            await ledger.commit(run="r1", ops=(Deliver(owed),))
        assert [row.run_id for row in (await ledger.read()).inbox] == ["r2", "a1"]


async def test_the_result_is_there_with_the_end_and_taken_once(ledger):
    await ledger.begin()
    await ledger.commit(run="r1", ops=(spawn(),))
    with pytest.raises(LedgerError, match="has no result yet"):
        await ledger.commit(run="r1", ops=(TakeChild("c1"),))
    await take_message(ledger)
    used = Spend(model_calls=1, tool_calls=2, tokens=30, seconds=4.5, cost=9)
    await ledger.commit(run="c1", key=SUB, ops=(end("c1", text="done", spend=used),))
    assert (await ledger.read(SUB)).owed == (KEY,)
    (child,) = (await ledger.read()).children
    assert (child.state, child.outcome, child.text) == ("ended", "ok", "done")
    assert child.spend == used
    await ledger.commit(event("ended", "r1"), run="r1", ops=(TakeChild("c1"),))
    assert (await ledger.read()).children == ()
    assert (await ledger.read(SUB)).owed == ()
    with pytest.raises(LedgerError, match="waits for no run c1"):
        await ledger.commit(run="r1", ops=(TakeChild("c1"),))


async def test_who_has_a_message_that_was_not_taken_is_known_to_who_sent_it(ledger):
    await ledger.begin()
    for child, key in (("m1", OTHER), ("m2", OTHER), ("m3", SUB)):
        sent = message(child, key, source="agent", account="agent", conversation=KEY)
        await ledger.commit(run="r1", ops=(Deliver(sent),))
    assert (await ledger.read()).owed == (OTHER, SUB)
    await take_message(ledger, SUB)
    assert (await ledger.read()).owed == (OTHER,)


async def test_nobody_else_takes_a_result(ledger):
    await ledger.begin()
    await ledger.begin("r2", OTHER)
    await ledger.commit(run="r1", ops=(spawn(),))
    await take_message(ledger)
    await ledger.commit(run="c1", key=SUB, ops=(end("c1"),))
    with pytest.raises(LedgerError, match="waits for no run"):
        await ledger.commit(run="r2", key=OTHER, ops=(TakeChild("c1"),))


ENDS = [
    ("ok", "wait", "cancelled"),
    ("ok", "announce", "open"),
    ("aborted", "announce", "cancelled"),
    ("limited", "wait", "cancelled"),
    ("error", "announce", "cancelled"),
    ("quarantined", "wait", "cancelled"),
]


@pytest.mark.parametrize("outcome, mode, state", ENDS)
async def test_the_end_of_a_run_decides_about_its_children(
    ledger, outcome, mode, state
):
    await ledger.begin()
    ops: tuple[Op, ...] = (
        spawn(mode=mode),
        spawn(child="s1", key=OTHER, kind="send", mode="announce"),
    )
    await ledger.commit(run="r1", ops=ops)
    await take_message(ledger)
    await ledger.commit(run="r1", ops=(end("r1", outcome=outcome),))
    rows = (await ledger.read()).children
    assert [(row.run_id, row.state) for row in rows] == [("c1", state), ("s1", "open")]
    assert (await ledger.read(SUB)).cancelled == (("c1",) * (state == "cancelled"))


async def test_a_cancelled_run_writes_no_more_and_its_session_ends_it(ledger):
    await ledger.begin()
    await ledger.commit(run="r1", ops=(spawn(),))
    await take_message(ledger)
    await ledger.commit(run="r1", ops=(CancelChildren("r1", "call of c1"),))
    with pytest.raises(StaleClaim, match="was cancelled"):
        await ledger.commit(event(), run="c1", key=SUB)
    await ledger.commit(event(), key=SUB, ops=(end("c1", outcome="aborted"),))
    read = await ledger.read(SUB)
    assert (read.cancelled, read.owed) == ((), ())
    assert (await ledger.read()).children == ()
    (child,) = await ledger.call(ReadChildren(KEY))
    assert (child.state, child.outcome) == ("closed", "aborted")


async def test_a_result_that_nobody_wants_any_more_is_closed(ledger):
    await ledger.begin()
    await ledger.commit(run="r1", ops=(spawn(),))
    await take_message(ledger)
    await ledger.commit(run="c1", key=SUB, ops=(end("c1"),))
    await ledger.commit(run="r1", ops=(end("r1", outcome="aborted"),))
    assert (await ledger.read()).children == ()
    assert (await ledger.read(SUB)).owed == ()


async def test_children_are_known_after_the_ledger_was_opened_again(opened):
    epochs = Epochs()
    async with opened(epochs) as ledger:
        await ledger.begin()
        await ledger.commit(run="r1", ops=(spawn(),))
    async with opened(epochs) as ledger:
        with pytest.raises(TooManyChildren):
            ops = (spawn(child="c2", key="k2", most=1),)
            await ledger.commit(run="r1", ops=ops, seq=None)
        await take_message(ledger)
        await ledger.commit(run="c1", key=SUB, ops=(end("c1"),))
        await ledger.commit(run="r1", ops=(TakeChild("c1"),), seq=None)


async def test_who_has_spawned_a_session_is_known(ledger):
    await ledger.begin()
    await ledger.commit(run="r1", ops=(spawn(),))
    await take_message(ledger)
    await ledger.commit(run="c1", key=SUB, ops=(spawn("c1", "c2", key="leaf"),))
    sent = spawn("c1", "c3", key=OTHER, kind="send")
    await ledger.commit(run="c1", key=SUB, ops=(sent,))
    assert await ledger.call(ReadAncestors("leaf")) == (SUB, KEY)
    assert await ledger.call(ReadAncestors(OTHER)) == ()
    parents = {row.key: row.parent for row in await ledger.call(ReadSessions())}
    assert parents == {KEY: None, SUB: KEY, "leaf": SUB, OTHER: None}
    assert await ledger.call(ReadChildren(KEY, "nobody")) == ()


async def test_a_sub_agents_session_expires_when_nobody_waits_for_it(ledger):
    expired = ReadExpired(
        ephemeral_before=None, archived_before=None, subagent_before=100.0
    )
    await ledger.begin()
    await ledger.commit(run="r1", ops=(spawn(),))
    await ledger.commit(run="r1", ops=(spawn(child="s1", key=OTHER, kind="send"),))
    assert await ledger.call(expired) == ()
    await take_message(ledger)
    assert await ledger.call(expired) == ()
    await ledger.commit(run="c1", key=SUB, ops=(end("c1"),))
    assert await ledger.call(expired) == (SUB,)
    with pytest.raises(HasWork):
        await ledger.commit(key=SUB, ops=(DropSession(5.0),), seq=None)
    await ledger.commit(run="r1", ops=(TakeChild("c1"),))
    await ledger.commit(event(at=100.0), key=SUB)
    assert await ledger.call(expired) == ()
    late = attrs.evolve(expired, subagent_before=101.0)
    assert await ledger.call(late) == (SUB,)
    await ledger.commit(key=SUB, ops=(DropSession(5.0),), seq=None)
    assert await ledger.call(late) == ()


async def test_a_session_gets_another_agent(ledger):
    await ledger.begin()
    await ledger.commit(run="r1", ops=(SetAgent("other"),))
    (row,) = await ledger.call(ReadSessions())
    assert row.agent == "other"


# --- lists and figures


async def test_sessions_are_listed_by_latest_activity(ledger):
    for number, key in enumerate(["a", "b", "c"]):
        await ledger.accept(f"r{number}", key, at=float(number))
    await ledger.commit(event(at=9.0), key="b")
    rows = await ledger.call(ReadSessions())
    assert [(row.key, row.seq, row.updated_at) for row in rows] == [
        ("b", 1, 9.0),
        ("c", 0, 2.0),
        ("a", 0, 0.0),
    ]
    assert len({row.session_id for row in rows}) == 3
    page = await ledger.call(ReadSessions(limit=1, offset=1))
    assert [row.key for row in page] == ["c"]


async def test_a_listed_session_shows_its_run_in_progress(ledger):
    await ledger.begin()
    (row,) = await ledger.call(ReadSessions())
    assert (row.open_run, row.agent, row.created_at) == ("r1", "main", 1.0)


async def test_figures(ledger, tmp_path):
    await ledger.begin("r1")
    await ledger.accept("r2", OTHER)
    status = await ledger.call(GetLedgerStatus())
    assert status.path == str(tmp_path / "ledger.db")
    assert (status.schema, status.owner_epoch, status.sessions) == (8, 1, 2)
    assert (status.events, status.inbox_depth, status.open_runs) == (1, 1, 1)
    assert (status.commits, status.transactions) == (3, 3)


async def test_a_proof_is_a_transaction_of_its_own_and_changes_nothing(ledger):
    await ledger.begin()
    before = await ledger.call(GetLedgerStatus())
    assert await ledger.call(ProveCommit())
    after = await ledger.call(GetLedgerStatus())
    assert after.transactions == before.transactions + 1
    same = {"commits": after.commits, "transactions": after.transactions}
    assert attrs.evolve(before, **same) == after


# --- many at once


async def test_commits_that_come_together_share_a_transaction(ledger):
    for number in range(64):
        await ledger.accept(f"r{number}", f"k{number}")
    before = await ledger.call(GetLedgerStatus())
    async with trio.open_nursery() as nursery:
        for number in range(64):
            nursery.start_soon(partial(ledger.commit, event(), key=f"k{number}"))
    after = await ledger.call(GetLedgerStatus())
    assert after.commits - before.commits == 64
    assert after.transactions - before.transactions <= 8


async def test_a_transaction_takes_so_many_and_no_more(opened):
    async with opened(max_batch=4) as ledger:
        async with trio.open_nursery() as nursery:
            for number in range(16):
                nursery.start_soon(ledger.accept, f"r{number}", f"k{number}")
        assert (await ledger.call(GetLedgerStatus())).transactions >= 4


async def test_what_was_answered_is_read(ledger):
    """From any session, at any time: a read never lags behind an answer."""

    async def turn(number: int) -> None:
        key = f"k{number}"
        await ledger.accept(f"r{number}", key)
        for seq in range(1, 6):
            await ledger.commit(event(), key=key)
            assert (await ledger.read(key)).seq == seq

    async with trio.open_nursery() as nursery:
        for number in range(16):
            nursery.start_soon(turn, number)


async def test_a_read_shows_one_moment(ledger):
    """Events and seq, run and inbox of a session always fit one another."""
    await ledger.begin()
    done = False

    async def write() -> None:
        nonlocal done
        for _ in range(50):
            await ledger.commit(event(), event(), run="r1")
        done = True

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        while not done:
            read = await ledger.read()
            assert read.seq == len(read.events)
            assert read.seq % 2 == 1


async def test_all_is_there_after_it_was_opened_again(opened):
    epochs = Epochs()
    async with opened(epochs) as ledger:
        await ledger.begin("r1")
        await ledger.commit(event("ask", "r1"), run="r1", ops=(reserve(1),))
        await ledger.accept("r2")
        before = await ledger.read(), await ledger.call(ReadUsage())
    async with opened(epochs) as ledger:
        assert before == (await ledger.read(), await ledger.call(ReadUsage()))
        assert (await ledger.accept("r9", external_id="id of r2")).duplicate
        assert (await ledger.accept("r3")).inbox_id == 3
        assert await ledger.commit(run="r1", ops=(end(),), seq=2) == 2
        assert message("r2").run_id in {
            row.run_id for row in (await ledger.read()).inbox
        }


# --- snapshots


def snapshot(seq: int, body: bytes = b"state", version: str = "v") -> PutSnapshot:
    return PutSnapshot(seq=seq, version=version, body=body)


async def keep(ledger: Client, seq: int, body: bytes = b"state", **other: Any) -> None:
    await ledger.commit(ops=(snapshot(seq, body, **other),), seq=None)


async def read_with_snapshot(
    ledger: Client, version: str = "v", after: int = 0
) -> tuple[SnapshotRow | None, list[int]]:
    """The snapshot, and which events come with it."""
    found = await ledger.call(ReadSession(KEY, after, version))
    return found.snapshot, [one.seq for one in found.events]


async def test_a_snapshot_is_read_with_the_events_behind_it(ledger):
    await ledger.begin()
    await ledger.commit(event(), event())
    await keep(ledger, 2)
    await ledger.commit(event())
    assert await read_with_snapshot(ledger) == (SnapshotRow(2, b"state"), [3, 4])
    found = await ledger.read()
    assert found.snapshot is None
    assert len(found.events) == 4


async def test_a_snapshot_of_another_version_is_as_if_there_were_none(ledger):
    await ledger.begin()
    await keep(ledger, 1)
    assert await read_with_snapshot(ledger, "w") == (None, [1])


async def test_a_snapshot_that_says_nothing_new_is_not_given(ledger):
    await ledger.begin()
    await ledger.commit(event())
    await keep(ledger, 1)
    assert await read_with_snapshot(ledger, after=1) == (None, [2])


async def test_the_latest_snapshot_counts_in_whatever_order_they_come(ledger):
    await ledger.begin()
    await ledger.commit(event(), event())
    await keep(ledger, 3, b"new")
    await keep(ledger, 2, b"old")
    assert await read_with_snapshot(ledger) == (SnapshotRow(3, b"new"), [])


async def test_a_snapshot_of_what_is_not_written_is_refused(ledger):
    await ledger.begin()
    with pytest.raises(LedgerError, match="event 2"):
        await keep(ledger, 2)


async def test_a_dropped_snapshot_does_not_come_back_late(ledger):
    await ledger.begin()
    await ledger.commit(event())
    await keep(ledger, 1)
    await ledger.commit(event("rewound"), ops=(ForgetSnapshots(0),))
    await keep(ledger, 2, b"made before, written after")
    assert await read_with_snapshot(ledger) == (None, [1, 2, 3])
    await ledger.commit(event())
    await keep(ledger, 4)
    assert await read_with_snapshot(ledger) == (SnapshotRow(4, b"state"), [])


async def test_a_snapshot_of_before_the_change_stays(ledger):
    await ledger.begin()
    await keep(ledger, 1)
    await ledger.commit(event(), event(), ops=(ForgetSnapshots(1),))
    await keep(ledger, 3)
    assert await read_with_snapshot(ledger) == (SnapshotRow(1, b"state"), [2, 3])


async def test_where_there_is_no_snapshot_none_of_before_comes(ledger):
    await ledger.begin()
    await ledger.commit(event(), ops=(ForgetSnapshots(1),))
    await keep(ledger, 2)
    assert await read_with_snapshot(ledger) == (None, [1, 2])


# --- what tools said


def output(
    text: str,
    pointer: str = "r1/a",
    length: int | None = None,
    *,
    untrusted: bool = False,
) -> PutOutput:
    pieces = [
        text[first : first + OUTPUT_PIECE].encode()
        for first in range(0, len(text), OUTPUT_PIECE)
    ]
    return PutOutput(
        pointer=pointer,
        run_id="r1",
        at=THREADS.wall(),
        length=len(text) if length is None else length,
        pieces=tuple(pieces),
        untrusted=untrusted,
    )


@pytest.mark.parametrize(
    ("offset", "limit"),
    [
        (0, 10),
        (OUTPUT_PIECE - 2, 4),
        (OUTPUT_PIECE, OUTPUT_PIECE),
        (5, 3 * OUTPUT_PIECE),
        (3 * OUTPUT_PIECE, 9),
        (10, 0),
        (-7, -7),
    ],
)
async def test_any_part_of_an_output_is_read_by_its_pointer(ledger, offset, limit):
    text = "".join(chr(0x100 + n % 500) for n in range(2 * OUTPUT_PIECE + 99))
    await ledger.begin()
    await ledger.commit(event(run="r1"), ops=(output(text),), run="r1")
    found = await ledger.call(ReadOutput("r1/a", offset, limit))
    first = min(max(offset, 0), len(text))
    assert found == OutputRead(
        session_key=KEY,
        run_id="r1",
        text=text[first : first + max(limit, 0)],
        offset=first,
        length=len(text),
        kept=len(text),
        untrusted=False,
    )


async def test_of_a_very_long_output_only_what_was_kept_is_read(ledger):
    await ledger.begin()
    kept = output("abc", length=1_000, untrusted=True)
    await ledger.commit(ops=(kept,), run="r1")
    found = await ledger.call(ReadOutput("r1/a", 2))
    assert found.untrusted
    assert (found.text, found.length, found.kept) == ("c", 1_000, 3)
    assert await ledger.call(ReadOutput("r1/b")) is None


async def test_an_output_is_put_once_and_by_its_run(ledger):
    await ledger.begin()
    await ledger.commit(ops=(output("first"),), run="r1")
    await ledger.commit(ops=(output("second"),), run="r1")
    found = await ledger.call(ReadOutput("r1/a"))
    assert found.text == "first"
    with pytest.raises(LedgerError, match="no run r2"):
        await ledger.commit(ops=(attrs.evolve(output("x"), run_id="r2"),))
