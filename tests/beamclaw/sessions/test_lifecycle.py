"""What is done with a session as a whole, and what the next turn makes of it."""

import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any

import pytest
import trio
from trio.testing import MockClock

import supervision
from beamclaw.contracts import lifecycle, names
from beamclaw.contracts.budgets import Cap
from beamclaw.contracts.journal import Compacted, RunStarted
from beamclaw.contracts.journal import read as read_body
from beamclaw.contracts.ledger_errors import IdempotencyConflict, SessionExists
from beamclaw.contracts.ledger_reads import (
    ReadJournal,
    ReadSession,
    ReadSessionRow,
    SessionRead,
)
from beamclaw.contracts.ledger_rows import SessionRow
from beamclaw.contracts.lifecycle import (
    BeginSession,
    DeleteSession,
    ForkSession,
    NoRest,
    NoSuchSession,
    NoteSession,
    PatchSession,
    PutAway,
    ResetSession,
    RewindSession,
    TurnInProgress,
)
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.path import rests
from beamclaw.contracts.points import SIDES, hooked
from beamclaw.contracts.resets import ResetRule
from beamclaw.contracts.session_meta import BadSetting, SessionMeta
from beamclaw.contracts.sessions import HandTo, RunEnded
from beamclaw.contracts.transcript import Transcript, replay
from beamclaw.sessions.journal import Journal
from beamclaw.sessions.upkeep import Upkeep
from beamclaw.sessions.wiring import Wiring

from .conftest import KEY, Model, Tenant
from .test_compaction import LONG, WINDOW, model_of
from .test_session import Held

Open = Callable[..., AbstractAsyncContextManager[Tenant]]
FORK = "agent:main:fork:1"
EARLIER = "agent:main:fork:2"


async def order(tenant: Tenant, request: supervision.Call[Any], key: str = KEY) -> Any:
    return await lifecycle.order(tenant.bus, "default", key, request)


async def row(key: str = KEY) -> SessionRow | None:
    return await supervision.call("default/ledger", ReadSessionRow(key))


async def read(key: str = KEY) -> SessionRead:
    return await supervision.call("default/ledger", ReadSession(key))


async def state(key: str = KEY) -> Transcript:
    """What the whole journal says."""
    return replay(await supervision.call("default/ledger", ReadJournal(key)))


async def texts(key: str = KEY) -> list[str]:
    return [message.text for message in (await state(key)).messages]


def told(model: Model) -> list[str]:
    """What the model was told at its last call."""
    return [message.text for message in model.calls[-1].messages]


# --- beginning empty


