"""One call of a tool for a client: who may, how it is handed in, what came of it.

What a client orders is a turn in which nobody is asked but the tool: the same inbox, the
same journal, the same catalogue and policies, the same question to a person. So nothing
is done here that is not done for a model, and what a crash leaves behind is the same.
"""

import hashlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, aclosing
from typing import Any, Final, Literal

import attrs
import orjson

from beamclaw.config.schema import InvokeConfig
from beamclaw.config.structure import nearest
from beamclaw.contracts import keys, names, waits
from beamclaw.contracts.bus import Subscription
from beamclaw.contracts.follow import follow
from beamclaw.contracts.ledger_inbox import Receipt
from beamclaw.contracts.messages import ToolCall, said
from beamclaw.contracts.sessions import Inbound, Question, RunEnded, Waiting
from beamclaw.contracts.toolbox import Toolbox
from beamclaw.contracts.tools import ToolSpec
from beamclaw.gateway.auth import scopes
from beamclaw.gateway.errors import invalid
from beamclaw.gateway.methods import _talking as talking
from beamclaw.gateway.methods._method import Context
from beamclaw.gateway.methods.offers import toolbox_in, toolbox_of
from beamclaw.gateway.watch import Finish
from beamclaw.values import frozen

DENIED: Final = frozenset(
    {
        # OpenClaw's list, as far as there may be such tools here.
        "exec",
        "spawn",
        "shell",
        "fs_write",
        "fs_delete",
        "fs_move",
        "apply_patch",
        "terminal",
        "sessions_spawn",
        "sessions_send",
        "cron",
        "gateway",
        "plugins",
        "nodes",
        # What is as much as one of those here: typing into a command, changing files,
        # giving a conversation away.
        "process",
        "edit",
        "write",
        "sessions_hand_over",
    }
)
"""Tools that no client may order unless the configuration says so."""

# By whatever way it comes, an order under one idempotency key is one.
SOURCE: Final = "tools"

Fault = Literal["invalid", "not_found", "forbidden", "approval", "failed", "broken"]
"""Why there is no output.

``invalid``: the order is wrong. ``not_found``: there is no such tool for the agent.
``forbidden``: it was not carried out. ``approval``: a person has to agree first.
``failed``: the tool says that it did not work. ``broken``: whether it was done is not
known, or the turn came to no end of its own.
"""


@frozen(kw_only=True)
class Wanted:
    """What a client orders, as it says it.

    Attributes:
        action: Becomes an argument of that name, where the tool has one and it was not
            given.
        session_key: The conversation that it is done in, and that knows of it
            afterwards; None: one of its own.
        unique: The client's own: a repeat is the same order, and has its result.
    """

    name: str
    args: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    action: str | None = None
    session_key: str | None = None
    agent_id: str | None = None
    unique: str | None = None


@frozen(kw_only=True)
class Came:
    """What came of it: *text* is the tool's output, or what is to be said in its place.

    Attributes:
        fault: Why there is no output; None: there is.
        source: Whose tool it is.
        approval_id: Of the question that a person is asked.
    """

    tool: str
    text: str
    fault: Fault | None = None
    source: str = "core"
    approval_id: str | None = None


class Stopping(Exception):  # noqa: N818 -- a situation
    """The node stops before there is a result; the call is carried out all the same."""


# --- who may


def refusal(name: str, config: InvokeConfig, *, admin: bool) -> str | None:
    """Why no client may order the tool *name*, in words; None: it may.

    Taking a tool off the list of those that are denied is no right for everybody: it
    still takes an administrator of the node.
    """
    if name in config.deny:
        return "gateway.tools.deny has it"
    if name not in DENIED:
        return None
    if name not in config.allow:
        return (
            "clients do not order it, whatever agents may do (gateway.tools.allow "
            "lets administrators)"
        )
    return None if admin else f"it takes the scope {scopes.ADMIN}"


def missing(name: str, box: Toolbox) -> str:
    """Why the agent has no tool *name*, in words."""
    if name in box.denied:
        return f"{name} is not allowed here: {box.denied[name]}"
    return f"there is no tool {name[:100]!r}{nearest(name, box.tools)}"


def arguments(wanted: Wanted, spec: ToolSpec) -> str:
    """The arguments of the call, as JSON."""
    given = dict(wanted.args)
    if wanted.action is not None and "action" in spec.parameters.get("properties", {}):
        given.setdefault("action", wanted.action)
    return orjson.dumps(given).decode()


def call_of(run_id: str, name: str, given: str) -> ToolCall:
    """The call, under an id that every model takes and no other call has."""
    digest = hashlib.sha256(run_id.encode()).hexdigest()
    return ToolCall(f"order_{digest[:24]}", name, given)


# --- the order


@frozen(kw_only=True)
class Order:
    """What is handed in; *source* is whose tool it is."""

    inbound: Inbound
    source: str


