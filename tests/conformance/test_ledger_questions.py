"""The contract of a ledger: questions to persons, and what persons allow for good."""

from typing import Any

import attrs
import pytest

from beamclaw.contracts.approvals import Grant, GrantRow, ReadGrants, RevokeGrant
from beamclaw.contracts.ledger_errors import (
    AnsweredAlready,
    AnsweredTooLate,
    LedgerError,
    NoSuchWait,
    NotForGood,
    TooManyGrants,
)
from beamclaw.contracts.ledger_ops import (
    AnswerWait,
    CloseWait,
    OpenRun,
    OpenWait,
    Take,
)
from beamclaw.contracts.ledger_reads import ReadWait, ReadWaits, ReadWaitsOver
from beamclaw.contracts.ledger_rows import WaitRow
from beamclaw.contracts.ledger_session_ops import DropSession
from tests.support.books import commit, open_book
from tests.support.ledgers import KEY, OTHER, Client, Epochs, end, event, message

GRANT = Grant(tool="exec", pattern="/bin/ls", arguments="sha256:d", words="ls -l")
ASKED = OpenWait(
    wait_id="w",
    run_id="r1",
    question="run: ls -l",
    at=5.0,
    expires_at=60.0,
    agent="main",
    digest="d",
    details={"folder": "/ws", "command": "ls \u202e\x1b[2J"},
    grant=GRANT,
)


async def ask(ledger: Client, asked: OpenWait = ASKED) -> None:
    await ledger.begin()
    await ledger.commit(event("wait-begun", "r1"), run="r1", ops=(asked,))


async def answer(ledger: Client, verdict: Any = "allow", **other: Any) -> None:
    given: dict[str, Any] = {"wait_id": "w", "by": "anna", "at": 7.0}
    key = other.pop("key", KEY)
    op = AnswerWait(verdict=verdict, **(given | other))
    await ledger.commit(ops=(op,), key=key, seq=None)


async def waits(ledger: Client) -> tuple[WaitRow, ...]:
    return await ledger.call(ReadWaits())


async def grants(ledger: Client, **about: Any) -> tuple[GrantRow, ...]:
    return await ledger.call(ReadGrants(**about))


async def test_a_question_is_read_as_it_was_asked(ledger):
    await ask(ledger)
    row = WaitRow(
        wait_id="w",
        session_key=KEY,
        run_id="r1",
        question="run: ls -l",
        at=5.0,
        expires_at=60.0,
        agent="main",
        digest="d",
        details=ASKED.details,
        grant=GRANT,
        number=1,
    )
    assert await waits(ledger) == (row,)
    assert (await ledger.read()).waits == (row,)


async def test_an_answer_stands_until_the_journal_says_it(ledger):
    await ask(ledger)
    await answer(ledger, text="why not")
    assert await waits(ledger) == ()
    (row,) = (await ledger.read()).waits
    assert (row.verdict, row.by, row.text, row.always) == (
        "allow",
        "anna",
        "why not",
        False,
    )
    over = event("wait-over", "r1")
    await ledger.commit(over, run="r1", ops=(CloseWait("w"),))
    assert (await ledger.read()).waits == ()
    assert await grants(ledger) == ()


@pytest.mark.parametrize("first", ["allow", "deny"])
async def test_exactly_one_answer_counts(ledger, first):
    await ask(ledger)
    await answer(ledger, first, by="bert")
    for second in ("allow", "deny"):
        with pytest.raises(AnsweredAlready, match=f"bert has answered {first}"):
            await answer(ledger, second)
    (row,) = (await ledger.read()).waits
    assert (row.verdict, row.by) == (first, "bert")


async def test_behind_its_time_no_answer_counts(ledger):
    await ask(ledger)
    with pytest.raises(AnsweredTooLate, match="the time to answer w is over"):
        await answer(ledger, at=60.0)
    over = event("wait-over", "r1")
    await ledger.commit(over, run="r1", ops=(CloseWait("w", unanswered=True),))
    with pytest.raises(NoSuchWait):
        await answer(ledger, at=59.0)


async def test_another_session_cannot_be_answered_for(ledger):
    await ask(ledger)
    await ledger.begin("r2", key=OTHER)
    with pytest.raises(NoSuchWait):
        await answer(ledger, key=OTHER)
    assert len(await waits(ledger)) == 1


async def test_a_run_does_not_answer_itself(ledger):
    await ask(ledger)
    op = AnswerWait(wait_id="w", verdict="allow", by="me", at=7.0)
    with pytest.raises(LedgerError, match="for the session's own claim"):
        await ledger.commit(ops=(op,), run="r1")


async def test_with_the_run_its_question_is_over(ledger):
    await ask(ledger)
    await ledger.commit(event("run-over", "r1"), run="r1", ops=(end(),))
    assert await waits(ledger) == ()
    with pytest.raises(NoSuchWait):
        await answer(ledger)


