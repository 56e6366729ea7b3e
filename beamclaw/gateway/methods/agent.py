"""A turn that a client waits for: ``agent``, ``agent.wait``."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any, Final

import attrs
import trio

import supervision
from beamclaw.arguments import Length, Range
from beamclaw.contracts import names
from beamclaw.contracts.follow import follow
from beamclaw.contracts.ledger_rows import RunRow
from beamclaw.contracts.sessions import PIECES, RunEnded, abort, read_run
from beamclaw.gateway.auth.scopes import WRITE
from beamclaw.gateway.errors import MethodError, invalid
from beamclaw.gateway.events.messages import usage
from beamclaw.gateway.methods import _talking as talking
from beamclaw.gateway.methods._method import Context, Text, Whole, method
from beamclaw.gateway.methods._sessions import key_with_id
from beamclaw.values import frozen

# Seconds between two looks for a run that nobody knows yet.
LOOK_AGAIN: Final = 0.25
MAX_TIMEOUT: Final = 30 * 24 * 3600


@frozen(kw_only=True)
class AgentParams:
    """What is said, to whom, and how.

    A key goes before an id. Where no channel delivers, what says how it would is left.
    """

    message: Text
    idempotency_key: Text
    agent_id: Text | None = None
    provider: str | None = None
    model: str | None = None
    to: str | None = None
    reply_to: str | None = None
    session_id: str | None = None
    session_key: str | None = None
    thinking: str | None = None
    deliver: bool = False
    attachments: tuple[Any, ...] = ()
    channel: str | None = None
    reply_channel: str | None = None
    account_id: str | None = None
    reply_account_id: str | None = None
    thread_id: str | None = None
    group_id: str | None = None
    group_channel: str | None = None
    group_space: str | None = None
    timeout: Annotated[int, Range(0, MAX_TIMEOUT)] = 0
    best_effort_deliver: bool = False
    lane: str | None = None
    cleanup_bundle_mcp_on_run_end: bool = False
    extra_system_prompt: str | None = None
    label: Annotated[str, Length(1, 512)] | None = None


@method("agent", scope=WRITE, params=AgentParams)
async def agent(context: Context, params: AgentParams) -> object:
    """Say something to an agent; answers twice: accepted, and what came of it."""
    if params.deliver and not params.best_effort_deliver:
        raise talking.cannot_deliver()
    where = await _place(context, params)
    settings = talking.settings(params.thinking, params.timeout * 1000)
    if params.extra_system_prompt:
        settings = attrs.evolve(settings, instructions=params.extra_system_prompt)
    message = talking.inbound(
        context,
        where,
        talking.message_of(params.message, params.attachments),
        idempotency_key=params.idempotency_key,
        model=_model(params),
        params=settings,
    )
    began = trio.current_time()
    topic = names.topic(context.tenant, where.key)
    with context.bus.subscribe(topic, without=PIECES) as subscription:
        receipt = await talking.hand_in(context, message)
        context.answer(
            {
                "runId": receipt.run_id,
                "sessionKey": receipt.session_key,
                "agentId": where.agent,
                "status": "accepted",
                "acceptedAt": context.now_ms,
            }
        )
        run = follow(
            context.bus,
            context.tenant,
            receipt.run_id,
            subscription,
            join=receipt.duplicate,
        )
        end = None
        # The turn knows its time, also when nobody is here any more. That in which it
        # waits, for its turn or for a person, is the client's alone.
        with trio.move_on_after(params.timeout or float("inf")):
            end = await _end_of(run)
    if end is None:
        await abort(context.bus, context.tenant, receipt.session_key, receipt.run_id)
    took = trio.current_time() - began
    late = params.timeout and took >= params.timeout
    if end is None or (late and end.outcome == "limited"):
        return {"runId": receipt.run_id, "status": "timeout", "summary": "timeout"}
    return _result(end, receipt.run_id, round(took * 1000))


async def _end_of(run: AsyncGenerator[object]) -> RunEnded | None:
    async with aclosing(run) as values:
        async for value in values:
            if isinstance(value, RunEnded):
                return value
    return None


async def _place(context: Context, params: AgentParams) -> talking.Place:
    """The session that is meant: by its key, its id, or the agent's main one.

    Raises:
        MethodError: There is none of that id, or it is meant by what nothing here knows.
    """
    if params.label is not None:
        raise invalid("a session is given its label by sessions.patch; leave it out")
    key = params.session_key
    if key is None and params.session_id is not None:
        key = await _with_id(context, params, params.session_id)
    elif key is None and params.to:
        raise invalid("there are no channels to find a person by; say sessionKey")
    return talking.place(context, key, params.agent_id, writes=True)


async def _with_id(context: Context, params: AgentParams, session_id: str) -> str:
    key = await key_with_id(context, session_id, params.agent_id)
    if key is not None:
        return key
    # Said before, and the conversation has got another id since: it is no other message.
    run = await read_run(context.bus, context.tenant, params.idempotency_key)
    if run is not None:
        return run.session_key
    raise invalid(f"there is no session with the id {session_id[:64]!r}")


def _model(params: AgentParams) -> str | None:
    if params.model and params.provider and "/" not in params.model:
        return f"{params.provider}/{params.model}"
    return params.model or None


def _result(end: RunEnded, run_id: str, took_ms: int) -> object:
    if end.outcome in ("error", "quarantined"):
        raise MethodError(
            "UNAVAILABLE",
            end.error or "the turn failed",
            details={"runId": run_id, "status": "error", "reason": end.error_kind},
            retryable=False,
        )
    provider, _, model = end.model.partition("/")
    meta = {
        "durationMs": took_ms,
        "agentMeta": {"provider": provider, "model": model, "usage": usage(end.usage)},
        "stopReason": end.stop_reason,
        "aborted": end.outcome == "aborted",
    }
    payloads = [{"text": end.text, "mediaUrl": None}] if end.text else []
    stopped = end.outcome == "aborted"
    return {
        "runId": run_id,
        "status": "error" if stopped else "ok",
        "summary": "aborted" if stopped else "completed",
        "result": {"payloads": payloads, "meta": meta},
    }


@frozen(kw_only=True)
class WaitParams:
    """Which run, and for how long."""

    run_id: Text
    timeout_ms: Whole = 30_000


@method("agent.wait", scope=WRITE, params=WaitParams)
async def wait(context: Context, params: WaitParams) -> object:
    """Wait until a turn is over, whoever has begun it, also one of before a restart."""
    with trio.move_on_after(params.timeout_ms / 1000):
        row = await _known(context, params.run_id)
        end = await _end(context, row)
        return _waited(end, params.run_id)
    return {"runId": params.run_id, "status": "timeout"}


async def _known(context: Context, run_id: str) -> RunRow:
    while True:
        try:
            row = await read_run(context.bus, context.tenant, run_id)
        except supervision.CallFailed:
            row = None
        if row is not None:
            return row
        await trio.sleep(LOOK_AGAIN)


async def _end(context: Context, row: RunRow) -> RunEnded:
    topic = names.topic(context.tenant, row.session_key)
    with context.bus.subscribe(topic, without=PIECES) as subscription:
        run = follow(context.bus, context.tenant, row.run_id, subscription, join=True)
        async with aclosing(run) as values:
            async for value in values:
                if isinstance(value, RunEnded):
                    return value
    msg = "a run that is followed ends"
    raise AssertionError(msg)


def _waited(end: RunEnded, run_id: str) -> object:
    found: dict[str, object] = {"runId": run_id, "status": "ok"}
    if end.outcome == "aborted":
        found |= {"status": "error", "error": "aborted", "stopReason": "rpc"}
    elif end.outcome in ("error", "quarantined"):
        found |= {"status": "error", "error": end.error or "the turn failed"}
    else:
        found["stopReason"] = end.stop_reason
    return found