async def test_a_session_is_begun_empty_and_once(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    begin = BeginSession(agent="main", channel="gateway", changes={"label": "mine"})
    session_id = await order(tenant, begin)
    found = await row()
    assert found is not None
    assert (found.session_id, found.seq) == (session_id, 0)
    assert (found.meta.label, found.channel) == ("mine", "gateway")
    other = BeginSession(agent="other", changes={"label": "not mine"})
    assert await order(tenant, other) == session_id
    await tenant.ask("one")
    assert told(model) == ["one"]
    found = await row()
    assert found is not None
    assert (found.session_id, found.agent) == (session_id, "main")


async def test_a_key_that_is_free_again_gets_a_session_anew(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    await tenant.ask("one")
    gone = await order(tenant, DeleteSession())
    anew = await order(tenant, BeginSession(agent="main"))
    assert anew != gone
    assert await texts() == []


async def test_nothing_is_begun_with_what_cannot_be_set(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    with pytest.raises(BadSetting):
        await order(tenant, BeginSession(agent="nobody", changes={"model": "m"}))
    assert await row() is None


async def test_whoever_follows_is_told_of_each_change(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    with tenant.bus.subscribe(lifecycle.changes("default")) as subscription:
        await order(tenant, BeginSession(agent="main"))
        await tenant.ask("one")
        await order(tenant, PatchSession(changes={"label": "mine"}))
        await order(tenant, ForkSession(key=FORK))
        await order(tenant, RewindSession(0))
        await tenant.ask("two")
        await order(tenant, ResetSession())
        await order(tenant, PutAway(away=True))
        await order(tenant, DeleteSession())
        told = [await subscription.receive() for _ in range(7)]
    assert told == [
        lifecycle.SessionChanged(FORK if reason == "fork" else KEY, reason)
        for reason in (
            "create",
            "patch",
            "fork",
            "rewind",
            "reset",
            "archive",
            "delete",
        )
    ]


async def test_whoever_has_seen_a_turn_end_need_not_wait_for_its_process(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    await tenant.ask("one")
    wiring = Wiring(
        tenant="default",
        bus=tenant.bus,
        outside=Outside(),
        resolve=never,
        define=never,
        turns=never,
        numbers=never,
    )
    upkeep = Upkeep(wiring, KEY, Journal(wiring, KEY))
    busy = "a turn is in progress"
    # The ledger says that it is over.
    assert not await upkeep.serve(never, ResetSession(), busy, running=True)
    with pytest.raises(TurnInProgress):
        await upkeep.carry_out(ResetSession(), busy)


never: Any = None


# --- what is set


async def test_the_next_turn_goes_by_what_is_set(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    await tenant.ask("one")
    changes = {"model": "better", "thinking": "high", "label": "mine"}
    meta = await order(tenant, PatchSession(changes=changes))
    assert meta == SessionMeta(model="better", thinking="high", label="mine")
    await tenant.ask("two")
    assert (model.calls[0].model, model.calls[0].params.thinking) == ("m", None)
    assert (model.calls[1].model, model.calls[1].params.thinking) == ("better", "high")
    await order(tenant, PatchSession(changes={"model": None, "thinking": ""}))
    await tenant.ask("three")
    assert (model.calls[2].model, model.calls[2].params.thinking) == ("m", None)


async def test_what_is_set_holds_for_a_session_that_is_woken(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    await tenant.ask("one")
    await order(tenant, PatchSession(changes={"model": "better"}))
    await tenant.kill(f"default/session/{KEY}")
    await tenant.ask("two")
    assert model.calls[1].model == "better"


async def test_a_message_that_names_a_model_has_its_own(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    await tenant.ask("one")
    await order(tenant, PatchSession(changes={"model": "better"}))
    await tenant.ask("two", model="this one")
    assert model.calls[1].model == "this one"


async def test_something_may_be_set_while_a_turn_is_in_progress(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    held = Held()
    model.scripts.insert(0, held)
    first = await tenant.send("one")
    await held.reached.wait()
    await order(tenant, PatchSession(changes={"model": "better"}))
    held.go.set()
    await tenant.end(first)
    await tenant.ask("two")
    assert [call.model for call in model.calls] == ["m", "better"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"modell": "x"}, "no setting 'modell' .did you mean model.*label, model, "),
        ({"thinking": "hard"}, "thinking is one of off, minimal, low, .*not 'hard'"),
        ({"verbosity": "ful"}, "did you mean full"),
        ({"label": "x" * 201}, "at most 200"),
        ({"label": "a\nb"}, "one line"),
    ],
)
async def test_what_cannot_be_set_is_refused_with_what_can(
    tenant: Tenant, changes: dict[str, str], words: str, autojump_clock: MockClock
) -> None:
    await tenant.ask("one")
    with pytest.raises(BadSetting, match=words):
        await order(tenant, PatchSession(changes=changes))
    found = await row()
    assert found is not None
    assert found.meta == SessionMeta()


# --- a new conversation


async def test_a_reset_begins_anew_and_keeps_what_was(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    await tenant.ask("one")
    before = await row()
    session_id = await order(tenant, ResetSession())
    after = await row()
    assert before is not None
    assert after is not None
    assert after.session_id == session_id != before.session_id
    assert await texts() == []
    await tenant.ask("two")
    assert told(model) == ["two"]
    kinds = [e.kind for e in (await read()).events]
    assert kinds.count("inbound") == 2


async def test_a_reset_of_an_empty_conversation_is_nothing(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    await tenant.ask("one")
    first = await order(tenant, ResetSession())
    seq = (await read()).seq
    assert await order(tenant, ResetSession()) == first
    assert (await read()).seq == seq


async def test_a_reset_begins_anew_also_where_it_was_gone_back_to_the_beginning(
    open_tenant: Open, autojump_clock: MockClock
) -> None:
    cap = Cap("session", "calls", 1, "limits.session.calls")
    async with open_tenant(caps=(cap,)) as tenant:
        for word in ("", "/new "):
            assert (await tenant.ask("one")).outcome == "ok"
            await order(tenant, RewindSession(0))
            if not word:
                await order(tenant, ResetSession())
            assert (await tenant.ask(f"{word}two")).outcome == "ok"
            first = await order(tenant, ResetSession())
            assert await order(tenant, ResetSession()) == first


@pytest.mark.parametrize("word", ["/new", "/reset"])
async def test_a_word_begins_anew_with_what_stands_behind_it(
    tenant: Tenant, model: Model, word: str, autojump_clock: MockClock
) -> None:
    await tenant.ask("one")
    end = await tenant.ask(f"{word} what now?")
    assert end.text == "you said: what now?"
    assert told(model) == ["what now?"]
    assert await texts() == ["what now?", "you said: what now?"]


async def test_the_word_alone_is_answered_at_once(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    await tenant.ask("one")
    end = await tenant.ask("/new")
    assert (end.outcome, end.text) == ("ok", "A new conversation begins.")
    assert len(model.calls) == 1
    assert await texts() == []
    # Again, where there is nothing to end.
    assert (await tenant.ask("/new")).outcome == "ok"
    await tenant.ask("two")
    assert told(model) == ["two"]


async def test_the_word_can_be_the_first_message(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    assert (await tenant.ask("/new hello")).text == "you said: hello"
    assert (await tenant.ask("/new", key="agent:main:x")).outcome == "ok"


async def test_the_word_is_not_steered_into_the_turn_before(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    held = Held()
    model.scripts.insert(0, held)
    first = await tenant.send("one")
    await held.reached.wait()
    second = await tenant.send("/new two", queue="steer")
    third = await tenant.send("three", queue="steer")
    held.go.set()
    assert (await tenant.end(first)).text == "half done"
    assert (await tenant.end(second)).text == "you said: two"
    assert (await tenant.end(third)).text == "you said: three"
    assert told(model)[0] == "two"


@pytest.mark.parametrize(
    "case",
    [
        (ResetRule(), 10 * 86_400.0, False),
        (ResetRule(mode="idle", idle_minutes=30), 1_700.0, False),
        (ResetRule(mode="idle", idle_minutes=30), 1_900.0, True),
        (ResetRule(mode="daily"), 86_400.0, True),
        (ResetRule(mode="idle", idle_minutes=30), -86_400.0, False),
    ],
)
async def test_a_rule_begins_anew(
    open_tenant: Open,
    model: Model,
    case: tuple[ResetRule, float, bool],
    autojump_clock: MockClock,
) -> None:
    rule, away, anew = case
    async with open_tenant(reset_rule=rule) as tenant:
        await tenant.ask("one")
        tenant.wall.add(away)
        await tenant.ask("two")
        assert told(model)[0] == ("two" if anew else "one")


async def test_a_rule_is_for_what_persons_say(
    open_tenant: Open, model: Model, autojump_clock: MockClock
) -> None:
    async with open_tenant(reset_rule=ResetRule(mode="idle")) as tenant:
        await tenant.ask("one")
        tenant.wall.add(86_400.0)
        await tenant.ask("a sub-agent is done", hops=1)
        assert told(model)[0] == "one"


async def test_a_reset_begins_a_purse_of_its_own(
    open_tenant: Open, model: Model, autojump_clock: MockClock
) -> None:
    cap = Cap("session", "calls", 1, "limits.session.calls")
    async with open_tenant(caps=(cap,)) as tenant:
        assert (await tenant.ask("one")).outcome == "ok"
        assert (await tenant.ask("two")).outcome == "limited"
        assert (await tenant.ask("/new three")).outcome == "ok"


# --- rewind


async def rest(key: str = KEY) -> int:
    return (await read(key)).seq


async def test_a_conversation_goes_on_behind_an_earlier_turn(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    await tenant.ask("one")
    first = await rest()
    await tenant.ask("two")
    last = await rest()
    assert await order(tenant, RewindSession(first)) == last + 1
    await tenant.ask("three")
    assert told(model) == ["one", "you said: one", "three"]
    # What was left is still there to go back to.
    await order(tenant, RewindSession(last))
    await tenant.ask("four")
    assert told(model)[2:] == ["two", "you said: two", "four"]
    await order(tenant, RewindSession(0))
    assert await texts() == []


async def test_a_session_that_is_woken_reads_the_way_back(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    await tenant.ask("one")
    first = await rest()
    await tenant.ask("two")
    await order(tenant, RewindSession(first))
    await tenant.kill(f"default/session/{KEY}")
    await tenant.ask("three")
    assert told(model) == ["one", "you said: one", "three"]


async def test_a_rewind_that_is_asked_for_again_is_the_same(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    await tenant.ask("one")
    first = await rest()
    await tenant.ask("two")
    seq = await order(tenant, RewindSession(first))
    assert await order(tenant, RewindSession(first)) == seq
    assert await order(tenant, RewindSession(seq)) == seq
    assert await rest() == seq


@pytest.mark.parametrize("to", [3, 99, -1])
async def test_only_an_end_of_a_turn_can_be_gone_back_to(
    tenant: Tenant, to: int, autojump_clock: MockClock
) -> None:
    await tenant.ask("one")
    await tenant.ask("two")
    with pytest.raises(NoRest, match=r"turns end at .*5"):
        await order(tenant, RewindSession(to))


async def test_the_conversation_before_a_reset_can_be_gone_back_to(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    await tenant.ask("one")
    first = await rest()
    await tenant.ask("/new two")
    await order(tenant, RewindSession(first))
    await tenant.ask("three")
    assert told(model) == ["one", "you said: one", "three"]


# --- fork


async def test_a_fork_goes_its_own_way(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    await tenant.ask("one")
    await order(tenant, PatchSession(changes={"model": "better", "label": "x"}))
    assert await order(tenant, ForkSession(key=FORK)) == FORK
    found = await row(FORK)
    assert found is not None
    assert (found.parent, found.meta) == (KEY, SessionMeta(model="better"))
    await tenant.ask("there", key=FORK)
    assert told(model) == ["one", "you said: one", "there"]
    await tenant.ask("here")
    assert told(model) == ["one", "you said: one", "here"]


async def test_in_a_fork_of_what_was_handed_over_the_same_agent_answers(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    before = await handed_over(tenant)
    await order(tenant, ForkSession(key=FORK))
    await order(tenant, ForkSession(key=EARLIER, at=before))
    await tenant.ask("two", key=FORK)
    await tenant.ask("two", key=EARLIER)
    assert [await answers(key) for key in (FORK, EARLIER)] == ["other", "main"]
    assert [await listed(key) for key in (KEY, FORK, EARLIER)] == [
        "other",
        "other",
        "main",
    ]


async def handed_over(tenant: Tenant) -> int:
    """A conversation goes to another agent; where it had come to before."""
    await tenant.ask("one")
    before = await rest()
    session = names.session("default", KEY)
    await supervision.call(session, HandTo(agent="other", by="anna"))
    return before


async def listed(key: str) -> str:
    """Whose session it is said to be."""
    found = await row(key)
    assert found is not None
    return found.agent


async def test_who_goes_back_behind_a_hand_over_is_with_the_agent_before(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    before = await handed_over(tenant)
    await tenant.ask("two")
    handed = await rest()
    await order(tenant, RewindSession(before))
    assert await listed(KEY) == "main"
    await tenant.ask("three")
    assert await answers(KEY) == "main"
    await order(tenant, RewindSession(handed))
    assert await listed(KEY) == "other"


async def test_a_fork_begins_with_what_was_noted_behind_the_last_turn(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    await tenant.ask("one")
    await order(tenant, NoteSession(text="by the way"))
    await order(tenant, ForkSession(key=FORK))
    assert await texts(FORK) == ["one", "you said: one", "by the way"]


async def answers(key: str) -> str:
    """Which agent the last turn of a session was of."""
    bodies = map(read_body, await supervision.call("default/ledger", ReadJournal(key)))
    return [body.agent for body in bodies if isinstance(body, RunStarted)][-1]


async def test_a_fork_stands_when_its_source_is_deleted(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    await tenant.ask("one")
    at = await rest()
    await tenant.ask("two")
    await order(tenant, ForkSession(key=FORK, at=at))
    await order(tenant, DeleteSession())
    await tenant.ask("there", key=FORK)
    assert told(model) == ["one", "you said: one", "there"]


async def test_a_fork_that_is_asked_for_again_is_the_same(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    await tenant.ask("one")
    at = await rest()
    await order(tenant, ForkSession(key=FORK))
    await tenant.ask("there", key=FORK)
    assert await order(tenant, ForkSession(key=FORK, at=at)) == FORK
    await tenant.ask("two")
    with pytest.raises(SessionExists):
        await order(tenant, ForkSession(key=FORK))
    with pytest.raises(SessionExists):
        await order(tenant, ForkSession(key=KEY))


async def test_a_fork_during_a_turn_is_of_what_was_before_it(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    await tenant.ask("one")
    held = Held()
    model.scripts.insert(0, held)
    receipt = await tenant.send("two")
    await held.reached.wait()
    await order(tenant, ForkSession(key=FORK))
    assert await texts(FORK) == ["one", "you said: one"]
    held.go.set()
    await tenant.end(receipt)


async def test_a_fork_that_does_not_fit_is_summed_up(
    open_tenant: Open, model: Model, autojump_clock: MockClock
) -> None:
    model.scripts = [model_of("they counted words")]
    async with open_tenant(window=WINDOW) as tenant:
        for number in range(3):
            await tenant.ask(f"number {number}: {LONG}")
        await order(tenant, ForkSession(key=FORK))
        for number in range(3, 9):
            end = await tenant.ask(f"number {number}: {LONG}", key=FORK)
            assert end.outcome == "ok"
        bodies = [read_body(event) for event in (await read(FORK)).events]
    one, two = [body for body in bodies if isinstance(body, Compacted)][:2]
    # The first covers what came from there, by numbers that go on backwards.
    assert one.first < one.last <= 1 < two.last
    assert two.first == one.last + 1


# --- put away, deleted


async def test_who_goes_on_with_an_archived_session_brings_it_back(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    await tenant.ask("one")
    for _ in range(2):
        await order(tenant, PutAway(away=True))
    found = await row()
    assert found is not None
    assert found.archived_at is not None
    await tenant.ask("two")
    found = await row()
    assert found is not None
    assert found.archived_at is None
    await order(tenant, PutAway(away=True))
    await order(tenant, PutAway(away=False))
    found = await row()
    assert found is not None
    assert found.archived_at is None


async def test_a_deleted_session_is_gone_and_its_key_is_free(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    await tenant.ask("one")
    before = await row()
    assert before is not None
    assert await order(tenant, DeleteSession()) == before.session_id
    assert (await read()).row is None
    # Asked again, also after a while: the same.
    assert await order(tenant, DeleteSession()) == before.session_id
    with pytest.raises(NoSuchSession, match="was deleted"):
        await order(tenant, ResetSession())
    await tenant.ask("two")
    assert told(model) == ["two"]
    after = await row()
    assert after is not None
    assert after.session_id != before.session_id


async def test_no_snapshot_of_a_deleted_session_comes_later(
    open_tenant: Open, autojump_clock: MockClock
) -> None:
    async with open_tenant(snapshot_every=4) as tenant:
        for _ in range(3):
            await tenant.ask("one")
            # What waits to be made when the session is deleted.
            await supervision.sys.suspend("default/snapshots")
            await tenant.ask("two")

            async def let_go() -> None:
                await trio.sleep(1)
                await supervision.sys.resume("default/snapshots")

            async with trio.open_nursery() as nursery:
                nursery.start_soon(let_go)
                await order(tenant, DeleteSession())
            await tenant.ask("three")
            await tenant.kill(f"default/session/{KEY}")
            await tenant.ask("four")
            assert (await texts())[0] == "three"
            assert len((await read()).events) == 10
            await order(tenant, DeleteSession())


async def test_a_repeat_of_a_message_whose_session_was_deleted_is_told_so(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    await tenant.ask("one", external_id="x")
    await order(tenant, DeleteSession())
    again = await tenant.send("one", external_id="x")
    assert again.duplicate
    assert isinstance(await tenant.end(again), RunEnded)
    assert (await read()).row is None


async def test_what_is_not_there_cannot_be_changed(
    tenant: Tenant, autojump_clock: MockClock
) -> None:
    for request in (DeleteSession(), ResetSession(), PatchSession(changes={})):
        with pytest.raises(NoSuchSession, match="there is no session agent:main:main"):
            await order(tenant, request)


ORDERS = [ResetSession(), RewindSession(0), PutAway(away=True), DeleteSession()]


@pytest.mark.parametrize("request_", ORDERS, ids=lambda each: type(each).__name__)
async def test_during_a_turn_it_is_refused_with_what_to_do(
    tenant: Tenant,
    model: Model,
    request_: supervision.Call[Any],
    autojump_clock: MockClock,
) -> None:
    held = Held()
    model.scripts.insert(0, held)
    receipt = await tenant.send("one")
    await held.reached.wait()
    with pytest.raises(TurnInProgress, match=r"in progress.*sessions stop agent:main"):
        await order(tenant, request_)
    held.go.set()
    assert (await tenant.end(receipt)).text == "half done"
    await order(tenant, request_)


STOPS = [ResetSession(stop=True), DeleteSession(stop=True)]


@pytest.mark.parametrize("request_", STOPS, ids=lambda each: type(each).__name__)
async def test_an_order_that_stops_the_turn_is_carried_out_behind_it(
    tenant: Tenant,
    model: Model,
    request_: supervision.Call[Any],
    autojump_clock: MockClock,
) -> None:
    held = Held()
    model.scripts.insert(0, held)
    receipt = await tenant.send("one")
    await held.reached.wait()
    before = await row()
    assert before is not None
    done = await order(tenant, request_)
    end = await tenant.end(receipt)
    assert (end.outcome, end.text) == ("aborted", "half ")
    assert (done == before.session_id) == isinstance(request_, DeleteSession)
    assert await texts() == []
    await tenant.ask("two")
    assert told(model) == ["two"]


async def test_what_waits_behind_a_turn_that_a_reset_stops_begins_the_next_conversation(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    held = Held()
    model.scripts.insert(0, held)
    first = await tenant.send("one")
    await held.reached.wait()
    steered = await tenant.send("two", queue="steer")
    queued = await tenant.send("three", queue="followup")
    await order(tenant, ResetSession(stop=True))
    assert (await tenant.end(first)).outcome == "aborted"
    assert (await tenant.end(steered)).text == "you said: two"
    assert (await tenant.end(queued)).text == "you said: three"
    assert await texts() == ["two", "you said: two", "three", "you said: three"]


async def test_what_waits_in_a_session_that_is_deleted_is_told_so(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    held = Held()
    model.scripts.insert(0, held)
    runs = [await tenant.send("one")]
    await held.reached.wait()
    runs += [await tenant.send("two"), await tenant.send("three", queue="steer")]
    await order(tenant, DeleteSession(stop=True))
    ends = [await tenant.end(run) for run in runs]
    assert [end.outcome for end in ends] == ["aborted"] * 3
    assert len(model.calls) == 1
    assert await row() is None or (await read()).row is None


async def test_a_turn_without_a_run_is_stopped_for_an_order_too(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    held = Held()
    model.scripts.insert(0, held)
    receipt = await tenant.send("one")
    await held.reached.wait()
    # Its session rests before it begins another one.
    await tenant.kill(f"default/run/{receipt.run_id}")
    await order(tenant, ResetSession(stop=True))
    assert (await tenant.end(receipt)).outcome == "aborted"
    assert len(model.calls) == 1
    assert (await tenant.ask("two")).text == "you said: two"


async def test_other_words_under_the_key_of_a_note_are_refused(
    tenant: Tenant, model: Model, autojump_clock: MockClock
) -> None:
    await tenant.ask("one")
    seq = await order(tenant, NoteSession("remember", unique="n"))
    held = Held()
    model.scripts.insert(0, held)
    receipt = await tenant.send("two")
    await held.reached.wait()
    # It is there: that can be said while a turn is in progress, too.
    assert await order(tenant, NoteSession("remember", unique="n")) == seq
    with pytest.raises(IdempotencyConflict, match="other words"):
        await order(tenant, NoteSession("forget", unique="n"))
    held.go.set()
    await tenant.end(receipt)
    assert await order(tenant, NoteSession("remember")) > seq
    assert (await texts()).count("remember") == 2


# --- a crash anywhere, and asked again

MATRIX = {
    "set": (
        PatchSession(changes={"label": "x"}),
        ["session.set", "session.order-done"],
    ),
    "reset": (ResetSession(), ["session.reset", "session.order-done"]),
    "note": (
        NoteSession("remember", unique="n"),
        ["session.note", "session.order-done"],
    ),
    "rewind": (RewindSession(5), ["session.rewind", "session.order-done"]),
    "fork": (ForkSession(key=FORK, at=5), ["session.fork", "session.order-done"]),
    "archive": (PutAway(away=True), ["session.set", "session.order-done"]),
    "delete": (
        DeleteSession(),
        ["session.set", "session.erase", "session.order-done"],
    ),
}
CELLS = [
    (name, f"{point}.{side}")
    for name, (_, points) in MATRIX.items()
    for point in points
    for side in SIDES
]


@pytest.mark.parametrize(("name", "point"), CELLS)
async def test_who_asks_again_after_a_crash_gets_the_same_answer(
    tenant: Tenant, name: str, point: str, autojump_clock: MockClock
) -> None:
    request, _ = MATRIX[name]
    await tenant.ask("one")
    await tenant.ask("two")
    crashes = [point]

    def crash(reached: str) -> None:
        if reached in crashes:
            crashes.remove(reached)
            raise RuntimeError(point)

    with hooked(crash), suppress(supervision.CallFailed):
        await order(tenant, request)
    assert not crashes
    before = await supervision.call("default/ledger", ReadJournal(KEY))
    first = await order(tenant, request)
    assert await order(tenant, request) == first
    after = await supervision.call("default/ledger", ReadJournal(KEY))
    if name != "delete" and not point.endswith(f"{name}.before"):
        assert after == before  # it was done, and is not done again
    assert sum(event.kind == "session-reset" for event in after) <= 1
    assert sum(event.kind == "rewound" for event in after) <= 1
    assert sum(event.kind == "noted" for event in after) <= 1
    assert (await tenant.ask("three")).outcome == "ok"


STOPPED = {
    "reset": (
        ResetSession(stop=True),
        ["interrupt", "close", "reset", "order-done"],
    ),
    "delete": (
        DeleteSession(stop=True),
        ["interrupt", "close", "withdraw", "set", "erase", "order-done"],
    ),
}
STOPPED_CELLS = [
    (name, f"session.{point}.{side}")
    for name, (_, points) in STOPPED.items()
    for point in points
    for side in SIDES
]


@pytest.mark.parametrize(("name", "point"), STOPPED_CELLS)
async def test_a_crash_in_an_order_that_stops_a_turn_loses_no_message(
    tenant: Tenant, model: Model, name: str, point: str, autojump_clock: MockClock
) -> None:
    request, _ = STOPPED[name]
    held = Held()
    model.scripts.insert(0, held)
    said = [await tenant.send("one")]
    await held.reached.wait()
    said.append(await tenant.send("two", queue="followup"))
    crashes = [point]

    def crash(reached: str) -> None:
        if reached in crashes:
            crashes.remove(reached)
            raise RuntimeError(point)

    with hooked(crash), suppress(supervision.CallFailed):
        await order(tenant, request)
    assert not crashes
    held.go.set()
    await order(tenant, request)
    # Stopped, or answered where the crash was before that.
    ends = [(await tenant.end(each)).outcome for each in said]
    assert set(ends) <= {"ok", "aborted"}
    if name == "delete":
        assert (await read()).row is None
    else:
        assert "one" not in await texts()
        # Only a crash before it was stopped lets it come to an end of its own.
        assert ends[0] == "aborted" or point.startswith("session.interrupt")
    assert (await tenant.ask("three")).outcome == "ok"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
async def test_whatever_is_done_a_turn_is_told_what_the_journal_says(
    tenant: Tenant, model: Model, seed: int, autojump_clock: MockClock
) -> None:
    chance = random.Random(seed)
    known, forks = [KEY], 0
    for number in range(30):
        key = chance.choice(known)
        exists = await row(key) is not None
        action = chance.choice(["ask"] * 3 + ["rewind", "fork", "reset", "new", "kill"])
        if action == "ask" or not exists:
            before = await texts(key)
            await tenant.ask(f"{number}", key=key)
            assert told(model) == [*before, f"{number}"]
        elif action == "new":
            await tenant.ask(f"/new {number}", key=key)
            assert told(model) == [f"{number}"]
        elif action == "reset":
            await order(tenant, ResetSession(), key)
            assert await texts(key) == []
        elif action == "kill" and supervision.whereis(f"default/session/{key}"):
            await tenant.kill(f"default/session/{key}")
        elif action in ("rewind", "fork"):
            events = await supervision.call("default/ledger", ReadJournal(key))
            to = chance.choice(rests(events))
            there = [message.text for message in replay(events, to).messages]
            if action == "rewind":
                await order(tenant, RewindSession(to), key)
            else:
                forks += 1
                known.append(f"agent:main:fork:{forks}")
                await order(tenant, ForkSession(key=known[-1], at=to), key)
                key = known[-1]
            assert await texts(key) == there
