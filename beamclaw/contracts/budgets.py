"""Budgets: how much a tenant, an agent or a session may spend on models, and how long.

A model call reserves what it may cost at most before it is made, and settles what it did
cost afterwards; both stand in the ledger, in one commit with what they are for. A call
whose reservation would go beyond a cap is not made. A turn does the same with its time.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

import attrs

from beamclaw.contracts.messages import Usage
from beamclaw.values import frozen

# What a cap is of. ``root``: the purse of the conversation that a sub-agent works for,
# which is a session's like any other; the caps of that one's agent hold for it.
Scope = Literal["tenant", "agent", "session", "root"]
Measure = Literal["tokens", "cost", "calls", "seconds"]

# Money is counted in millionths of a dollar: a price in dollars for a million tokens is
# the cost of one token in these.
MICRO = 1_000_000
# Time is counted in thousandths of a second.
MILLI = 1_000


class Purse(NamedTuple):
    """What is summed up: one tenant or agent for a day, one session for ever.

    ``day`` is a date (UTC) or empty, ``key`` names agent or session.
    """

    scope: Scope
    key: str
    day: str


@frozen
class Spent:
    """What was spent out of one purse, reservations included.

    Attributes:
        cost: In millionths of a dollar.
        ms: Milliseconds that turns have worked. They are counted where a cap is set for
            them.
    """

    tokens: int = 0
    cost: int = 0
    calls: int = 0
    ms: int = 0

    def plus(self, usage: Usage, cost: int, calls: int = 0) -> "Spent":
        """More of it."""
        tokens = usage.input + usage.output
        return Spent(
            self.tokens + tokens, self.cost + cost, self.calls + calls, self.ms
        )

    def minus(self, usage: Usage, cost: int) -> "Spent":
        """Without a reservation, whose call stays counted."""
        tokens = usage.input + usage.output
        return Spent(self.tokens - tokens, self.cost - cost, self.calls, self.ms)

    def worked(self, ms: int) -> "Spent":
        """So much more time, or less, if *ms* is below zero."""
        return Spent(self.tokens, self.cost, self.calls, self.ms + ms)

    def of(self, measure: Measure) -> int:
        """One figure; of seconds the thousandths."""
        return self.ms if measure == "seconds" else getattr(self, measure)


@frozen
class Cap:
    """No more than *limit* out of the purses of this scope; *name* is its key in words.

    *limit* is tokens, calls, millionths of a dollar or milliseconds. For a *soft* one of
    money, a model whose price is not known is free; another one refuses it.
    """

    scope: Scope
    measure: Measure
    limit: int
    name: str
    soft: bool = False


@frozen(kw_only=True)
class Price:
    """Dollars for a million tokens; of those *cached* and *stored* None: as all input."""

    input: float = 0.0
    output: float = 0.0
    cached: float | None = None
    stored: float | None = None

    def cost(self, usage: Usage) -> int:
        """What *usage* costs, in micro-dollars, rounded up.

        Of what is estimated nobody knows what the provider has put into its cache: all
        that did not come from there, if that is dearer.
        """
        cached = self.input if self.cached is None else self.cached
        stored = self.input if self.stored is None else self.stored
        plain = max(self.input, stored) if usage.estimated else self.input
        cost = (
            usage.plain * plain
            + usage.cached * cached
            + usage.stored * stored
            + usage.output * self.output
        )
        return -int(-cost // 1)


def cut_short(bound: Usage, cost: int, told: int) -> tuple[Usage, int]:
    """What a call takes that was stopped when *told* tokens of its answer had come.

    All of the prompt that was reserved, and of the reserved *cost* the share that its
    tokens have of those reserved: too much rather than too little, since no model's
    answer is cheaper than its prompt.
    """
    usage = Usage(bound.input, min(told, bound.output), bound.cached, estimated=True)
    tokens = bound.input + bound.output
    used = usage.input + usage.output
    return usage, -(-cost * used // tokens) if tokens else cost


def session_purse(session: str) -> Purse:
    """The purse of a session, by its key."""
    return Purse("session", session, "")


def purses(
    agent: str, session: str, at: float, root: str | None = None
) -> tuple[Purse, ...]:
    """The purses that a call of *agent* in *session* is paid from.

    *root* is the conversation that a sub-agent's session works for in the end: it pays
    beside the sub-agent's own, or a limit for each conversation would be one for each
    sub-agent.
    """
    day = dt.datetime.fromtimestamp(at, dt.UTC).date().isoformat()
    return (
        Purse("tenant", "", day),
        Purse("agent", agent, day),
        session_purse(session),
        *(() if root is None else (session_purse(root),)),
    )


def holds_for(cap: Cap, purse: Purse, root: str | None = None) -> bool:
    """Whether *cap* is one of *purse*, for a session that works for *root*."""
    if purse.scope == "session" and purse.key == root:
        return cap.scope == "root"
    return cap.scope == purse.scope


def of_root(caps: Iterable[Cap]) -> tuple[Cap, ...]:
    """What a sub-agent must not go beyond either: *caps* are those of its root's agent."""
    return tuple(
        attrs.evolve(cap, scope="root") for cap in caps if cap.scope == "session"
    )


