"""What a turn has come to, as events: figures for whoever counts or follows requests.

Emitted once per message, call and turn, never per word. Each is told when it is over,
with how long it took, so that nobody has to keep what has begun.
"""

from typing import Final

import supervision
from beamclaw.contracts.budgets import MICRO
from beamclaw.contracts.messages import Usage
from beamclaw.contracts.open_turn import OpenTurn
from beamclaw.contracts.sessions import RunEnded
from beamclaw.contracts.tools import CallOutcome

CALLED: Final = "beamclaw.model.called"
TOOL_ENDED: Final = "beamclaw.tool.ended"
TURN_ENDED: Final = "beamclaw.turn.ended"


def tell_called(
    tenant: str,
    run_id: str,
    target: tuple[str, str],
    outcome: str,
    *,
    times: tuple[float, float, float],
    usage: Usage,
    cost: int,
) -> None:
    """A model call is over.

    Args:
        tenant: Whose.
        run_id: Of the turn, or the summary, it was made for.
        target: Provider and model.
        outcome: ``ok``, ``cancelled`` or the kind of the error.
        times: Seconds that it waited for leave, until something came, and of all of it.
        usage: What it took.
        cost: The same in millionths of a dollar.
    """
    supervision.emit(
        CALLED,
        {
            "waited": times[0],
            "first": times[1],
            "seconds": times[2],
            "input": usage.input,
            "output": usage.output,
            "cached": usage.cached,
            "cost": cost / MICRO,
        },
        {
            "tenant": tenant,
            "run": run_id,
            "provider": target[0],
            "model": target[1],
            "outcome": outcome,
        },
    )


def tell_tool(
    tenant: str,
    turn: OpenTurn,
    tool: str,
    call: str,
    outcome: CallOutcome,
    *,
    seconds: float,
) -> None:
    """A tool call of *turn* has its result, and that is in the journal."""
    supervision.emit(
        TOOL_ENDED,
        {"seconds": seconds},
        {
            "tenant": tenant,
            "run": turn.run_id,
            "call": call,
            "tool": tool,
            "outcome": outcome,
        },
    )


def tell_ended(
    tenant: str, session: str, turn: OpenTurn, end: RunEnded, at: float
) -> None:
    """*turn* is over, and that is in the journal; *at* in seconds since the epoch."""
    supervision.emit(
        TURN_ENDED,
        {
            "seconds": max(0.0, at - turn.started_at),
            "model_calls": turn.model_calls,
            "tool_calls": turn.tool_calls,
            "tokens": turn.tokens,
            "cost": turn.cost / MICRO,
        },
        {
            "tenant": tenant,
            "session": session,
            "run": turn.run_id,
            "agent": turn.agent,
            "outcome": end.outcome,
            "error": end.error_kind or "",
            "traceparent": turn.traceparent,
        },
    )
