"""How a client's message is handed in: kept first, answered then."""

import attrs

from beamclaw.agents import UnknownAgent, UnknownModel
from beamclaw.contracts import keys, sessions
from beamclaw.contracts.messages import ModelParams, ThinkingLevel, said
from beamclaw.contracts.sessions import Inbound, QueueMode
from beamclaw.gateway.errors import invalid
from beamclaw.gateway.methods._method import Context
from beamclaw.gateway.methods._sessions import checked_agent


@attrs.frozen(kw_only=True)
class HandedIn:
    """What became of it; *again*: it was there already."""

    run_id: str
    session_key: str
    again: bool


async def hand_in(
    context: Context,
    key: str,
    message: str,
    *,
    unique: str | None = None,
    thinking: ThinkingLevel | None = None,
    queue: QueueMode | None = None,
) -> HandedIn:
    """Have *message* answered in the session *key*; when this returns, it is kept.

    Args:
        context: Who asks.
        key: Whole; see :func:`~beamclaw.gateway.methods._sessions.key_of`.
        message: What is said.
        unique: The client's own: a repeat is the same message, and this is its run.
        thinking: How long the model may think.
        queue: What to do with it while a turn is in progress.

    Raises:
        MethodError: It cannot be answered here.
        beamclaw.contracts.ledger_errors.LedgerError: It was not taken.
    """
    if not message.strip():
        raise invalid("the message is empty")
    agent = keys.parse(key).agent or context.node.agents.default
    checked_agent(context, agent)
    params = ModelParams(thinking=thinking)
    try:
        context.node.check(agent, None, params)
    except (UnknownAgent, UnknownModel) as error:
        raise invalid(str(error)) from None
    unique = unique or context.outside.new_id()
    inbound = Inbound(
        tenant=context.tenant,
        source="gateway",
        account=context.principal.device_id or "operator",
        conversation=key,
        external_id=unique,
        session_key=key,
        agent=agent,
        messages=(said("user", message),),
        run_id=unique,
        params=params,
        queue=queue,
    )
    receipt = await sessions.submit(context.bus, inbound, at=context.outside.wall())
    return HandedIn(
        run_id=receipt.run_id, session_key=receipt.session_key, again=receipt.duplicate
    )
