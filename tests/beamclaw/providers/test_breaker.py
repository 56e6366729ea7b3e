"""Whether a provider is asked at all: the decision, told as what happens in which order."""

import pytest

from beamclaw.contracts.providers import ErrorKind
from beamclaw.providers.breaker import ILL, USELESS, Breaker, BreakerPolicy

POLICY = BreakerPolicy(failures=3, window=60.0, first=10.0, most=40.0, hold=300.0)
KINDS = (
    "auth", "rate_limit", "overloaded", "context_length", "invalid",
    "model_not_found", "quota", "network", "server", "refused",
)  # fmt: skip


class Play:
    """A breaker, and calls that follow one another."""

    def __init__(self):
        self.breaker = Breaker(POLICY)
        self.last = 0

    def begin(self, now):
        assert self.breaker.admits(now)
        self.last += 1
        self.breaker.begun(self.last)
        return self.last

    def fail(self, now, kind: ErrorKind = "server", random=1.0):
        ticket = self.begin(now)
        return self.breaker.failed(ticket, kind, "it failed", now, random)

    def answer(self, now):
        return self.breaker.answered(self.begin(now))


# What happens one after the other, at which second -> the breaker's state at the end
# and for how long nobody is asked. ``f`` a failure, ``a`` an answer.
TABLE = {
    "nothing has happened": ([], 0.0, "closed", 0.0),
    "some failures are nothing": (["f", "f"], 1.0, "closed", 0.0),
    "so many one after the other open it": (["f", "f", "f"], 2.0, "open", 10.0),
    "an answer between them does not": (["f", "f", "a", "f", "f"], 4.0, "closed", 0.0),
    "old ones do not count": (["f", "f", 60.0, "f"], 62.0, "closed", 0.0),
    "after a while one may try": (["f", "f", "f", 10.0], 12.0, "half-open", 0.0),
    "its answer closes it": (["f", "f", "f", 10.0, "a"], 13.0, "closed", 0.0),
    "its failure opens it for longer": (
        ["f", "f", "f", 10.0, "f"], 12.0, "open", 20.0,
    ),
    "and longer": (["f", "f", "f", 10.0, "f", 20.0, "f"], 32.0, "open", 40.0),
    "but not without end": (
        ["f", "f", "f", 10.0, "f", 20.0, "f", 40.0, "f"], 72.0, "open", 40.0,
    ),
    "once closed it begins with the short wait": (
        ["f", "f", "f", 10.0, "a", "f", "f", "f"], 15.0, "open", 10.0,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLE, ids=lambda case: case.replace(" ", "_"))
def test_the_table(case):
    moves, at, state, left = TABLE[case]
    play, now = Play(), 0.0
    for number, move in enumerate(moves):
        if isinstance(move, float):
            now += move
            continue
        if number and not isinstance(moves[number - 1], float):
            now += 1.0
        play.fail(now) if move == "f" else play.answer(now)
    assert now <= at
    breaker = play.breaker
    assert breaker.state(now) == state
    assert breaker.left(now) == left
    assert breaker.admits(now) == (state != "open")


@pytest.mark.parametrize("kind", KINDS)
def test_what_each_kind_of_failure_says(kind):
    play = Play()
    opened = [play.fail(float(n), kind) for n in range(1 if kind in USELESS else 3)]
    if kind in USELESS:
        assert opened == [300.0]
    else:
        assert opened[-1] == (10.0 if kind in ILL else None)


def test_the_wait_is_spread():
    play = Play()
    waits = [play.fail(float(n), random=0.0) for n in range(3)]
    assert waits == [None, None, 5.0]


def test_only_one_probe_is_out():
    play = Play()
    for n in range(3):
        play.fail(float(n))
    probe = play.begin(20.0)
    assert not play.breaker.admits(20.0)
    assert play.breaker.opens_in(20.0) == float("inf")
    play.breaker.lost(probe)
    assert play.breaker.admits(20.0)


def test_calls_from_before_say_nothing_about_now():
    play = Play()
    old = [play.begin(0.0) for _ in range(3)]
    for n in range(3):
        play.fail(float(n))
    assert not play.breaker.answered(old[0])
    assert play.breaker.failed(old[1], "server", "late", 3.0, 1.0) is None
    assert play.breaker.left(3.0) == 9.0
    # Nor of what was before it was closed again.
    play.breaker.answered(play.begin(20.0))
    assert play.breaker.failed(old[2], "auth", "late", 21.0, 1.0) is None
    assert play.breaker.is_closed


def test_after_many_failed_probes_the_wait_is_still_a_number():
    play, now = Play(), 0.0
    for _ in range(2000):
        now += 1000.0 if not play.breaker.is_closed else 1.0
        play.fail(now)
    assert play.breaker.left(now) == 40.0
