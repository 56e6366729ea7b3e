"""Caps hold, whatever is reserved, settled, cut and opened again in which order."""

import tempfile
from pathlib import Path

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beamclaw.contracts.budgets import Cap, Measure, Price, Purse, Scope, Spent, purses
from beamclaw.contracts.ledger_errors import BudgetReached
from beamclaw.contracts.ledger_inbox import Receipt
from beamclaw.contracts.ledger_ops import ClaimRun, Op, OpenRun, Reserve, Settle, Take
from beamclaw.contracts.ledger_usage import ReadPurses, ReadSums
from beamclaw.contracts.messages import Usage
from tests.support.books import Opened, commit, open_book
from tests.support.ledgers import message

SESSIONS = ("agent:a:one", "agent:a:two", "agent:b:one")
PRICE = Price(input=2.0, output=7.0)
DAY = 86_400.0


@attrs.frozen
class Ask:
    """A call in this session: what it reserves, and on which day."""

    session: int
    input: int
    output: int
    day: int


@attrs.frozen
class Answer:
    """The call in this session ends: with how much of what it reserved, in percent.

    None: nobody knows. Above a hundred the provider bills more than it may.
    """

    session: int
    share: int | None


@attrs.frozen
class Crash:
    """The ledger is opened again; every run is taken over."""


asks = st.builds(
    Ask,
    st.integers(0, 2),
    st.integers(0, 40),
    st.integers(1, 40),
    st.integers(0, 1),
)


def moves(most: int) -> st.SearchStrategy[list[Ask | Answer | Crash]]:
    share = st.none() | st.integers(0, most)
    answers = st.builds(Answer, st.integers(0, 2), share)
    return st.lists(asks | answers | st.builds(Crash), max_size=30)


caps = st.lists(
    st.builds(
        Cap,
        st.sampled_from(["tenant", "agent", "session"]),
        st.sampled_from(["tokens", "cost", "calls"]),
        st.integers(0, 300),
        st.just("limits"),
    ),
    min_size=1,
    max_size=4,
)


