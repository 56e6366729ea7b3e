"""Time that turns work: what an account comes to, and that no cap is ever passed."""

import sqlite3
import tempfile
from collections import Counter
from contextlib import closing
from pathlib import Path

import attrs
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from beamclaw.contracts.budgets import Cap, Purse, Scope, Spent, purses
from beamclaw.contracts.ledger_errors import LedgerError, TimeReached
from beamclaw.contracts.ledger_inbox import Receipt
from beamclaw.contracts.ledger_ops import ClaimRun, EndRun, Op, OpenRun, Take, Work
from beamclaw.contracts.ledger_reads import OutputRead, ReadOutput
from beamclaw.contracts.ledger_session_ops import DropSession
from beamclaw.contracts.ledger_usage import ReadPurses
from beamclaw.contracts.messages import Usage
from beamclaw.ledger.schema import LEDGER
from beamclaw.storage import open_database
from tests.support.books import Opened, commit, open_book
from tests.support.ledgers import message

KEY = "agent:a:one"
DAY = 86_400.0
TODAY, TOMORROW = "1970-01-01", "1970-01-02"


def begin(book: Opened, run: str = "r", key: str = KEY) -> None:
    (receipt,) = book.serve(message(run, key))
    assert isinstance(receipt, Receipt)
    ops = (Take((receipt.inbox_id,)), OpenRun(run, 1.0))
    book.serve(commit(0, key=key, ops=ops))


def work(used: int, reserve: int = 0, day: int = 0, *caps: Cap, run: str = "r") -> Work:
    agent, at = "a", 1.0 + day * DAY
    return Work(run_id=run, agent=agent, at=at, used=used, reserve=reserve, caps=caps)


def over(seconds: float, day: int = 0, run: str = "r") -> EndRun:
    return EndRun(
        run_id=run,
        at=1.0 + day * DAY,
        outcome="ok",
        stop_reason="stop",
        text="",
        usage=Usage(),
        seconds=seconds,
    )


def worked(book: Opened, *wanted: Purse) -> list[int]:
    rows = book.read(ReadPurses(wanted))
    assert isinstance(rows, tuple)
    return [row.spent.ms for row in rows]


def three(book: Opened) -> list[int]:
    """Of today, of tomorrow, and of the session."""
    days = (Purse("tenant", "", TODAY), Purse("tenant", "", TOMORROW))
    return worked(book, *days, Purse("session", KEY, ""))


