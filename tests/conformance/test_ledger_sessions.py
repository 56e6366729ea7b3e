"""The contract of a ledger, what is done with whole sessions: set, dropped, erased."""

from functools import partial

import attrs
import pytest

from beamclaw.contracts.ledger import Erase, GetLedgerStatus
from beamclaw.contracts.ledger_errors import HasWork, LedgerError, SessionExists
from beamclaw.contracts.ledger_ops import (
    EndRun,
    ForgetAbout,
    OpenRun,
    Reserve,
    Settle,
    Take,
)
from beamclaw.contracts.ledger_reads import (
    ReadExpired,
    ReadJournal,
    ReadOpenWork,
    ReadRun,
    ReadSessionRow,
    ReadSessions,
    ReadTurn,
)
from beamclaw.contracts.ledger_session_ops import (
    ArchiveSession,
    DropSession,
    ForgetSnapshots,
    NewSession,
    RenewSession,
    SetMeta,
)
from beamclaw.contracts.ledger_usage import ReadSpent, ReadSums, ReadUsage
from beamclaw.contracts.messages import Usage
from beamclaw.contracts.session_meta import SessionMeta
from tests.support.ledgers import KEY, OTHER, Client, Epochs, end, event

DAY = 86_400.0


async def turn(ledger: Client, run: str = "r1", key: str = KEY) -> None:
    """A whole turn, with a call of a model."""
    await ledger.begin(run, key)
    bound = Usage(100, 50)
    reserve = Reserve(
        run_id=run, attempt=1, agent="main", provider="p", model="m", at=3.0,
        bound=bound, cost=9,
    )  # fmt: skip
    await ledger.commit(event("asked", run), ops=(reserve,), key=key, run=run)
    settle = Settle(run, 1, 4.0, Usage(10, 5), cost=2)
    ops: tuple[Settle | EndRun, ...] = (settle, end(run))
    await ledger.commit(event("over", run), ops=ops, key=key, run=run)


async def erase(ledger: Client, at: float, steps: int = 1_000) -> int:
    """Erase until there is nothing to do; how many rows that were."""
    rows = 0
    for _ in range(steps):
        erased = await ledger.call(Erase(at=at))
        rows += erased.rows
        if not erased.more:
            return rows
    raise AssertionError("it never ends")


# --- what is set


async def test_what_is_set_for_a_session_is_kept(opened):
    epochs = Epochs()
    meta = SessionMeta(label="Größe", model="p/m", thinking="high", verbosity="on")
    async with opened(epochs) as ledger:
        await ledger.accept(channel="telegram")
        await ledger.commit(ops=(SetMeta(meta),), seq=None)
    async with opened(epochs) as ledger:
        row = (await ledger.read()).row
        assert (row.meta, row.channel, row.ephemeral) == (meta, "telegram", False)
        assert await ledger.call(ReadSessionRow(KEY)) == row
        await ledger.commit(ops=(SetMeta(SessionMeta()),), seq=None)
        assert (await ledger.read()).row.meta == SessionMeta()


async def test_a_commit_beside_a_change_keeps_it(ledger):
    await ledger.accept()
    await ledger.commit(ops=(SetMeta(SessionMeta(label="x")),), seq=None)
    await ledger.commit(event("a"))
    assert (await ledger.read()).row.meta.label == "x"


async def test_a_session_without_a_message_is_made(ledger):
    meta = SetMeta(SessionMeta(thinking="low"))
    new = NewSession(
        session_id="s-1", agent="main", at=5.0, channel="fork", parent=OTHER
    )
    assert await ledger.commit(event("forked"), ops=(new, meta)) == 1
    row = (await ledger.read()).row
    assert (row.session_id, row.parent, row.channel) == ("s-1", OTHER, "fork")
    assert (row.seq, row.created_at, row.meta.thinking) == (1, 5.0, "low")
    assert not (await ledger.accept()).fresh


async def test_a_session_of_a_single_request_is_made_without_a_message(ledger):
    new = NewSession(session_id="s-1", agent="main", at=5.0, ephemeral=True)
    run, done = OpenRun("r-1", 5.0), end("r-1")
    bound = Usage(10, 0)
    reserve = Reserve(
        run_id="r-1",
        attempt=1,
        agent="main",
        provider="p",
        model="m",
        at=5.0,
        bound=bound,
    )
    await ledger.commit(ops=(new, run, done, reserve), seq=None)
    assert (await ledger.read()).row.ephemeral
    assert await ledger.call(ReadOpenWork()) == ()
    await ledger.commit(ops=(Settle("r-1", 1, 6.0, Usage(4, 0)),), seq=None)


async def test_a_session_is_made_once(ledger):
    await ledger.accept()
    new = NewSession(session_id="s-1", agent="main", at=5.0)
    with pytest.raises(SessionExists, match=KEY):
        await ledger.commit(event(), ops=(new,))
    assert (await ledger.read()).seq == 0