async def test_a_question_is_found_by_its_id_also_when_it_is_over(ledger):
    assert await ledger.call(ReadWait("w")) is None
    await ask(ledger)
    assert (await ledger.call(ReadWait("w"))).closed_at is None
    await answer(ledger, "deny")
    over = event("wait-over", "r1")
    await ledger.commit(over, run="r1", ops=(CloseWait("w"),))
    row = await ledger.call(ReadWait("w"))
    assert (row.verdict, row.by, row.closed_at) == ("deny", "anna", 7.0)


async def test_what_is_over_is_listed_the_last_asked_first(ledger):
    await ledger.begin()
    for number in range(4):
        asked = attrs.evolve(ASKED, wait_id=f"w{number}")
        await ledger.commit(event("wait-begun", "r1"), run="r1", ops=(asked,))
    for number in range(3):
        close = CloseWait(f"w{number}", unanswered=True)
        await ledger.commit(event("wait-over", "r1"), run="r1", ops=(close,))
    first = await ledger.call(ReadWaitsOver(2))
    assert [row.wait_id for row in first] == ["w2", "w1"]
    rest = await ledger.call(ReadWaitsOver(2, before=first[-1].number))
    assert [row.wait_id for row in rest] == ["w0"]
    assert await ledger.call(ReadWaitsOver(2, before=rest[-1].number)) == ()


# --- for good


async def test_what_is_allowed_for_good_is_put_with_the_answer(ledger):
    await ask(ledger)
    await answer(ledger, always=True)
    (row,) = await grants(ledger)
    assert row == GrantRow(
        id=1, agent="main", grant=GRANT, at=7.0, by="anna", wait_id="w"
    )
    (asked,) = (await ledger.read()).waits
    assert asked.always


@pytest.mark.parametrize(
    ("verdict", "grant"), [("deny", GRANT), ("allow", None), ("deny", None)]
)
async def test_not_everything_can_be_allowed_for_good(ledger, verdict, grant):
    await ask(ledger, attrs.evolve(ASKED, grant=grant))
    with pytest.raises(NotForGood):
        await answer(ledger, verdict, always=True)
    assert len(await waits(ledger)) == 1
    assert await grants(ledger) == ()
    await answer(ledger, verdict)


async def test_an_answer_that_does_not_count_allows_nothing(ledger):
    await ask(ledger)
    await answer(ledger, "deny")
    with pytest.raises(AnsweredAlready):
        await answer(ledger, always=True)
    assert await grants(ledger) == ()


async def test_the_same_is_granted_once(ledger):
    await ask(ledger)
    other = attrs.evolve(ASKED, wait_id="v", grant=attrs.evolve(GRANT, words="LS"))
    await ledger.commit(event("wait-begun", "r1"), run="r1", ops=(other,))
    await answer(ledger, always=True)
    await answer(ledger, always=True, wait_id="v")
    assert [row.wait_id for row in await grants(ledger)] == ["w"]


async def test_grants_are_of_an_agent_and_of_a_tool(ledger):
    await ask(ledger)
    await answer(ledger, always=True)
    for about, found in (
        ({"agent": "main"}, 1),
        ({"agent": "other"}, 0),
        ({"tool": "exec"}, 1),
        ({"tool": "write"}, 0),
        ({"agent": "main", "tool": "exec"}, 1),
    ):
        assert len(await grants(ledger, **about)) == found, about


async def test_a_grant_is_taken_back_once_and_can_be_given_again(ledger):
    await ask(ledger)
    await answer(ledger, always=True)
    back = RevokeGrant(id=1, at=8.0, by="bert")
    assert await ledger.call(back)
    assert not await ledger.call(attrs.evolve(back, by="carl"))
    assert not await ledger.call(attrs.evolve(back, id=99))
    assert await grants(ledger) == ()
    (row,) = await grants(ledger, revoked=True)
    assert (row.revoked_at, row.revoked_by) == (8.0, "bert")
    again = attrs.evolve(ASKED, wait_id="v")
    await ledger.commit(event("wait-begun", "r1"), run="r1", ops=(again,))
    await answer(ledger, always=True, wait_id="v")
    assert [row.id for row in await grants(ledger)] == [2]
    assert [row.id for row in await grants(ledger, revoked=True)] == [1, 2]


async def test_questions_and_grants_are_there_after_it_was_opened_again(opened):
    epochs = Epochs()
    async with opened(epochs=epochs) as ledger:
        await ask(ledger)
        other = attrs.evolve(ASKED, wait_id="v")
        await ledger.commit(event("wait-begun", "r1"), run="r1", ops=(other,))
        await answer(ledger, always=True)
    async with opened(epochs=epochs) as ledger:
        assert [row.wait_id for row in await waits(ledger)] == ["v"]
        assert [row.grant for row in await grants(ledger)] == [GRANT]
        with pytest.raises(AnsweredAlready):
            await answer(ledger, "deny")
        await answer(ledger, wait_id="v", always=True)
        assert len(await grants(ledger)) == 1


