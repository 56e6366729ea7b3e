"""What a command can ask of a node: the table of methods.

A method gets the parameters as they came and a function that sends an event; what it
returns is the result. It raises :class:`Failed` for everything that a person or a
command can do something about.
"""
# ruff: noqa: ARG001 -- all methods have one signature

import os
from collections.abc import Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, Final, TypeVar, cast, get_args, overload

import trio

import supervision
from beamclaw.agents import UnknownAgent, UnknownModel, resolve
from beamclaw.config.applying import waiting as waiting_in_words
from beamclaw.config.redactor import redactor
from beamclaw.config.schema import Config
from beamclaw.contracts import gateway, keys, names, sessions
from beamclaw.contracts.follow import follow
from beamclaw.contracts.ledger import GetLedgerStatus
from beamclaw.contracts.ledger_usage import By, ReadSums
from beamclaw.contracts.limits import GetLimits
from beamclaw.contracts.messages import said
from beamclaw.contracts.names import DEFAULT_TENANT
from beamclaw.contracts.points import point
from beamclaw.contracts.providers import GetPermits
from beamclaw.contracts.sandbox import GetIsolation
from beamclaw.contracts.sessions import (
    GetSessionsStatus,
    Inbound,
    QueueMode,
    TopicValue,
)
from beamclaw.contracts.shell import UNKNOWN_RUN
from beamclaw.contracts.statistics import BYS, ReadStatistics
from beamclaw.contracts.statistics import NAME as STATISTICS
from beamclaw.contracts.statistics import By as StatisticsBy
from beamclaw.shell.access import ACCESS_METHODS
from beamclaw.shell.completing import COMPLETING
from beamclaw.shell.config import CONFIG_METHODS
from beamclaw.shell.databases import DATABASES
from beamclaw.shell.expressions import EXPRESSIONS
from beamclaw.shell.history import HISTORY
from beamclaw.shell.logs import logs
from beamclaw.shell.looking import LOOKING
from beamclaw.shell.questions import answer, grants, questions, revoke, waiting
from beamclaw.shell.request import Failed, Method, Node, Params, Send, in_words, text
from beamclaw.shell.sessions import SESSION_METHODS
from beamclaw.shell.show import show_value
from beamclaw.shell.steering import STEERING
from beamclaw.shell.tools import TOOL_METHODS
from beamclaw.shell.top import TOP
from beamclaw.shell.tracing import TRACING

T = TypeVar("T")
MAX_TEXT: Final = 4 * 1024 * 1024
# More seconds than this is before there was anything.
MAX_SECONDS: Final = 1e10
# Seconds that `status` waits for one part before it says that it does not answer.
PATIENCE: Final = 1.0

# --- looking


async def status(node: Node, params: Params, send: Send) -> object:
    """How the node stands; a part that does not answer is said to be so."""
    await trio.lowlevel.checkpoint()
    root = supervision.tree(depth=0)
    address, left = gateway.address(), node.current.left
    scrub = redactor(node.config).scrub
    providers = {
        names.of_key(name, key): await _ask(
            node, names.permits(name, key), GetPermits()
        )
        for name, provider in node.config.providers.items()
        for key in range(provider.key_count)
    }
    return {
        "version": node.version,
        "pid": os.getpid(),
        "uptime": trio.current_time() - (root.started_at or trio.current_time()),
        "data": str(node.config.data),
        "address": None if address is None else address.url,
        "agent": _main_model(node.config),
        "config": {
            "waiting": [change.path for change in left],
            "words": waiting_in_words(left),
            "trouble": scrub(node.current.trouble),
            "warnings": [scrub(words) for words in node.current.warnings],
        },
        "providers": providers,
        "tenants": {
            DEFAULT_TENANT: {
                "ledger": await _ask(
                    node, names.of_tenant(DEFAULT_TENANT, "ledger"), GetLedgerStatus()
                ),
                "sessions": await _ask(
                    node,
                    names.of_tenant(DEFAULT_TENANT, "sessions"),
                    GetSessionsStatus(),
                ),
                "limits": await _ask(
                    node, names.of_tenant(DEFAULT_TENANT, "limits"), GetLimits()
                ),
                "questions": await waiting(node),
                "commands": await _ask(
                    node, names.of_tenant(DEFAULT_TENANT, "sandbox"), GetIsolation()
                ),
            }
        },
        "processes": supervision.statistics().processes,
    }


def _main_model(config: Config) -> dict[str, str]:
    model = config.agents["main"].model if "main" in config.agents else None
    why = config.chosen.why if model is None else "agents.main.model says so"
    try:
        main = resolve(config, "main")
    except (UnknownAgent, UnknownModel) as error:
        return {"id": "main", "model": "", "why": str(error)}
    return {"id": "main", "model": f"{main.provider}/{main.model}", "why": why}


async def _ask(node: Node, endpoint: str, request: supervision.Call[Any]) -> object:
    try:
        return show_value(await node.bus.call(endpoint, request, timeout=PATIENCE))
    except supervision.CallFailed as error:
        return {"unavailable": redactor(node.config).scrub(str(error))}


async def usage(node: Node, params: Params, send: Send) -> object:
    """What models took, summed ``by`` something.

    Of the last ``seconds`` (a week), or ``since`` a time, in seconds since the epoch.
    """
    by = text(params, "by", "day")
    if by not in get_args(By):
        raise Failed("params", f"by has to be one of {', '.join(get_args(By))}")
    since = _number(params, "since", None)
    if since is None:
        since = node.outside.wall() - _number(params, "seconds", 7 * 86_400.0)
    request = ReadSums(cast("By", by), max(0.0, since))
    ledger = names.of_tenant(DEFAULT_TENANT, "ledger")
    with in_words():
        rows = await node.bus.call(ledger, request, timeout=None)
    return [show_value(row) for row in rows]