@attrs.define
class World:
    """The ledger, and what is known of it outside.

    Attributes:
        open: The call in progress of each session: attempt, bound and when.
        spent: What each purse should hold.
        overbilled: By how much providers have billed more than they might.
    """

    path: Path
    caps: tuple[Cap, ...]
    epoch: int = 1
    attempt: int = 0
    open: dict[int, tuple[int, Usage, float]] = attrs.field(
        factory=dict[int, tuple[int, Usage, float]]
    )
    spent: dict[Purse, Spent] = attrs.field(factory=dict[Purse, Spent])
    overbilled: dict[Purse, Spent] = attrs.field(factory=dict[Purse, Spent])

    def begin(self, book: Opened) -> None:
        for number, key in enumerate(SESSIONS):
            run = f"r{number}"
            (receipt,) = book.serve(message(run, key))
            assert isinstance(receipt, Receipt)
            ops = (Take((receipt.inbox_id,)), OpenRun(run, 1.0))
            book.serve(commit(0, key=key, ops=ops))

    def write(self, book: Opened, session: int, *ops: Op) -> object:
        job = commit(
            None,
            ops=ops,
            key=SESSIONS[session],
            run=f"r{session}",
            run_epoch=self.epoch,
        )
        (outcome,) = book.serve(job)
        return outcome

    def paid_from(self, session: int, at: float) -> tuple[Purse, ...]:
        return purses(SESSIONS[session].split(":")[1], SESSIONS[session], at)

    def ask(self, book: Opened, move: Ask) -> None:
        if move.session in self.open:
            return
        self.attempt += 1
        bound, at = Usage(move.input, move.output), 1.0 + move.day * DAY
        reserve = Reserve(
            run_id=f"r{move.session}",
            attempt=self.attempt,
            agent=SESSIONS[move.session].split(":")[1],
            provider="p",
            model="m",
            at=at,
            bound=bound,
            cost=PRICE.cost(bound),
            caps=self.caps,
        )
        outcome = self.write(book, move.session, reserve)
        if isinstance(outcome, BudgetReached):
            return
        assert isinstance(outcome, int), outcome
        self.open[move.session] = self.attempt, bound, at
        self.add(self.spent, move.session, at, bound, PRICE.cost(bound), 1)

    def answer(self, book: Opened, session: int, share: int | None) -> None:
        if session not in self.open:
            return
        attempt, bound, at = self.open.pop(session)
        usage, cost = None, 0
        if share is not None:
            usage = Usage(bound.input * share // 100, bound.output * share // 100)
            cost = PRICE.cost(usage)
        settle = Settle(f"r{session}", attempt, at, usage, cost)
        assert isinstance(self.write(book, session, settle), int)
        if usage is None:
            return
        more = Usage(usage.input - bound.input, usage.output - bound.output)
        dearer = cost - PRICE.cost(bound)
        self.add(self.spent, session, at, more, dearer, 0)
        if more.input + more.output > 0 or dearer > 0:
            self.add(self.overbilled, session, at, more, dearer, 0)

    def add(  # noqa: PLR0917 -- one sum
        self,
        sums: dict[Purse, Spent],
        session: int,
        at: float,
        usage: Usage,
        cost: int,
        calls: int,
    ) -> None:
        for purse in self.paid_from(session, at):
            sums[purse] = sums.get(purse, Spent()).plus(usage, cost, calls)

    def crash(self, book: Opened) -> None:
        """Every run has a successor, which settles what was cut by all of it."""
        self.epoch += 1
        for session in range(len(SESSIONS)):
            ops: list[Op] = [ClaimRun(2.0)]
            if session in self.open:
                attempt, _, at = self.open.pop(session)
                ops.append(Settle(f"r{session}", attempt, at, None))
            assert isinstance(self.write(book, session, *ops), int)

    def check(self, book: Opened) -> None:
        rows = book.read(ReadPurses(tuple(self.spent)))
        assert isinstance(rows, tuple)
        for row in rows:
            assert row.spent == self.spent[row.purse]
            for cap in self.caps:
                if cap.scope == row.purse.scope:
                    too_much = self.overbilled.get(row.purse, Spent())
                    beyond = max(0, too_much.of(cap.measure))
                    assert row.spent.of(cap.measure) <= cap.limit + beyond
        days = book.read(ReadSums("day"))
        assert isinstance(days, tuple)
        whole = {
            purse.day: sum_
            for purse, sum_ in self.spent.items()
            if purse[0] == "tenant"
        }
        assert {day.name: day.cost for day in days} == {
            day: sum_.cost for day, sum_ in whole.items()
        }


def play(chosen: tuple[Cap, ...], schedule: list[Ask | Answer | Crash]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder) / "ledger.db", chosen)
        with open_book(world.path) as book:
            world.begin(book)
        while schedule:
            with open_book(world.path) as book:
                while schedule:
                    move = schedule.pop(0)
                    match move:
                        case Ask():
                            world.ask(book, move)
                        case Answer(session, share):
                            world.answer(book, session, share)
                        case Crash():
                            break
            with open_book(world.path) as book:
                world.crash(book)
                world.check(book)


Quick = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@pytest.mark.slow
@Quick
@given(caps, moves(100))
def test_no_cap_is_ever_passed(
    chosen: list[Cap], schedule: list[Ask | Answer | Crash]
) -> None:
    play(tuple(chosen), schedule)


@pytest.mark.slow
@Quick
@given(caps, moves(300))
def test_but_by_what_a_provider_bills_beyond_its_limit(
    chosen: list[Cap], schedule: list[Ask | Answer | Crash]
) -> None:
    play(tuple(chosen), schedule)


def test_the_check_can_fail() -> None:
    """A cap that the ledger was not told of is passed, and the check says so."""
    scopes: tuple[Scope, Measure] = "tenant", "calls"
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder) / "ledger.db", ())
        with open_book(world.path) as book:
            world.begin(book)
            world.ask(book, Ask(0, 1, 1, 0))
            world.caps = (Cap(*scopes, 0, "limits"),)
            failed = False
            try:
                world.check(book)
            except AssertionError:
                failed = True
            assert failed
