"""Snapshots of sessions: made when nobody waits, used when they can be, never needed."""

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import attrs
import pytest
import trio
from trio.testing import MockClock

import supervision
from beamclaw.contracts import snapshots
from beamclaw.contracts.ledger import Claim, Commit
from beamclaw.contracts.ledger_errors import LedgerError
from beamclaw.contracts.ledger_reads import ReadSession
from beamclaw.contracts.ledger_rows import SnapshotRow
from beamclaw.contracts.ledger_session_ops import PutSnapshot
from beamclaw.contracts.messages import Message, said
from beamclaw.contracts.snapshots import Keep
from beamclaw.contracts.steps import at_once
from beamclaw.contracts.transcript import Transcript, extend
from beamclaw.ledger import Owner
from beamclaw.sessions import snapshots as keeper
from beamclaw.testing.world import World
from tests.beamclaw.sessions.conftest import KEY, Model
from tests.beamclaw.sessions.test_compaction import WINDOW, compactions, model_of, talk
from tests.beamclaw.sessions.test_session import Held
from tests.beamclaw.sessions.test_tools import are_paired, report, use

KEEPER = "default/snapshots"


async def snapshot(key: str = KEY) -> SnapshotRow | None:
    """The snapshot that a session would be given now."""
    request = ReadSession(key, 0, snapshots.version())
    return (await supervision.call("default/ledger", request)).snapshot


async def journal(key: str = KEY) -> Transcript:
    """What the whole journal comes to."""
    found = await supervision.call("default/ledger", ReadSession(key))
    return extend(Transcript(), found.events)


async def put(body: bytes, seq: int) -> None:
    entry = supervision.lookup("default/ledger")
    assert entry is not None
    assert isinstance(entry.value, Owner)
    op = PutSnapshot(seq=seq, version=snapshots.version(), body=body)
    claim = Claim("default", entry.value.owner_epoch)
    commit = Commit(claim=claim, session_key=KEY, expected_seq=None, ops=(op,))
    await supervision.call("default/ledger", commit)


def sent(model: Model) -> Sequence[Message]:
    return model.calls[-1].messages


def texts(messages: Iterable[Message]) -> list[str]:
    return [message.text for message in messages]


