"""Prices, purses and caps."""

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamclaw.contracts.budgets import (
    Cap,
    Price,
    Purse,
    Scope,
    Spent,
    cut_short,
    holds_for,
    in_words,
    nearly,
    needs_price,
    of_root,
    purses,
    reached,
)
from beamclaw.contracts.messages import Usage

PRICE = Price(input=3.0, output=15.0, cached=0.3)
KEPT = Price(input=3.0, output=15.0, cached=0.3, stored=3.75)


@pytest.mark.parametrize(
    ("price", "usage", "cost"),
    [
        (PRICE, Usage(1_000_000, 0), 3_000_000),
        (PRICE, Usage(0, 1_000_000), 15_000_000),
        (PRICE, Usage(1_000_000, 0, 1_000_000), 300_000),
        (PRICE, Usage(100, 10, 50), 150 + 15 + 150),
        (Price(input=3.0, output=0.0), Usage(100, 0, 50), 300),
        (Price(input=0.1, output=0.0), Usage(1, 0), 1),  # never for nothing
        (Price(), Usage(1_000, 1_000), 0),
        (KEPT, Usage(100, 10, 50, stored=40), 10 * 3 + 15 + 150 + 150),
        (KEPT, Usage(100, 0), 300),
        (KEPT, Usage(100, 0, estimated=True), 375),  # it may have been kept
        (KEPT, Usage(100, 0, 50, estimated=True), 203),
        (PRICE, Usage(100, 0, stored=100), 300),
    ],
)
def test_what_a_call_costs(price: Price, usage: Usage, cost: int) -> None:
    assert price.cost(usage) == cost


Tokens = st.integers(0, 10**9)


@given(st.data(), Tokens, Tokens, st.sampled_from([PRICE, KEPT, Price(input=1.0)]))
def test_whatever_is_kept_and_read_again_costs_no_more_than_was_reserved(
    data: st.DataObject, most: int, output: int, price: Price
) -> None:
    input_ = data.draw(st.integers(0, most))
    cached = data.draw(st.integers(0, input_))
    stored = data.draw(st.integers(0, input_ - cached))
    used = Usage(input_, data.draw(st.integers(0, output)), cached, stored=stored)
    assert price.cost(used) <= price.cost(Usage(most, output, estimated=True))


@pytest.mark.parametrize(
    ("told", "usage", "cost"),
    [
        (0, Usage(100, 0, estimated=True), 667),
        (5, Usage(100, 5, estimated=True), 700),
        (50, Usage(100, 50, estimated=True), 1_000),
        (70, Usage(100, 50, estimated=True), 1_000),
    ],
)
def test_a_call_cut_short_takes_its_prompt_and_what_came(
    told: int, usage: Usage, cost: int
) -> None:
    assert cut_short(Usage(100, 50), 1_000, told) == (usage, cost)
    assert cut_short(Usage(), 0, told) == (Usage(estimated=True), 0)


def test_the_purses_of_a_call() -> None:
    assert purses("main", "agent:main:main", 86_400.0 * 365) == (
        Purse("tenant", "", "1971-01-01"),
        Purse("agent", "main", "1971-01-01"),
        Purse("session", "agent:main:main", ""),
    )


SUB, ROOT = "agent:main:subagent:1", "agent:main:main"


@pytest.mark.parametrize(
    ("scope", "root", "held"),
    [
        ("tenant", ROOT, [""]),
        ("agent", ROOT, ["main"]),
        ("session", ROOT, [SUB]),
        ("root", ROOT, [ROOT]),
        # That was deleted, or there never was one: the sub-agent's own is what is left.
        ("session", None, [SUB]),
        ("root", None, []),
    ],
)
def test_which_purse_of_a_sub_agents_call_a_cap_is_of(
    scope: Scope, root: str | None, held: list[str]
) -> None:
    paid = purses("main", SUB, 0.0, root)
    assert len(paid) == (3 if root is None else 4)
    cap = Cap(scope, "calls", 2, "limits")
    assert [purse.key for purse in paid if holds_for(cap, purse, root)] == held