async def test_of_a_session_that_was_refused_nothing_is_made(ledger):
    new = NewSession(session_id="s-1", agent="main", at=5.0)
    with pytest.raises(LedgerError, match="does not wait"):
        await ledger.commit(event(), ops=(new, Take((7,))), key=OTHER)
    assert await ledger.call(ReadSessionRow(OTHER)) is None
    assert (await ledger.accept("r1", OTHER)).fresh


async def test_a_renewed_session_has_another_id_and_a_purse_of_its_own(ledger):
    await turn(ledger)
    before = (await ledger.read()).row.session_id
    await ledger.commit(event("reset"), ops=(RenewSession("s-2"),))
    row = (await ledger.read()).row
    assert row.session_id == "s-2" != before
    spent = await ledger.call(ReadSpent(("",)))
    assert [(purse.key, sum_.calls) for purse, sum_ in spent] == [(KEY, 0)]


async def test_archived_sessions_are_listed_apart(ledger):
    await ledger.accept("r1")
    await ledger.accept("r2", OTHER)
    await ledger.commit(ops=(ArchiveSession(9.0),), key=OTHER, seq=None)
    for archived, keys in ((False, [KEY]), (True, [OTHER]), (None, [OTHER, KEY])):
        rows = await ledger.call(ReadSessions(archived=archived))
        assert sorted(row.key for row in rows) == sorted(keys)
    await ledger.commit(ops=(ArchiveSession(None),), key=OTHER, seq=None)
    assert len(await ledger.call(ReadSessions(archived=False))) == 2


async def test_snapshots_may_be_forgotten_where_there_are_none(ledger):
    await ledger.accept()
    assert await ledger.commit(event(), ops=(ForgetSnapshots(0),)) == 1


@pytest.mark.parametrize(
    "op",
    [SetMeta(SessionMeta()), RenewSession("s"), ArchiveSession(1.0), DropSession(1)],
)
async def test_a_run_may_not_do_what_is_the_sessions_own(ledger, op):
    await ledger.begin()
    with pytest.raises(LedgerError, match="session's own claim"):
        await ledger.commit(event(), ops=(op,), run="r1")


# --- dropped


async def drop(ledger: Client, key: str = KEY, at: float = 10.0) -> None:
    await ledger.commit(ops=(DropSession(at),), key=key, seq=None)
    ledger.seq.pop(key)


async def test_a_dropped_session_is_gone_at_once(ledger):
    await turn(ledger)
    await drop(ledger)
    read = await ledger.read()
    assert (read.seq, read.events, read.row) == (0, (), None)
    assert await ledger.call(ReadSessions()) == ()
    assert await ledger.call(ReadJournal(KEY)) == ()
    assert (await ledger.call(GetLedgerStatus())).sessions == 0
    with pytest.raises(LedgerError, match="no message ever came"):
        await ledger.commit(event())


async def test_nothing_that_was_kept_of_a_dropped_session_is_shown(ledger):
    await ledger.accept("r1", about=b'{"a":1}')
    await ledger.commit(event(), ops=(Take((1,)), OpenRun("r1", 2.0)))
    await ledger.commit(event("over", "r1"), ops=(end("r1"),), run="r1")
    await drop(ledger)
    # Its row stays for a while, for who sends the message again.
    assert (await ledger.call(ReadRun("r1"))).about == b""
    assert await ledger.call(ReadTurn("r1", "over")) == ()


async def test_what_is_kept_and_its_session_go_in_one_commit(ledger):
    await ledger.accept("r1", about=b'{"a":1}')
    await ledger.commit(event(), ops=(Take((1,)), OpenRun("r1", 2.0)))
    with pytest.raises(LedgerError, match="in progress"):
        await ledger.commit(ops=(ForgetAbout("r1"), DropSession(9.0)), seq=None)
    assert (await ledger.call(ReadRun("r1"))).about == b'{"a":1}'


async def test_who_asks_for_a_dropped_session_hears_when_that_was(ledger):
    await turn(ledger)
    session_id = (await ledger.read()).row.session_id
    await drop(ledger, at=11.0)
    row = await ledger.call(ReadSessionRow(KEY))
    assert (row.key, row.session_id, row.deleted_at) == (KEY, session_id, 11.0)


async def test_its_key_is_free_for_another_one(ledger):
    await turn(ledger)
    first = (await ledger.read()).row.session_id
    await drop(ledger)
    assert (await ledger.accept("r2")).fresh
    assert (await ledger.read()).row.session_id != first
    spent = await ledger.call(ReadSpent(("",)))
    assert spent == () or spent[0][1].calls == 0
    await erase(ledger, 20.0)
    assert [row.run_id for row in (await ledger.read()).inbox] == ["r2"]


async def test_a_repeat_is_known_after_its_session_was_dropped_and_erased(ledger):
    await turn(ledger)
    await drop(ledger)
    for _ in range(2):
        again = await ledger.accept("r9", external_id="id of r1")
        assert (again.duplicate, again.run_id, again.session_key) == (True, "r1", KEY)
        run = await ledger.call(ReadRun("r1"))
        assert (run.session_key, run.state) == (KEY, "ended")
        await erase(ledger, 20.0)
    run = await ledger.call(ReadRun("r1"))
    assert (run.outcome, run.text, run.error_kind) == ("error", "", "gone")
    assert await ledger.call(ReadOpenWork()) == ()


