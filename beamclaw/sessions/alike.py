"""Whether one turn answers two messages as each would be answered alone.

A turn has one model, one set of parameters and one address for its answer. A decision
without I/O, for messages that wait together and for those that come during a turn.
"""

import attrs

from beamclaw.contracts.messages import ModelParams
from beamclaw.contracts.open_turn import OpenTurn
from beamclaw.contracts.session_meta import SessionMeta
from beamclaw.contracts.sessions import Inbound
from beamclaw.contracts.wanted import Wanted


def wanted(inbound: Inbound, meta: SessionMeta) -> Wanted:
    """What *inbound* asks for in a session with these settings."""
    return Wanted(
        source=inbound.source,
        account=inbound.account,
        conversation=inbound.conversation,
        model=inbound.model or meta.model,
        ephemeral=inbound.ephemeral,
    )


def params_of(inbound: Inbound, meta: SessionMeta) -> ModelParams:
    """What is set for its turn, by the message or for the session."""
    params = inbound.params
    if params.thinking is None and meta.thinking is not None:
        return attrs.evolve(params, thinking=meta.thinking)
    return params


def alike(first: Inbound, second: Inbound, meta: SessionMeta) -> bool:
    """Whether a turn of the first would answer the second as one of its own would."""
    asked = _asked(first, meta, first.agent)
    return asked == _asked(second, meta, second.agent)


def answers_alike(
    turn: OpenTurn, inbound: Inbound, meta: SessionMeta, agent: str | None
) -> bool:
    """Whether the turn in progress would; one case per rule.

    *agent* is who answers in the session, if it was handed over.
    """
    agent = agent or inbound.agent
    if turn.ordered or turn.compacts:
        return False  # no model is asked for an answer
    if _is_notice(inbound):
        # Nobody waits for an answer to it: any that goes there or nowhere will do.
        return agent == turn.agent and inbound.reply_to in (None, turn.reply_to)
    # A turn that an earlier release began does not say what it was asked for.
    return turn.wanted is not None and _asked(inbound, meta, agent) == (
        turn.wanted,
        turn.params,
        turn.agent,
        turn.retractable,
        turn.reply_to,
        turn.parent,
    )


def _asked(inbound: Inbound, meta: SessionMeta, agent: str) -> tuple[object, ...]:
    """Where an answer goes and how it is made."""
    return (
        wanted(inbound, meta),
        params_of(inbound, meta),
        agent,
        inbound.retractable,
        inbound.reply_to,
        inbound.parent,
    )


def _is_notice(inbound: Inbound) -> bool:
    """Whether it only says what a sub-agent or a command has come to."""
    return not inbound.is_of_person and inbound.parent is None