async def test_a_grant_outlives_the_session_it_was_asked_in(ledger):
    await ask(ledger)
    await answer(ledger, always=True)
    await ledger.commit(event("run-over", "r1"), run="r1", ops=(end(),))
    await ledger.commit(ops=(DropSession(9.0),), seq=None)
    assert [row.grant for row in await grants(ledger)] == [GRANT]


# --- how much


async def allow(ledger: Client, name: str, **other: Any) -> None:
    """Ask for leave to use *name*, and allow it for good."""
    grant = attrs.evolve(GRANT, pattern=name, **other)
    op = attrs.evolve(ASKED, wait_id=name, grant=grant)
    if name not in {row.wait_id for row in await waits(ledger)}:
        await ledger.commit(event("wait-begun", "r1"), run="r1", ops=(op,))
    await answer(ledger, wait_id=name, always=True)


async def held(ledger: Client, **about: Any) -> list[str]:
    return [row.grant.pattern for row in await grants(ledger, **about)]


async def test_there_is_room_for_so_many_grants(opened):
    async with opened(max_grants=2) as ledger:
        await ledger.begin()
        for name in "ab":
            await allow(ledger, name)
        with pytest.raises(
            TooManyGrants, match=r"2 things .*tools.max_grants: 2"
        ) as no:
            await allow(ledger, "c")
        assert "beamclaw approvals grants" in str(no.value)
        assert isinstance(no.value, NotForGood)
        assert await held(ledger) == ["a", "b"]
        # The question is as open as before.
        assert [row.wait_id for row in await waits(ledger)] == ["c"]
        await answer(ledger, wait_id="c")


async def test_what_is_granted_already_needs_no_room(opened):
    async with opened(max_grants=1) as ledger:
        await ledger.begin()
        await allow(ledger, "a")
        op = attrs.evolve(ASKED, grant=attrs.evolve(GRANT, pattern="a", words="A"))
        await ledger.commit(event("wait-begun", "r1"), run="r1", ops=(op,))
        await answer(ledger, always=True)
        assert await held(ledger) == ["a"]


async def test_a_grant_that_is_taken_back_makes_room(opened):
    async with opened(max_grants=1) as ledger:
        await ledger.begin()
        await allow(ledger, "a")
        with pytest.raises(TooManyGrants):
            await allow(ledger, "b")
        assert await ledger.call(RevokeGrant(id=1, at=8.0, by="bert"))
        await allow(ledger, "b")
        with pytest.raises(TooManyGrants):
            await allow(ledger, "c")
        assert await held(ledger) == ["b"]


async def test_two_grants_of_one_commit_need_room_for_two(opened):
    async with opened(max_grants=1) as ledger:
        await ledger.begin()
        for name in "ab":
            grant = attrs.evolve(GRANT, pattern=name)
            op = attrs.evolve(ASKED, wait_id=name, grant=grant)
            await ledger.commit(event("wait-begun", "r1"), run="r1", ops=(op,))
        ops = tuple(
            AnswerWait(wait_id=name, verdict="allow", by="anna", at=7.0, always=True)
            for name in "ab"
        )
        with pytest.raises(TooManyGrants):
            await ledger.commit(ops=ops, seq=None)
        assert await held(ledger) == []
        assert len(await waits(ledger)) == 2
        await ledger.commit(ops=ops[:1], seq=None)


async def test_how_many_there_are_is_known_after_it_was_opened_again(opened):
    epochs = Epochs()
    async with opened(epochs=epochs) as ledger:
        await ledger.begin()
        for name in "abc":
            await allow(ledger, name)
        seq = ledger.seq
    async with opened(epochs=epochs, max_grants=2) as ledger:
        ledger.seq = seq
        assert await held(ledger) == ["a", "b", "c"]
        with pytest.raises(TooManyGrants, match="3 things"):
            await allow(ledger, "d")


async def test_of_what_was_taken_back_the_oldest_go(opened):
    async with opened(max_grants=2) as ledger:
        await ledger.begin()
        for at, name in enumerate("abcd", 1):
            await allow(ledger, name)
            assert await ledger.call(RevokeGrant(id=at, at=10.0 - at, by="bert"))
        # "a" was taken back last. "d" was first, but no other may have its number.
        assert await held(ledger, revoked=True) == ["a", "d"]
        await allow(ledger, "e")
        assert [row.id for row in await grants(ledger)] == [5]


async def test_granted_behind_a_revocation_in_one_transaction_it_holds(tmp_path):
    with open_book(tmp_path / "ledger.db") as opened:
        opened.serve(message())
        ops = (Take((1,)), OpenRun("r1", 2.0), ASKED, attrs.evolve(ASKED, wait_id="v"))
        opened.serve(commit(0, ops=ops))
        first, second = (
            commit(
                None,
                ops=(
                    AnswerWait(wait_id=id_, verdict="allow", by="a", at=7, always=True),
                ),
            )
            for id_ in "wv"
        )
        opened.serve(first)
        done, _ = opened.serve(RevokeGrant(id=1, at=8.0, by="bert"), second)
        assert done is True
        rows = opened.read(ReadGrants())
        assert isinstance(rows, tuple)
        assert [row.wait_id for row in rows] == ["v"]