async def order_of(context: Context, wanted: Wanted) -> Order | Came:
    """The order, checked; or why there is none.

    Raises:
        MethodError: There is no such agent, or no such key can be.
    """
    name = wanted.name
    own = wanted.session_key is None
    where = talking.place(context, wanted.session_key, wanted.agent_id, writes=True)
    if own:
        agent, box = where.agent, await toolbox_of(context, where.agent)
    else:
        agent, box = await toolbox_in(context, where.key)
    if wanted.agent_id not in (None, agent):
        raise invalid(f"session {where.key} is agent {agent!r}'s")
    words = refusal(
        name,
        context.node.config.gateway.tools,
        admin=context.principal.may(scopes.ADMIN),
    )
    if words is not None:
        return Came(
            tool=name, text=f"{name} is not allowed: {words}", fault="not_found"
        )
    tool = box.tools.get(name)
    if tool is None:
        return Came(tool=name, text=missing(name, box), fault="not_found")
    unique = context.outside.new_id()
    run_id = f"call-{unique}"
    key = str(keys.invoked(agent, unique)) if own else where.key
    inbound = Inbound(
        tenant=context.tenant,
        source=SOURCE,
        account=context.principal.account,
        conversation="" if own else where.key,
        external_id=wanted.unique or run_id,
        session_key=key,
        agent=agent,
        # What a model reads of it that goes on with the conversation.
        messages=(said("user", f"[A client has called the tool {name} itself.]"),),
        run_id=run_id,
        sender=context.principal.account,
        ephemeral=own,
        queue="followup",
        traceparent=context.trace.traceparent,
        tracestate=context.trace.tracestate,
        # Not by the run: a repeat is the same order, and has one of its own.
        call=call_of(wanted.unique or run_id, name, arguments(wanted, tool.spec)),
    )
    return Order(inbound=inbound, source="plugin" if tool.spec.source else "core")


Watching = Callable[[str], AbstractContextManager[Subscription]]
"""A subscription to a topic; it may bring :class:`~beamclaw.gateway.watch.Finish`."""


async def carried_out(context: Context, order: Order, watching: Watching) -> Came:
    """Have it done, and wait for what comes of it; also for a repeat.

    Raises:
        MethodError: It was not taken.
        beamclaw.contracts.ledger_errors.LedgerError: The same.
        Stopping: The node stops meanwhile.

    Cancelled, the call goes on.
    """
    inbound = order.inbound
    topic = names.topic(context.tenant, inbound.session_key)
    with watching(topic) as subscription:
        receipt = await talking.hand_in(context, inbound)
        if receipt.session_key == inbound.session_key:
            return await _followed(context, order, receipt, subscription)
    # A repeat: its run is in the conversation that the first one was given.
    topic = names.topic(context.tenant, receipt.session_key)
    with watching(topic) as subscription:
        return await _followed(context, order, receipt, subscription)


async def _followed(
    context: Context, order: Order, receipt: Receipt, subscription: Subscription
) -> Came:
    run = follow(
        context.bus,
        context.tenant,
        receipt.run_id,
        subscription,
        join=receipt.duplicate,
    )
    async with aclosing(run) as values:
        async for value in values:
            came = await _told(context, order, value)
            if came is not None:
                return came
    msg = "a run that is followed ends"
    raise AssertionError(msg)


async def _told(context: Context, order: Order, value: object) -> Came | None:
    call = order.inbound.call
    assert call is not None
    match value:
        case RunEnded():
            return _over(call.name, order.source, value)
        case Question(verdict=None, wait_id=wait_id):
            return _asked(call.name, order.source, wait_id)
        case Waiting(run_id=run_id, phase="person"):
            # It was asked before anybody looked.
            rows = await waits.read_waits(context.bus, context.tenant)
            ids = [row.wait_id for row in rows if row.run_id == run_id]
            return _asked(call.name, order.source, ids[0]) if ids else None
        case Finish():
            raise Stopping
        case _:
            return None


_FAULTS: Final[Mapping[str | None, Fault]] = {
    "tool_error": "failed",
    "tool_refused": "forbidden",
}


def _over(tool: str, source: str, end: RunEnded) -> Came:
    if end.outcome == "ok":
        return Came(tool=tool, text=end.text, source=source)
    words = end.error or end.text or f"the call was {end.outcome}"
    fault: Fault = _FAULTS.get(end.error_kind, "broken")
    return Came(tool=tool, text=words, fault=fault, source=source)


def _asked(tool: str, source: str, wait_id: str) -> Came:
    words = (
        "a person has to agree first; when that is done it is carried out, and the same "
        "order with the same idempotency key has the result"
    )
    return Came(
        tool=tool, text=words, fault="approval", source=source, approval_id=wait_id
    )


def output(text: str) -> dict[str, Any]:
    """A tool's output, as OpenClaw's tools give it."""
    return {"content": [{"type": "text", "text": text}]}