def limits_time(caps: Iterable[Cap]) -> tuple[Cap, ...]:
    """Those of *caps* that say how long may be worked."""
    return tuple(cap for cap in caps if cap.measure == "seconds")


def reached(cap: Cap, spent: Spent, usage: Usage, cost: int) -> bool:
    """Whether a call that may use so much would go beyond *cap*.

    How long it takes is no business of its own: that is reserved by its turn.
    """
    if cap.measure == "seconds":
        return False
    after = spent.plus(usage, cost, 1)
    return after.of(cap.measure) > cap.limit


def needs_price(caps: Iterable[Cap]) -> Cap | None:
    """The cap that no model without a known price can be asked under."""
    return next((cap for cap in caps if cap.measure == "cost" and not cap.soft), None)


def nearly(cap: Cap, spent: Spent, share: float) -> bool:
    """Whether *share* of *cap* is used, of 1."""
    return spent.of(cap.measure) >= cap.limit * share


def in_words(cap: Cap, spent: Spent, at: float) -> str:
    """What to tell a person whose turn has come to *cap* at this time."""
    used, most = _amounts(cap, spent)
    return (
        f"I stopped: {_WHOSE[cap.scope]} may use {most} ({cap.name}), {used} are used "
        f"or reserved, and the next step could go beyond. {_free_again(cap, at)}"
    )


def nearly_in_words(cap: Cap, spent: Spent) -> str:
    """What to tell whoever runs the node, before *cap* is reached."""
    used, most = _amounts(cap, spent)
    return f"{_WHOSE[cap.scope]}: {used} of {most} are used or reserved ({cap.name})"


_WHOSE: Mapping[Scope, str] = {
    "tenant": "today, all agents together",
    "agent": "today, this agent",
    "session": "this conversation",
    "root": "the conversation that this sub-agent works for, with all of its sub-agents,",
}


def _amounts(cap: Cap, spent: Spent) -> tuple[str, str]:
    figure, limit = spent.of(cap.measure), cap.limit
    if cap.measure == "cost":
        return dollars(figure), dollars(limit)
    if cap.measure == "seconds":
        return seconds(figure), f"{seconds(limit)} seconds"
    unit = "calls of the model" if cap.measure == "calls" else "tokens"
    return f"{figure:,}", f"{limit:,} {unit}"


def dollars(micro: int) -> str:
    """Millionths of a dollar as people write them."""
    return f"${micro / MICRO:,.2f}"


def seconds(ms: int) -> str:
    """Milliseconds as people write seconds."""
    return f"{round(ms / MILLI, 1):,.10g}"


def _free_again(cap: Cap, at: float) -> str:
    if cap.scope in ("session", "root"):
        return "A new conversation begins at nothing."
    minutes = -int(-(_DAY - at % _DAY) // 60)
    return (
        f"The next day begins at midnight (UTC), in {minutes // 60} h "
        f"{minutes % 60} min."
    )


_DAY = 86_400