async def test_with_work_it_is_not_dropped(ledger):
    await ledger.accept()
    with pytest.raises(HasWork, match="messages that wait"):
        await drop(ledger)
    row = (await ledger.read()).inbox[0]
    await ledger.take(row)
    with pytest.raises(HasWork, match="run r1 in progress"):
        await drop(ledger)
    assert (await ledger.read()).row is not None


async def test_what_waits_may_be_taken_with_it(ledger):
    await ledger.accept()
    await ledger.commit(ops=(Take((1,)), DropSession(9.0)), seq=None)
    assert await ledger.call(ReadOpenWork()) == ()


# --- erased


async def test_what_was_spent_stays_when_a_session_is_erased(ledger):
    await turn(ledger, "r1")
    await turn(ledger, "r2", OTHER)
    before = await ledger.call(ReadUsage())
    models = await ledger.call(ReadSums("model"))
    await drop(ledger)
    await erase(ledger, 100.0)
    assert await ledger.call(ReadUsage()) == before
    assert await ledger.call(ReadSums("model")) == models
    sessions = await ledger.call(ReadSums("session"))
    assert {row.name for row in sessions} == {"", OTHER}
    await drop(ledger, OTHER)
    await erase(ledger, 200.0)
    assert await ledger.call(ReadUsage()) == before
    assert await ledger.call(ReadUsage(since=5 * DAY)) == ()


async def test_an_erased_session_leaves_nothing_behind_in_the_end(ledger):
    for number in range(5):
        await turn(ledger, f"r{number}", f"agent:main:{number}")
        await drop(ledger, f"agent:main:{number}")
    await turn(ledger, "last", OTHER)
    await erase(ledger, 100.0)
    # Repeats are known for a week; the inbox is gone through when something comes.
    assert await ledger.call(ReadRun("r1")) is not None
    await erase(ledger, 8 * DAY)
    assert await ledger.call(ReadRun("r1")) is None
    assert await ledger.call(ReadSessionRow("agent:main:1")) is None
    assert await erase(ledger, 9 * DAY) == 0
    again = await ledger.accept("r9", "agent:main:1", external_id="id of r1")
    assert not again.duplicate
    assert (await ledger.read(OTHER)).seq == 3


async def test_erasing_is_done_in_small_steps(ledger):
    await ledger.begin()
    await ledger.commit(*[event() for _ in range(1_000)], run="r1")
    await ledger.commit(event(), ops=(end(),), run="r1")
    await drop(ledger)
    first = await ledger.call(Erase(at=20.0))
    assert first.more
    assert 0 < first.rows <= 200


async def test_a_ledger_that_dies_goes_on_erasing(opened):
    epochs = Epochs()
    async with opened(epochs) as ledger:
        await ledger.begin()
        await ledger.commit(*[event() for _ in range(500)], run="r1")
        await ledger.commit(event(), ops=(end(),), run="r1")
        await drop(ledger)
        await ledger.call(Erase(at=20.0))
    async with opened(epochs) as ledger:
        assert await erase(ledger, 30.0) > 300


# --- expired


async def test_sessions_expire_by_their_kind_and_age(ledger):
    keys = {"one": "agent:main:openai:1", "two": "agent:main:openai:2"}
    await turn(ledger, "r1")
    for run, key in keys.items():
        await ledger.accept(run, key, ephemeral=True)
        row = (await ledger.read(key)).inbox[0]
        await ledger.take(row, event(at=3.0), key=key)
    over = attrs.evolve(event(), at=50.0)
    await ledger.commit(over, ops=(end("one"),), key=keys["one"], run="one")
    expired = partial(ReadExpired, archived_before=None)
    # The second one has a turn in progress.
    assert await ledger.call(expired(ephemeral_before=1e9)) == (keys["one"],)
    assert await ledger.call(expired(ephemeral_before=50.0)) == ()
    assert await ledger.call(expired(ephemeral_before=None)) == ()
    await ledger.commit(ops=(ArchiveSession(70.0),), seq=None)
    archived = partial(ReadExpired, ephemeral_before=None)
    assert await ledger.call(archived(archived_before=70.5)) == (KEY,)
    assert await ledger.call(archived(archived_before=70.0)) == ()


async def test_waiting_messages_keep_a_session_from_expiring(ledger):
    key = "agent:main:openai:1"
    await ledger.accept("r1", key, ephemeral=True)
    both = ReadExpired(ephemeral_before=1e9, archived_before=1e9)
    assert await ledger.call(both) == ()
    await ledger.commit(ops=(Take((1,)), OpenRun("r1", 2.0)), key=key)
    assert await ledger.call(both) == ()
    await ledger.commit(event(), ops=(end(),), key=key, run="r1")
    assert await ledger.call(both) == (key,)