async def test_after_so_many_events_a_snapshot_is_made_of_all_of_them(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    async with open_tenant(snapshot_every=20) as tenant:
        await tenant.ask("one")
        await trio.sleep(1)
        assert await snapshot() is None
        await tenant.ask("two")
        await trio.sleep(1)
        found = await snapshot()
        assert found is not None
        kept = at_once(snapshots.decoded(found.body))
        whole = await journal()
        assert kept.seq == found.seq == 10
        assert kept == whole


async def test_who_wakes_up_goes_on_from_the_snapshot(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    async with open_tenant() as tenant:
        await tenant.ask("one")
        state = await journal()
        # What no journal says tells where it was read from.
        forged = attrs.evolve(state, messages=[*state.messages[:-1], FORGED])
        await put(at_once(snapshots.encoded(forged)), state.seq)
        await tenant.ask("two")
    async with open_tenant() as tenant:
        tenant.sent = 10
        await tenant.ask("three")
    two = ["two", "you said: two"]
    assert texts(sent(model)) == ["one", FORGED.text, *two, "three"]


FORGED = said("assistant", "so says the snapshot")


@pytest.mark.parametrize("body", [b"no snapshot", b"{}", b'{"seq":1}\n[]'])
async def test_a_snapshot_that_cannot_be_read_is_as_if_there_were_none(
    open_tenant, model: Model, autojump_clock: MockClock, body: bytes
) -> None:
    async with open_tenant() as tenant:
        await tenant.ask("one")
        await put(body, 3)
    async with open_tenant() as tenant:
        tenant.sent = 10
        assert await snapshot() is not None
        await tenant.ask("two")
        assert texts(sent(model)) == ["one", "you said: one", "two"]


async def test_a_compaction_is_worth_a_snapshot(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    model.scripts = [model_of("they counted words")]
    async with open_tenant(window=WINDOW) as tenant:
        await talk(tenant, 5)
        (one,) = await compactions()
        await trio.sleep(1)
        found = await snapshot()
        assert found is not None
        kept = at_once(snapshots.decoded(found.body))
        assert kept.covered == one.last
        assert len(kept.messages) < len((await journal()).messages) + 1


async def test_a_long_turn_has_snapshots_in_its_middle(
    open_tenant, model: Model, autojump_clock: MockClock, tmp_path: Path
) -> None:
    model.tools = World(tmp_path / "world").tools()
    calls = [use(("look", {"n": n})) for n in range(8)]
    held = Held()
    model.scripts = [*calls, held]
    async with open_tenant(snapshot_every=6) as tenant:
        receipt = await tenant.send("look around")
        await held.reached.wait()
        await trio.sleep(1)
        found = await snapshot()
        assert found is not None
        kept = at_once(snapshots.decoded(found.body))
        assert kept.turn is not None
        assert kept.turn.tool_calls >= 6
        held.go.set()
        assert (await tenant.end(receipt)).text == "half done"


async def test_a_turn_in_progress_is_taken_up_from_a_snapshot(
    open_tenant, model: Model, autojump_clock: MockClock, tmp_path: Path
) -> None:
    held = Held()
    model.tools = World(tmp_path / "world").tools()
    model.scripts = [use(("look", {})), use(("look", {"n": 1})), held, report]
    async with open_tenant(snapshot_every=4) as tenant:
        receipt = await tenant.send("look around")
        await held.reached.wait()
        await trio.sleep(1)
        found = await snapshot()
        assert found is not None
        await tenant.kill("default/ledger")
        end = await tenant.end(receipt)
    assert end.outcome == "ok"
    assert end.text == "call_0=0 looks before;call_0_2=1 looks before;"
    assert are_paired(sent(model))


async def test_the_death_of_who_makes_them_costs_nothing_but_a_snapshot(
    open_tenant, model: Model, autojump_clock: MockClock
) -> None:
    async with open_tenant(snapshot_every=4) as tenant:
        await tenant.kill(KEEPER)
        await tenant.ask("one")
        await tenant.ask("two")
        await tenant.there(KEEPER)
        await tenant.ask("three")
        await trio.sleep(1)
        assert await snapshot() is not None


# --- who makes them


class Slow(supervision.Server):
    """In a ledger's place: notes what it is to write, and takes a second for each."""

    def __init__(self, written: list[tuple[str, int]]) -> None:
        self._written = written

    async def handle_call(self, request: object, sender: supervision.From) -> object:
        assert isinstance(request, Commit)
        (op,) = request.ops
        assert isinstance(op, PutSnapshot)
        self._written.append((request.session_key, op.seq))
        await trio.sleep(1)
        if request.session_key == "refused":
            supervision.reply_error(sender, LedgerError("no"))
            return supervision.NO_REPLY
        return 0


@asynccontextmanager
async def opened() -> AsyncGenerator[list[tuple[str, int]], None]:
    written: list[tuple[str, int]] = []
    spec = supervision.ChildSpec
    parts = [
        spec("ledger", partial(Slow, written), name="default/ledger"),
        spec("snapshots", partial(keeper.Snapshots, "default"), name=KEEPER),
    ]
    async with supervision.open_supervisor(parts):
        yield written


def want(key: str, seq: int) -> None:
    state = Transcript(seq, (said("user", "hi"),), None, (1,))
    wanted = Keep(session_key=key, claim=Claim("default", 1), transcript=state)
    supervision.cast(KEEPER, wanted)


async def test_of_several_states_of_a_session_the_latest_is_kept(
    autojump_clock: MockClock,
) -> None:
    async with opened() as written:
        want("a", 1)
        await trio.sleep(0.5)  # while this one is written
        for seq in range(2, 9):
            want("a", seq)
            want("b", seq)
        await trio.sleep(10)
    assert written == [("a", 1), ("a", 8), ("b", 8)]


async def test_a_refused_snapshot_is_forgotten(autojump_clock: MockClock) -> None:
    async with opened() as written:
        want("refused", 1)
        want("b", 1)
        await trio.sleep(10)
        assert written == [("refused", 1), ("b", 1)]
        assert supervision.whereis(KEEPER) is not None


async def test_no_more_than_so_many_states_wait(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "MOST_WAITING", 2)
    async with opened() as written:
        want("first", 1)
        await trio.sleep(0.5)
        for key in ("a", "b", "c"):
            want(key, 1)
        await trio.sleep(10)
    assert [key for key, _ in written] == ["first", "b", "c"]
