"""Which limits of its own a turn is near to; each is told of once. Decisions, no I/O."""

import math
from collections.abc import Iterator

import attrs

from beamclaw.contracts.budgets import dollars
from beamclaw.contracts.open_turn import OpenTurn
from beamclaw.contracts.turns import TurnLimits
from beamclaw.values import frozen


@frozen
class Near:
    """A limit of a turn that is nearly reached.

    Attributes:
        agent: Whose turn it is.
        name: Its key in the configuration.
        used: Calls, tokens, seconds or millionths of a dollar.
        limit: The same.
        words: That, for whoever runs the node.
    """

    agent: str
    name: str
    used: float
    limit: float
    words: str


@attrs.define
class Nearing:
    """Those of one turn.

    What was told of is known only here: who takes a turn up after a death begins with
    what it had come to before, and leaves that out.

    Attributes:
        share: The part of a limit, of 1, that is worth a warning.
    """

    limits: TurnLimits
    share: float
    _told: set[str] = attrs.field(init=False, factory=set[str])

    def look(self, turn: OpenTurn, now: float) -> tuple[Near, ...]:
        """The limits that *turn* has come near to since the last look."""
        found = [
            near
            for near in _figures(turn, self.limits, now)
            if 0 < near.used >= near.limit * self.share and near.name not in self._told
        ]
        self._told.update(near.name for near in found)
        return tuple(found)

    def seconds_left(self, turn: OpenTurn, now: float) -> float:
        """How long it is until *turn* is near to its time, and nobody was told of that."""
        if _TIME in self._told or _is_wished(turn, self.limits):
            return math.inf
        return self.limits.seconds * self.share - turn.busy_seconds(now)


_TIME = "limits.turn.seconds"


def _is_wished(turn: OpenTurn, limits: TurnLimits) -> bool:
    """Whether its time is what the client has asked for, which is no limit of the node."""
    asked = turn.params.seconds
    return asked is not None and asked <= limits.seconds


def _figures(turn: OpenTurn, limits: TurnLimits, now: float) -> Iterator[Near]:
    used = turn.used
    for figure, limit, what, key in (
        (used.model_calls, limits.model_calls, "calls of the model", "model_calls"),
        (used.tool_calls, limits.tool_calls, "tool calls", "tool_calls"),
        (used.tokens, limits.tokens, "tokens", "tokens"),
    ):
        words = f"{figure:,} of {limit:,} {what}"
        yield _near(turn, f"limits.turn.{key}", figure, limit, words)
    if limits.cost is not None:
        words = f"{dollars(used.cost)} of {dollars(limits.cost)}"
        yield _near(turn, "limits.turn.cost", used.cost, limits.cost, words)
    if not _is_wished(turn, limits):
        busy = turn.busy_seconds(now)
        words = f"{busy:,.0f} of {limits.seconds:,.10g} seconds"
        yield _near(turn, _TIME, busy, limits.seconds, words)


def _near(turn: OpenTurn, name: str, used: float, limit: float, words: str) -> Near:
    return Near(turn.agent, name, used, limit, f"a turn: {words} are used ({name})")
