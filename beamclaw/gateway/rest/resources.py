"""What the REST API offers, as a table; each function gives what is answered."""

from typing import Annotated, Any, Final

import trio

from beamclaw.agents import UnknownAgent, UnknownModel, resolve
from beamclaw.arguments import Length, Range
from beamclaw.contracts.keys import BadKey, parse
from beamclaw.contracts.messages import ThinkingLevel
from beamclaw.contracts.sessions import QueueMode, abort, read_run
from beamclaw.gateway.auth.scopes import READ, WRITE
from beamclaw.gateway.errors import MethodError, invalid
from beamclaw.gateway.methods import _sessions as sessions
from beamclaw.gateway.methods._handing import hand_in
from beamclaw.gateway.methods._method import Context, Text
from beamclaw.gateway.methods.session_looks import ListParams, page
from beamclaw.gateway.rest._resource import Input, Resource
from beamclaw.values import frozen

_TEXT: Final = {"type": "string"}
_WHOLE: Final = {"type": "integer"}
_MAYBE: Final = {"type": ["string", "null"]}
_ROW: Final = {"type": "object", "required": ["key"], "properties": {"key": _TEXT}}
_USAGE: Final = {
    "type": "object",
    "required": ["input", "output"],
    "properties": {"input": _WHOLE, "output": _WHOLE},
}


def _object(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(properties),
        "properties": properties,
    }


@frozen(kw_only=True)
class PageQuery:
    """A page of sessions.

    Args:
        limit: Sessions at most.
        cursor: The ``next`` of the page before.
        agent_id: Of this agent alone.
        archived: Those that were put away.
    """

    limit: Annotated[int, Range(1, 1_000)] = 100
    cursor: Annotated[int, Range(0, 10**9)] = 0
    agent_id: Text | None = None
    archived: bool = False


@frozen(kw_only=True)
class MessageBody:
    """Something to say.

    Args:
        message: What is said.
        thinking: How long the model may think.
        queue: What is done with it while a turn is in progress.
    """

    message: Annotated[str, Length(1, 1_000_000)]
    thinking: ThinkingLevel | None = None
    queue: QueueMode | None = None


async def agents(context: Context, given: Input) -> object:
    """The agents, and which is meant where none is named."""
    del given
    await trio.lowlevel.checkpoint()
    known = context.node.agents
    return {
        "default": known.default,
        "agents": [_agent(context, agent) for agent in known.ids],
    }


def _agent(context: Context, agent: str) -> dict[str, Any]:
    config = context.node.config
    try:
        found = resolve(config, agent, None)
    except (UnknownAgent, UnknownModel):
        model = None
    else:
        model = f"{found.provider}/{found.model}"
    own = config.agents.get(agent)
    return {"id": agent, "name": own.name if own else None, "model": model}


async def list_sessions(context: Context, given: Input) -> object:
    """Conversations, latest activity first, a page at a time."""
    query: PageQuery = given.query
    wanted = ListParams(
        limit=query.limit,
        offset=query.cursor,
        agent_id=query.agent_id,
        archived=query.archived,
    )
    found: Any = await page(context, wanted)
    return {
        "sessions": found["sessions"],
        "next": found.get("nextOffset") if found.get("hasMore") else None,
    }


async def session(context: Context, given: Input) -> object:
    """One conversation."""
    key = _key(context, given.place)
    return await sessions.described(context, key)


def _key(context: Context, place: str, *, new: bool = False) -> str:
    """The session that a path names; one that cannot be is one that there is not."""
    try:
        key = sessions.key_of(context, place, None, new=new)
        sessions.checked_agent(context, parse(key).agent)
    except (BadKey, MethodError) as error:
        raise invalid(str(error), reason="session-not-found") from None
    return key


async def say(context: Context, given: Input) -> object:
    """Say something in a conversation, new or not; answered when it is kept."""
    key = _key(context, given.place, new=True)
    body: MessageBody = given.body
    handed = await hand_in(
        context,
        key,
        body.message,
        unique=given.key,
        thinking=body.thinking,
        queue=body.queue,
    )
    return {
        "runId": handed.run_id,
        "sessionKey": handed.session_key,
        "repeated": handed.again,
    }


async def run(context: Context, given: Input) -> object:
    """How a turn stands, and its answer when it is over."""
    row = await read_run(context.bus, context.tenant, given.place)
    if row is None:
        raise _no_run(given.place)
    return {
        "runId": row.run_id,
        "sessionKey": row.session_key,
        "state": row.state,
        "outcome": row.outcome,
        "stopReason": row.stop_reason,
        "text": row.text,
        "error": row.error,
        "usage": {"input": row.usage.input, "output": row.usage.output},
        "joined": row.joined,
    }


async def stop(context: Context, given: Input) -> object:
    """Stop a turn, queued or running."""
    row = await read_run(context.bus, context.tenant, given.place)
    if row is None:
        raise _no_run(given.place)
    done = await abort(context.bus, context.tenant, row.session_key, row.run_id)
    return {"runId": row.run_id, "stopped": done}


def _no_run(run_id: str) -> Exception:
    return invalid(f"there is no run {run_id[:100]!r}", reason="run-not-found")


RESOURCES: Final = (
    Resource(
        verb="GET",
        path="/api/agents",
        scope=READ,
        run=agents,
        answer=_object(
            default=_TEXT,
            agents={
                "type": "array",
                "items": _object(id=_TEXT, name=_MAYBE, model=_MAYBE),
            },
        ),
    ),
    Resource(
        verb="GET",
        path="/api/sessions",
        scope=READ,
        run=list_sessions,
        query=PageQuery,
        answer=_object(
            sessions={"type": "array", "items": _ROW},
            next={"type": ["integer", "null"]},
        ),
    ),
    Resource(
        verb="GET",
        path="/api/sessions/{key}",
        scope=READ,
        run=session,
        answer=_ROW,
    ),
    Resource(
        verb="POST",
        path="/api/sessions/{key}/messages",
        scope=WRITE,
        run=say,
        body=MessageBody,
        patterns={"message": r"\S"},
        status=202,
        keyed=True,
        answer=_object(runId=_TEXT, sessionKey=_TEXT, repeated={"type": "boolean"}),
    ),
    Resource(
        verb="GET",
        path="/api/runs/{runId}",
        scope=READ,
        run=run,
        answer=_object(
            runId=_TEXT,
            sessionKey=_TEXT,
            state={"enum": ["queued", "running", "joined", "ended"]},
            outcome=_MAYBE,
            stopReason=_MAYBE,
            text=_TEXT,
            error=_MAYBE,
            usage=_USAGE,
            joined=_MAYBE,
        ),
    ),
    Resource(
        verb="POST",
        path="/api/runs/{runId}/stop",
        scope=WRITE,
        run=stop,
        answer=_object(runId=_TEXT, stopped={"type": "boolean"}),
    ),
)