async def providers(node: Node, params: Params, send: Send) -> object:
    """How providers do, day by day, summed ``by`` something; times as for ``usage``."""
    by = text(params, "by", "model")
    if by not in BYS:
        raise Failed("params", f"by has to be one of {', '.join(BYS)}")
    since = _number(params, "since", None)
    if since is None:
        since = node.outside.wall() - _number(params, "seconds", 7 * 86_400.0)
    day = datetime.fromtimestamp(max(0.0, since), UTC).date().isoformat()
    with in_words():
        request = ReadStatistics(day, cast("StatisticsBy", by))
        rows = await node.bus.call(STATISTICS, request, timeout=None)
    return [show_value(row) for row in rows]


@overload
def _number(params: Params, name: str, default: float) -> float: ...
@overload
def _number(params: Params, name: str, default: None) -> float | None: ...
def _number(params: Params, name: str, default: float | None) -> float | None:
    value = params.get(name, default)
    if value is None:
        return None
    if not isinstance(value, int | float) or not 0 <= value < MAX_SECONDS:
        raise Failed("params", f"{name} has to be a number, not less than 0")
    return value


# --- talking


async def chat(node: Node, params: Params, send: Send) -> object:
    """Hand a message in and follow its turn: events until ``RunEnded``.

    ``message``; ``id``, which makes a repeat the same message; ``session``, ``agent``,
    ``model`` and ``queue`` if wanted. The first event is ``Accepted``: from then on the message
    is kept, whatever happens.
    """
    inbound = _inbound(node, params)
    with node.bus.subscribe(_topic(inbound.session_key)) as subscription:
        with in_words():
            receipt = await sessions.submit(node.bus, inbound, at=node.outside.wall())
        with point("shell.accepted"):
            await send(
                {
                    "type": "Accepted",
                    "run_id": receipt.run_id,
                    "session_key": receipt.session_key,
                    "duplicate": receipt.duplicate,
                }
            )
        if receipt.session_key == inbound.session_key:
            values = follow(
                node.bus,
                DEFAULT_TENANT,
                receipt.run_id,
                subscription,
                join=receipt.duplicate,
            )
            return await _pass_on(values, send)
    return await _join(node, receipt.session_key, receipt.run_id, send)


async def attach(node: Node, params: Params, send: Send) -> object:
    """Follow a turn that was begun before, from its first word."""
    run_id, key = text(params, "run_id"), text(params, "session_key")
    return await _join(node, key, run_id, send)


async def abort(node: Node, params: Params, send: Send) -> object:
    """Stop a turn, queued or running; ``False``: it was over already."""
    run_id, key = text(params, "run_id"), text(params, "session_key")
    with in_words():
        return await sessions.abort(node.bus, DEFAULT_TENANT, key, run_id)


async def _join(node: Node, key: str, run_id: str, send: Send) -> object:
    with node.bus.subscribe(_topic(key)) as subscription:
        with in_words():
            row = await sessions.read_run(node.bus, DEFAULT_TENANT, run_id)
        if row is None:
            raise Failed(UNKNOWN_RUN, f"nothing is known of the turn {run_id}")
        if row.session_key != key:
            raise Failed(UNKNOWN_RUN, f"the turn {run_id} belongs to another session")
        values = follow(node.bus, DEFAULT_TENANT, run_id, subscription, join=True)
        return await _pass_on(values, send)


async def _pass_on(values: Any, send: Send) -> object:
    async with aclosing(values):
        with in_words():
            async for value in values:
                await send(_event(value))
    return True


def _event(value: TopicValue) -> object:
    return {"type": type(value).__name__, **show_value(value)}


def _topic(key: str) -> str:
    return names.topic(DEFAULT_TENANT, key)


def _inbound(node: Node, params: Params) -> Inbound:
    message, external_id = text(params, "message"), text(params, "id")
    if len(message.encode()) > MAX_TEXT:
        raise Failed("params", f"a message has at most {MAX_TEXT} bytes")
    if not message.strip():
        raise Failed("params", "the message is empty")
    agent = text(params, "agent", "main")
    model = text(params, "model", "") or None
    try:
        key = keys.resolve_outside(text(params, "session", keys.MAIN), agent)
        agent = key.agent or agent
        resolve(node.config, agent, model)
    except (keys.BadKey, UnknownAgent, UnknownModel) as error:
        raise Failed("params", str(error)) from None
    return Inbound(
        tenant=DEFAULT_TENANT,
        source="terminal",
        account="owner",
        conversation=str(key),
        external_id=external_id,
        session_key=str(key),
        agent=agent,
        messages=(said("user", message),),
        run_id=node.outside.new_id(),
        model=model,
        queue=_queue(params),
        # A command of an agent says what that, or whoever it has read, wants said.
        tainted=node.inner,
    )


def _queue(params: Params) -> QueueMode:
    given = text(params, "queue", "followup")
    modes = get_args(QueueMode)
    if given not in modes:
        raise Failed("params", f"queue is one of {', '.join(modes)}, not {given!r}")
    return cast("QueueMode", given)


METHODS: Final[Mapping[str, Method]] = {
    "status": status,
    "chat": chat,
    "attach": attach,
    "abort": abort,
    "questions": questions,
    "answer": answer,
    "grants": grants,
    "revoke": revoke,
    "usage": usage,
    "providers": providers,
    "logs": logs,
    **CONFIG_METHODS,
    **ACCESS_METHODS,
    **SESSION_METHODS,
    **TOOL_METHODS,
    **LOOKING,
    **COMPLETING,
    **STEERING,
    **TRACING,
    **EXPRESSIONS,
    **TOP,
    **HISTORY,
    **DATABASES,
}
