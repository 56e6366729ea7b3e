"""What a turn has come to, as events: figures for whoever counts or follows requests.

Emitted once per message, call and turn, never per word. Each is told when it is over,
with how long it took, so that nobody has to keep what has begun.
"""

from typing import Final, Literal

import supervision
from beamclaw.contracts.budgets import MICRO
from beamclaw.contracts.messages import Usage
from beamclaw.contracts.open_turn import OpenTurn
from beamclaw.contracts.providers import ProviderError
from beamclaw.contracts.sessions import RunEnded
from beamclaw.contracts.tools import CallOutcome
from beamclaw.contracts.tracing import Given
from beamclaw.values import frozen

TURN_STARTED: Final = "beamclaw.turn.started"
CALLED: Final = "beamclaw.model.called"
MODEL_FAILED: Final = "beamclaw.model.failed"
ORDER_ENDED: Final = "beamclaw.order.ended"
TOOL_ENDED: Final = "beamclaw.tool.ended"
TURN_ENDED: Final = "beamclaw.turn.ended"

Purpose = Literal["answer", "summary", "embeddings", "probe"]
Then = Literal["again", "other-key", "fallback", "shorter", "given-up"]
"""What follows on a call that has failed: the same is asked again, with another key, or
another model is, or there is a summary first; or nothing."""


# --- steps of a run, as spans have them: see `beamclaw.contracts.tracing`


TURN_STEP: Final = ("turn",)


def model_step(attempt: int) -> tuple[str, ...]:
    """One request to a provider, by the number of the call in its run."""
    return ("request", str(attempt))


def tool_step(call: str) -> tuple[str, ...]:
    """A call of a tool, by its id, which is no other's in its turn."""
    return ("tool", call)


# --- events


@frozen(kw_only=True)
class Called:
    """A call of a model that is over.

    Attributes:
        run_id: Of the turn or order that it was made for.
        attempt: Which call of that it was, from 1.
        resends: How often it was made before, and failed.
        target: Provider and model.
        asked: It had leave, so the provider was asked.
        outcome: ``ok``, ``cancelled`` or the kind of the error.
        status: Of HTTP, of a failure that has one; else 0.
    """

    tenant: str
    run_id: str
    attempt: int = 1
    resends: int = 0
    purpose: Purpose = "answer"
    target: tuple[str, str]
    asked: bool = True
    outcome: str
    status: int = 0


def tell_started(tenant: str, session: str, turn: OpenTurn) -> None:
    """*turn* is worked for, from its beginning or again after a death."""
    supervision.emit(
        TURN_STARTED,
        {"epoch": turn.epoch},
        {
            "tenant": tenant,
            "session": session,
            "run": turn.run_id,
            "agent": turn.agent,
            "traceparent": turn.traceparent,
        },
    )


def tell_called(
    call: Called, *, times: tuple[float, float, float], usage: Usage, cost: int
) -> None:
    """A model call is over.

    Args:
        call: Which one.
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
            "stored": usage.stored,
            "cost": cost / MICRO,
            "attempt": call.attempt,
            "resends": call.resends,
            "status": call.status,
        },
        {
            "tenant": call.tenant,
            "run": call.run_id,
            "provider": call.target[0],
            "model": call.target[1],
            "purpose": call.purpose,
            "asked": call.asked,
            "outcome": call.outcome,
        },
    )


def tell_failed(
    tenant: str,
    run_id: str,
    target: tuple[str, str],
    error: ProviderError,
    *,
    then: Then,
    wait: float = 0.0,
) -> None:
    """A model call has failed, and it is decided what to do: after *wait* seconds."""
    supervision.emit(
        MODEL_FAILED,
        {"wait": wait, "retry_after": error.retry_after or 0.0},
        {
            "tenant": tenant,
            "run": run_id,
            "provider": target[0],
            "model": target[1],
            "kind": error.kind,
            "then": then,
        },
    )


def tell_order_ended(
    tenant: str, run_id: str, outcome: str, trace: Given, *, seconds: float
) -> None:
    """A model was asked for something that belongs to no turn, and that is over."""
    supervision.emit(
        ORDER_ENDED,
        {"seconds": seconds},
        {
            "tenant": tenant,
            "run": run_id,
            "outcome": outcome,
            "traceparent": trace.traceparent,
            "tracestate": trace.tracestate,
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
            "tracestate": turn.tracestate,
        },
    )
