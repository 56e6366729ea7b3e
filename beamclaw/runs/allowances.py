"""What a sub-agent may use: carved from what is left of the turn that starts it."""

import attrs

from beamclaw.contracts.budgets import MICRO
from beamclaw.contracts.open_turn import OpenTurn
from beamclaw.contracts.subagents import Allowance, Spawn
from beamclaw.contracts.turns import TurnLimits


def within(
    limits: TurnLimits, allowance: Allowance | None, seconds: float | None = None
) -> TurnLimits:
    """The limits of a turn that was given an allowance; None: it was not.

    *seconds*: how long it may take by the wish of the client; None: it has none.
    """
    if seconds is not None:
        limits = attrs.evolve(limits, seconds=min(limits.seconds, seconds))
    if allowance is None:
        return limits
    return attrs.evolve(
        limits,
        model_calls=min(limits.model_calls, allowance.model_calls),
        tool_calls=min(limits.tool_calls, allowance.tool_calls),
        tokens=min(limits.tokens, allowance.tokens),
        seconds=min(limits.seconds, allowance.seconds),
        cost=_least(limits.cost, allowance.cost),
    )


def carve(
    turn: OpenTurn, limits: TurnLimits, request: Spawn, share: float, now: float
) -> Allowance | str:
    """What the sub-agent gets; or, in words, of what too little is left.

    What sub-agents at work were given counts as used, and so does each call that has no
    result yet, this one with them. Time is not parted among them: they work at once.
    """
    used = turn.used
    calls = used.tool_calls + len(turn.open_calls)
    left = Allowance(
        model_calls=limits.model_calls - used.model_calls,
        tool_calls=limits.tool_calls - calls,
        tokens=limits.tokens - used.tokens,
        seconds=limits.seconds - turn.busy_seconds(now),
        cost=None if limits.cost is None else limits.cost - used.cost,
    )
    asked = None if request.cost is None else round(min(request.cost, _DEAR) * MICRO)
    carved = Allowance(
        model_calls=_part(left.model_calls, request.model_calls, share),
        tool_calls=_part(left.tool_calls, request.tool_calls, share),
        tokens=_part(left.tokens, request.tokens, share),
        seconds=min(left.seconds, request.seconds or left.seconds),
        cost=asked if left.cost is None else _part(left.cost, asked, share),
    )
    for name, figure in attrs.asdict(carved).items():
        if figure is not None and figure <= 0:
            return f"too little is left of what this turn may use (limits.turn.{name})"
    return carved


# Dollars; nobody has more.
_DEAR = 1e9


def _least(one: int | None, other: int | None) -> int | None:
    given = [figure for figure in (one, other) if figure is not None]
    return min(given, default=None)


def _part(left: int, asked: int | None, share: float) -> int:
    return min(left, int(left * share) if asked is None else asked)
