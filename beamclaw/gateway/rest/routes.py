"""The paths under ``/api``: read, done by the resource, answered in HTTP's words."""

import re
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any, Final, cast

import orjson
from quart import Response, request
from quart_trio import QuartTrio

import supervision
from beamclaw.contracts import names, tracing
from beamclaw.contracts.bus import Bus
from beamclaw.contracts.follow import follow
from beamclaw.contracts.ledger_errors import LedgerError
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.sessions import read_run
from beamclaw.gateway.admission import Asked
from beamclaw.gateway.auth.principal import Principal
from beamclaw.gateway.errors import MethodError, invalid
from beamclaw.gateway.exchange import Exchange
from beamclaw.gateway.methods import _faults as faults
from beamclaw.gateway.methods._method import Context
from beamclaw.gateway.methods._node import Node
from beamclaw.gateway.problem import Problem
from beamclaw.gateway.problem import invalid as refused
from beamclaw.gateway.replies import SENT, as_json
from beamclaw.gateway.rest import openapi
from beamclaw.gateway.rest._resource import Input, Resource
from beamclaw.gateway.rest.events import BEAT, RETRY, RunEvents
from beamclaw.gateway.rest.problems import problem_of
from beamclaw.gateway.rest.resources import RESOURCES
from beamclaw.gateway.turns import Turns
from beamclaw.gateway.watch import Finish, Nothing, Watch
from beamclaw.values import frozen

FAULTS: Final = (MethodError, LedgerError, supervision.CallFailed, ValueError)
_KEY: Final = re.compile(r"[!-~]{1,255}")
_SSE: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"x-accel-buffering", b"no"),
]


@frozen(kw_only=True)
class Rest:
    """What the paths need."""

    node: Node
    bus: Bus
    outside: Outside
    turns: Turns


def add_routes(app: QuartTrio, means: Rest) -> None:
    """Add them to *app*."""
    for each in RESOURCES:
        app.add_url_rule(
            each.rule,
            f"{each.verb} {each.path}",
            _serving(means, each),
            methods=[each.verb],
        )
    app.add_url_rule(openapi.PATH, openapi.PATH, _document(means))
    app.add_url_rule("/api/runs/<path:place>/events", openapi.EVENTS, _following(means))


def _document(means: Rest) -> Callable[[], Awaitable[Response]]:
    async def serve() -> Response:
        found = openapi.document(RESOURCES, means.node.version())
        return as_json(orjson.dumps(found))

    return serve


# --- a request and its answer


def _serving(means: Rest, resource: Resource) -> Callable[..., Awaitable[Response]]:
    async def serve(place: str = "") -> Response:
        try:
            value = await resource.run(
                _context(means), await _input(means, resource, place)
            )
        except FAULTS as error:
            return as_json(_told(error))
        return as_json(orjson.dumps(value), resource.status)

    return serve


def _told(error: Exception) -> Problem:
    """*error* as an answer; what is a fault of this program goes on."""
    told = faults.told(error)
    if told is None:
        raise error
    return problem_of(told)


def _scope() -> dict[str, Any]:
    return cast("dict[str, Any]", request.scope)


def _context(means: Rest) -> Context:
    scope = _scope()
    principal: Principal = scope["beamclaw.principal"]
    asked: Asked = scope["beamclaw.asked"]
    return Context(
        principal=principal,
        bus=means.bus,
        outside=means.outside,
        node=means.node,
        trace=tracing.given(asked.headers),
    )


async def _input(means: Rest, resource: Resource, place: str) -> Input:
    asked: Asked = _scope()["beamclaw.asked"]
    key = asked.headers.get("idempotency-key") if resource.keyed else None
    if key is not None and _KEY.fullmatch(key) is None:
        raise invalid("the header idempotency-key is malformed")
    value: object = None
    if resource.body is not None:
        value = await means.turns.read(_scope()["beamclaw.body"])
        if isinstance(value, Problem):
            raise MethodError("INVALID_REQUEST", value.message)
    return Input(
        place=place,
        query=resource.read_query(asked.query),
        body=resource.read_body(value),
        key=key,
    )


# --- a run as events


def _following(means: Rest) -> Callable[[str], Awaitable[Response]]:
    async def serve(place: str) -> Response:
        exchange: Exchange = _scope()["extensions"]["beamclaw.exchange"]
        asked: Asked = _scope()["beamclaw.asked"]
        events = RunEvents.after(asked.headers.get("last-event-id"))
        if events is None:
            return as_json(refused("last-event-id is none of ours"))
        context = _context(means)
        try:
            row = await read_run(context.bus, context.tenant, place)
        except FAULTS as error:
            return as_json(_told(error))
        if row is None:
            missing = f"there is no run {place[:100]!r}"
            return as_json(Problem(status=404, message=missing, code="run_not_found"))
        topic = names.topic(context.tenant, row.session_key)
        limits = means.turns.limits
        inner = context.bus.subscribe(topic, buffer=limits.stream_buffer)
        with Watch(inner, exchange, limits.heartbeat_seconds) as watch:
            await _stream(context, exchange, watch, events, place)
        return SENT

    return serve


def _sent(events: RunEvents, value: object) -> bytes | None:
    """What is sent for *value*; None: the node stops, its client comes back by itself."""
    if isinstance(value, Finish):
        return None
    return BEAT if isinstance(value, Nothing) else events.feed(value)


async def _stream(
    context: Context, exchange: Exchange, watch: Watch, events: RunEvents, run_id: str
) -> None:
    exchange.streaming = True
    await exchange.start(200, list(_SSE))
    await exchange.write(RETRY)
    run = follow(context.bus, context.tenant, run_id, watch, join=True)
    async with aclosing(run) as values:
        async for value in values:
            sent = _sent(events, value)
            if sent is None:
                break
            if sent:
                await exchange.write(sent, more=not events.ended)
            if events.ended:
                return
    await exchange.write(b"", more=False)
