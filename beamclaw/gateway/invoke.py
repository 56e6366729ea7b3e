"""``POST /tools/invoke``: one tool of an agent, carried out for a program."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, cast

import attrs
import orjson
from quart import Response, request
from quart_trio import QuartTrio

from beamclaw.arguments import Length
from beamclaw.contracts import tracing
from beamclaw.contracts.sessions import PIECES
from beamclaw.gateway.admission import Asked
from beamclaw.gateway.errors import invalid
from beamclaw.gateway.exchange import Exchange
from beamclaw.gateway.methods import _faults as faults
from beamclaw.gateway.methods import _invoking as invoking
from beamclaw.gateway.methods._invoking import Came, Fault, Order, Stopping, Wanted
from beamclaw.gateway.methods._method import Context, Text, read_params
from beamclaw.gateway.problem import Problem, styled
from beamclaw.gateway.replies import as_json
from beamclaw.gateway.rest.problems import problem_of
from beamclaw.gateway.rest.routes import FAULTS, Rest
from beamclaw.gateway.turns import STOPPING
from beamclaw.gateway.watch import Watch
from beamclaw.values import frozen

PATH: Final = "/tools/invoke"
_KEY: Final = re.compile(r"[!-~]{1,255}")
_STATUS: Final[Mapping[Fault, tuple[int, str]]] = {
    "invalid": (400, "invalid_request"),
    "not_found": (404, "not_found"),
    "forbidden": (403, "tool_call_blocked"),
    "approval": (403, "tool_call_blocked"),
    "failed": (400, "tool_error"),
    "broken": (500, "tool_error"),
}
"""Status and ``type`` of an error, as OpenClaw has them."""


@frozen(kw_only=True)
class Body:
    """What is ordered; ``name`` goes before ``tool``."""

    tool: Text | None = None
    name: Text | None = None
    action: Text | None = None
    args: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    session_key: Text | None = None
    agent_id: Text | None = None
    idempotency_key: Annotated[str, Length(1, 255)] | None = None
    dry_run: bool = False


def add_route(app: QuartTrio, rest: Rest) -> None:
    """Add the path to *app*."""
    app.add_url_rule(PATH, PATH, _Door(rest).serve, methods=["POST"])


@frozen
class _Door:
    rest: Rest

    async def serve(self) -> Response:
        scope = cast("dict[str, Any]", request.scope)
        exchange: Exchange = scope["extensions"]["beamclaw.exchange"]
        try:
            answer = await self._take(scope, exchange)
        except Stopping:
            answer = STOPPING
        except FAULTS as error:
            told = faults.told(error)
            if told is None:
                raise
            answer = problem_of(told)
        if isinstance(answer, Problem):
            return as_json(styled(answer, "tools"))
        return _answer(answer)

    async def _take(self, scope: dict[str, Any], exchange: Exchange) -> Came | Problem:
        rest, asked = self.rest, cast("Asked", scope["beamclaw.asked"])
        value = await rest.turns.read(scope["beamclaw.body"])
        if isinstance(value, Problem):
            return value
        context = Context(
            principal=scope["beamclaw.principal"],
            bus=rest.bus,
            outside=rest.outside,
            node=rest.node,
            trace=tracing.given(asked.headers),
        )
        found = await invoking.order_of(context, wanted(value, asked.headers))
        if isinstance(found, Came):
            return found
        try:
            return await invoking.carried_out(
                context,
                found,
                lambda topic: Watch(
                    rest.bus.subscribe(topic, without=PIECES), exchange, float("inf")
                ),
            )
        finally:
            if exchange.gone and _is_unwanted(found):
                inbound = found.inbound
                await rest.turns.abort(inbound.session_key, inbound.run_id)


def _is_unwanted(order: Order) -> bool:
    """Whether nobody can ever read the result when the client has left."""
    inbound = order.inbound
    return inbound.ephemeral and inbound.external_id == inbound.run_id


def wanted(value: object, headers: Mapping[str, str]) -> Wanted:
    """What a request orders.

    Raises:
        MethodError: It is no order.
    """
    body = read_params("tools.invoke", value, Body)
    name = (body.name or body.tool or "").strip()
    if not name:
        raise invalid("name, or tool, has to be given")
    if body.dry_run:
        raise invalid("dryRun: nothing is tried here without being done; leave it out")
    key = body.idempotency_key or headers.get("idempotency-key")
    if key is not None and _KEY.fullmatch(key) is None:
        raise invalid("an idempotency key has 1 to 255 visible characters")
    return Wanted(
        name=name,
        args=body.args,
        action=body.action,
        session_key=body.session_key,
        agent_id=body.agent_id,
        unique=key,
    )


def _answer(came: Came) -> Response:
    if came.fault is None:
        return as_json(orjson.dumps({"ok": True, "result": invoking.output(came.text)}))
    status, kind = _STATUS[came.fault]
    error: dict[str, object] = {"type": kind, "message": came.text}
    if came.approval_id is not None:
        error |= {"requiresApproval": True, "approvalId": came.approval_id}
    return as_json(orjson.dumps({"ok": False, "error": error}), status)