CASES: dict[str, tuple[tuple[Op, ...], list[int]]] = {
    "what is reserved counts": ((work(0, 1000),), [1000, 0, 1000]),
    "what was used stays, and more is reserved": (
        (work(0, 1000), work(300, 1000)),
        [1300, 0, 1300],
    ),
    "the same a second time is nothing": (
        (work(0, 1000), work(300, 500), work(300, 500)),
        [800, 0, 800],
    ),
    "a turn that waits has nothing reserved": (
        (work(0, 1000), work(300)),
        [300, 0, 300],
    ),
    "and goes on": ((work(0, 1000), work(300), work(310, 500)), [810, 0, 810]),
    "the end": ((work(0, 1000), over(0.4)), [400, 0, 400]),
    "longer than was reserved is paid all the same": (
        (work(0, 1000), over(1.5)),
        [1500, 0, 1500],
    ),
    "less than before is what a death has hidden": (
        (work(0, 1000), work(700, 1000), work(100, 1000), over(0.2)),
        [700, 0, 700],
    ),
    "over midnight: of the day on which it was reserved": (
        (work(0, 1000), work(300, 1000, 1)),
        [300, 1000, 1300],
    ),
    "and its end": ((work(0, 1000), over(0.4, 1)), [400, 0, 400]),
    "after a wait it is of the day on which it goes on": (
        (work(0, 1000), work(300), work(310, 500, 1), over(0.5, 1)),
        [300, 200, 500],
    ),
    "nothing was reserved: nothing is paid": ((over(9.0),), [0, 0, 0]),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("together", [True, False])
def test_what_an_account_comes_to(tmp_path: Path, case: str, together: bool) -> None:
    """In one transaction, or with a death of the ledger behind each operation."""
    ops, sums = CASES[case]
    path = tmp_path / "ledger.db"
    with open_book(path) as book:
        begin(book)
        if together:
            outcomes = book.serve(*(commit(None, ops=(op,), key=KEY) for op in ops))
            assert all(isinstance(outcome, int) for outcome in outcomes), outcomes
    for op in () if together else ops:
        with open_book(path) as book:
            (outcome,) = book.serve(commit(None, ops=(op,), key=KEY))
            assert isinstance(outcome, int), outcome
    with open_book(path) as book:
        assert three(book) == sums
    ended = isinstance(ops[-1], EndRun)
    with closing(sqlite3.connect(path)) as connection:
        (accounts,) = connection.execute("SELECT count(*) FROM work").fetchone()
    assert accounts == (not ended)


@pytest.mark.parametrize(
    ("scope", "whose"),
    [
        ("tenant", "today, all agents together"),
        ("agent", "today, this agent"),
        ("session", "this conversation"),
    ],
)
def test_what_would_go_beyond_a_cap_is_refused_with_what_is_left(
    tmp_path: Path, scope: Scope, whose: str
) -> None:
    cap = Cap(scope, "seconds", 5_000, f"limits.{scope}.seconds")
    roomy = Cap("tenant", "seconds", 90_000, "limits.day.seconds")
    with open_book(tmp_path / "ledger.db") as book:
        begin(book)
        ops = (work(0, 3_000, 0, cap, roomy), work(1_500, 3_501, 0, cap, roomy))
        outcomes = [book.serve(commit(None, ops=(op,), key=KEY))[0] for op in ops]
        reached = outcomes[1]
        assert isinstance(reached, TimeReached)
        assert (reached.left, reached.cap, reached.paid) == (3_500, cap, 3_000)
        words = f"{whose} may use 5 seconds ({cap.name}), 1.5 are used or reserved"
        assert words in str(reached)
        # Nothing of it was written; what is left may be reserved.
        assert three(book) == [3_000, 0, 3_000]
        fits = work(1_500, 3_500, 0, cap, roomy)
        assert book.serve(commit(None, ops=(fits,), key=KEY)) == [0]
        assert three(book) == [5_000, 0, 5_000]


def test_a_cap_that_was_lowered_refuses_and_never_what_is_given_back(
    tmp_path: Path,
) -> None:
    cap = Cap("tenant", "seconds", 1_000, "limits.day.seconds")
    with open_book(tmp_path / "ledger.db") as book:
        begin(book)
        book.serve(commit(None, ops=(work(0, 3_000),), key=KEY))
        more = commit(None, ops=(work(2_000, 1, 0, cap),), key=KEY)
        (reached,) = book.serve(more)
        assert isinstance(reached, TimeReached)
        assert reached.left == 0
        assert book.serve(commit(None, ops=(work(2_000, 0, 0, cap),), key=KEY)) == [0]
        assert three(book) == [2_000, 0, 2_000]


def test_only_a_run_in_progress_has_an_account(tmp_path: Path) -> None:
    with open_book(tmp_path / "ledger.db") as book:
        begin(book)
        outcomes = [
            book.serve(commit(None, ops=(op,), key=KEY))[0]
            for op in (over(0.0), work(0, 1_000))
        ]
    assert isinstance(outcomes[1], LedgerError)


def test_with_its_session_all_of_it_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with open_book(path) as book:
        begin(book)
        ops: tuple[Op, ...] = (work(0, 1_000), over(0.5), DropSession(2.0))
        outcomes = [book.serve(commit(None, ops=(op,), key=KEY))[0] for op in ops]
        assert outcomes == [0, 0, 0]
        assert three(book) == [500, 0, 0]


OLD_OUTPUT = """
    INSERT INTO outputs (tenant, owner_epoch, run_epoch, session, run_id, at, pointer,
        length, piece, body)
    VALUES ('default', 1, 1, 1, 'r0', 1.0, 'old', 1, 0, x'61')
"""


def test_a_ledger_of_the_release_before_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    before = attrs.evolve(LEDGER, migrations=LEDGER.migrations[:5], rises=None)
    with closing(open_database(path, before)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")  # its session comes below
        connection.execute("BEGIN")
        connection.execute(OLD_OUTPUT)
        connection.execute(
            "INSERT INTO spent VALUES ('tenant', '', ?, 'default', 1, 7, 8, 9)",
            (TODAY,),
        )
        connection.execute("COMMIT")
    purse = Purse("tenant", "", TODAY)
    with open_book(path) as book:
        begin(book)
        assert book.serve(commit(None, ops=(work(0, 1_000),), key=KEY)) == [0]
        rows = book.read(ReadPurses((purse,)))
        assert isinstance(rows, tuple)
        assert rows[0].spent == Spent(tokens=7, cost=8, calls=9, ms=1_000)
        # Whose words tools have said was not noted.
        old = book.read(ReadOutput("old"))
        assert isinstance(old, OutputRead)
        assert old.untrusted


# --- whatever happens in which order

SESSIONS = (KEY, "agent:a:two", "agent:b:one")


@attrs.frozen
class Ask:
    """The turn of this session reserves so much more, on which day."""

    session: int
    reserve: int
    day: int


@attrs.frozen
class Go:
    """It works for so much of what it has reserved, in percent."""

    session: int
    share: int


@attrs.frozen
class Wait:
    """It waits for a person."""

    session: int


@attrs.frozen
class End:
    """It is over, and the next one begins."""

    session: int


@attrs.frozen
class Crash:
    """The ledger is opened again; some turns are taken over."""


numbers = st.integers(0, 2)
moves = st.lists(
    st.builds(Ask, numbers, st.integers(1, 400), st.integers(0, 1))
    | st.builds(Go, numbers, st.integers(0, 100))
    | st.builds(Wait, numbers)
    | st.builds(End, numbers)
    | st.builds(Crash),
    max_size=40,
)
caps = st.lists(
    st.builds(
        Cap,
        st.sampled_from(["tenant", "agent", "session"]),
        st.just("seconds"),
        st.integers(0, 900),
        st.just("limits"),
    ),
    min_size=1,
    max_size=4,
)


@attrs.define
class Turn:
    """What is known of one outside; times in milliseconds."""

    run: str
    session: int
    epoch: int = 1
    used: int = 0
    until: int = 0
    # What each purse was told of it, and in which of a day what is reserved stands.
    paid: Counter[Purse] = attrs.field(factory=Counter[Purse])
    at: float = 1.0
    settled: int = 0

    @property
    def agent(self) -> str:
        return SESSIONS[self.session].split(":")[1]

    def pay(self, at: float, ms: int) -> None:
        for purse in purses(self.agent, SESSIONS[self.session], at):
            self.paid[purse] += ms


@attrs.define
class World:
    path: Path
    caps: tuple[Cap, ...]
    turns: list[Turn] = attrs.field(factory=list[Turn])
    over: list[Turn] = attrs.field(factory=list[Turn])
    count: int = 0

    def start(self, book: Opened, session: int) -> Turn:
        self.count += 1
        turn = Turn(f"r{self.count}", session)
        begin(book, turn.run, SESSIONS[session])
        return turn

    def write(self, book: Opened, turn: Turn, *ops: Op) -> object:
        (outcome,) = book.serve(
            commit(
                None,
                ops=ops,
                key=SESSIONS[turn.session],
                run=turn.run,
                run_epoch=turn.epoch,
            )
        )
        return outcome

    def settle(self, turn: Turn, at: float) -> None:
        """What it has worked is of the day on which that was reserved."""
        turn.pay(turn.at if turn.until else at, turn.used - turn.settled)
        turn.settled, turn.until, turn.at = turn.used, 0, at

    def play(self, book: Opened, move: Ask | Go | Wait | End) -> None:
        turn = self.turns[move.session]
        day = move.day if isinstance(move, Ask) else int(turn.at // DAY)
        at = 1.0 + day * DAY
        match move:
            case Ask():
                op = work(turn.used, move.reserve, day, *self.caps, run=turn.run)
                op = attrs.evolve(op, agent=turn.agent)
                outcome = self.write(book, turn, op)
                if isinstance(outcome, TimeReached):
                    return
                assert isinstance(outcome, int), outcome
                self.settle(turn, at)
                turn.until = turn.used + move.reserve
            case Go():
                left = max(0, turn.until - turn.used)
                turn.used += left * move.share // 100
            case Wait():
                op = attrs.evolve(
                    work(turn.used, 0, day, run=turn.run), agent=turn.agent
                )
                assert isinstance(self.write(book, turn, op), int)
                self.settle(turn, at)
            case End():
                op = over((turn.used + 0.5) / 1_000, day, run=turn.run)
                assert isinstance(self.write(book, turn, op), int)
                self.settle(turn, at)
                self.over.append(turn)
                self.turns[move.session] = self.start(book, move.session)

    def check(self, book: Opened) -> None:
        sums: Counter[Purse] = Counter()
        for turn in (*self.over, *self.turns):
            sums.update(turn.paid)
            if turn.until:
                for purse in purses(turn.agent, SESSIONS[turn.session], turn.at):
                    sums[purse] += turn.until - turn.settled
        assert worked(book, *sums) == list(sums.values())
        for purse, ms in sums.items():
            for cap in self.caps:
                assert cap.scope != purse.scope or ms <= cap.limit


@pytest.mark.slow
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example(
    [Cap("tenant", "seconds", 500, "limits")],
    [Ask(0, 400, 0), Go(0, 50), Ask(1, 100, 0), Crash(), Ask(0, 200, 1), End(0)],
)
@given(caps, moves)
def test_no_cap_is_ever_passed_and_a_purse_is_the_sum_of_its_accounts(
    chosen: list[Cap], schedule: list[Ask | Go | Wait | End | Crash]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder) / "ledger.db", tuple(chosen))
        with open_book(world.path) as book:
            world.turns = [world.start(book, each) for each in range(len(SESSIONS))]
        todo = list(schedule)
        while todo:
            with open_book(world.path) as book:
                while todo:
                    move = todo.pop(0)
                    if isinstance(move, Crash):
                        break
                    world.play(book, move)
                    world.check(book)
            # What was reserved counts until whoever takes the turn over says otherwise.
            with open_book(world.path) as book:
                world.check(book)
                for turn in world.turns[:2]:
                    turn.epoch += 1
                    assert isinstance(world.write(book, turn, ClaimRun(2.0)), int)
                world.check(book)