def test_of_the_caps_of_its_root_those_of_a_conversation_hold_for_a_sub_agent() -> None:
    caps = [Cap(scope, "calls", 2, scope) for scope in ("tenant", "agent", "session")]
    assert of_root(caps) == (Cap("root", "calls", 2, "session"),)


def test_a_sub_agent_says_whose_cap_has_ended_it() -> None:
    cap = Cap("root", "calls", 2, "limits.session.calls")
    assert in_words(cap, Spent(calls=2), 0.0) == (
        "I stopped: the conversation that this sub-agent works for, with all of its "
        "sub-agents, may use 2 calls of the model (limits.session.calls), 2 are used or "
        "reserved, and the next step could go beyond. A new conversation begins at "
        "nothing."
    )


@pytest.mark.parametrize(
    ("cap", "beyond"),
    [
        (Cap("agent", "tokens", 130, "x"), False),
        (Cap("agent", "tokens", 129, "x"), True),
        (Cap("agent", "cost", 9, "x"), False),
        (Cap("agent", "cost", 8, "x"), True),
        (Cap("agent", "calls", 3, "x"), False),
        (Cap("agent", "calls", 2, "x"), True),
        # A call is none of its business: a turn reserves its time itself.
        (Cap("agent", "seconds", 0, "x"), False),
    ],
)
def test_a_cap_is_reached_when_the_next_call_could_go_beyond(
    cap: Cap, beyond: bool
) -> None:
    assert reached(cap, Spent(100, 5, 2), Usage(20, 10), 4) is beyond


def test_a_reservation_is_taken_back_but_the_call_stays_counted() -> None:
    spent = Spent().plus(Usage(10, 90), 50, 1)
    assert spent.plus(Usage(10, 5), 3).minus(Usage(10, 90), 50) == Spent(15, 3, 1)


def test_a_cap_says_in_words_what_it_is() -> None:
    cap = Cap("tenant", "cost", 2_500_000, "limits.day.cost")
    at = 86_400.0 * 365 + 3600 * 17.5
    words = in_words(cap, Spent(cost=2_400_000), at)
    assert "begins at midnight (UTC), in 6 h 30 min" in words
    assert "today, all agents together may use $2.50 (limits.day.cost), $2.40" in words


def test_time_is_said_in_seconds() -> None:
    cap = Cap("agent", "seconds", 3_600_000, "limits.agent.seconds")
    words = in_words(cap, Spent(ms=3_599_550), 0.0)
    assert "may use 3,600 seconds (limits.agent.seconds), 3,599.6 are used" in words


def test_a_call_costs_no_time_and_gives_none_back() -> None:
    spent = Spent().worked(500).plus(Usage(1, 1), 2, 1).minus(Usage(1, 1), 2)
    assert spent == Spent(calls=1, ms=500)
    assert spent.of("seconds") == 500
    assert spent.worked(-200).ms == 300


def test_a_cap_of_a_conversation_is_never_free_again() -> None:
    cap = Cap("session", "tokens", 10, "limits.session.tokens")
    assert in_words(cap, Spent(), 0.0).endswith("A new conversation begins at nothing.")


COST = Cap("agent", "cost", 1_000_000, "limits.agent.cost")
SOFT = attrs.evolve(COST, soft=True)
TOKENS = Cap("agent", "tokens", 10, "limits.agent.tokens")
CALLS = Cap("agent", "calls", 10, "limits.agent.calls")
TIME = Cap("agent", "seconds", 10, "limits.agent.seconds")


@pytest.mark.parametrize(
    ("caps", "price"),
    [
        ((), False),
        ((CALLS,), False),
        ((TIME,), False),
        ((TOKENS, CALLS), False),
        ((SOFT, CALLS), False),
        ((SOFT, COST), True),
    ],
)
def test_only_a_hard_cap_of_money_needs_a_price(
    caps: tuple[Cap, ...], price: bool
) -> None:
    assert (needs_price(caps) is not None) == price


@pytest.mark.parametrize(
    ("used", "told"), [(7, False), (8, True), (10, True), (100, True)]
)
def test_a_cap_is_nearly_reached_at_its_share(used: int, told: bool) -> None:
    assert nearly(CALLS, Spent(calls=used), 0.8) is told
