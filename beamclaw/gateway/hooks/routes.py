"""``POST /hooks/<name>``: read, handed in, answered when it is kept."""

import re
from typing import Any, Final, cast

import orjson
from quart import Response, request
from quart_trio import QuartTrio

from beamclaw.agents import UnknownAgent, UnknownModel
from beamclaw.config.schema import HooksConfig
from beamclaw.contracts import keys, names, tracing
from beamclaw.contracts.messages import ModelParams, said
from beamclaw.contracts.sessions import Inbound, submit
from beamclaw.gateway.admission import Asked
from beamclaw.gateway.errors import invalid
from beamclaw.gateway.hooks import calls
from beamclaw.gateway.hooks.calls import Said
from beamclaw.gateway.methods import _faults as faults
from beamclaw.gateway.problem import Problem
from beamclaw.gateway.replies import as_json
from beamclaw.gateway.rest.problems import problem_of
from beamclaw.gateway.rest.routes import FAULTS, Rest
from beamclaw.values import frozen

PREFIX: Final = "/hooks/"
_KEY: Final = re.compile(r"[!-~]{1,255}")


def add_routes(app: QuartTrio, rest: Rest, hooks: HooksConfig) -> None:
    """Add them to *app*; none where there are no hooks."""
    if hooks.enabled:
        door = _Door(rest, hooks)
        rule = "/hooks/<path:name>"
        app.add_url_rule(rule, rule, door.serve, methods=["POST"])


@frozen
class _Door:
    rest: Rest
    hooks: HooksConfig

    async def serve(self, name: str) -> Response:
        scope = cast("dict[str, Any]", request.scope)
        asked: Asked = scope["beamclaw.asked"]
        try:
            answer = await self._take(name, asked, scope["beamclaw.body"])
        except FAULTS as error:
            told = faults.told(error)
            if told is None:
                raise
            return as_json(problem_of(told))
        return as_json(answer)

    async def _take(self, name: str, asked: Asked, body: bytes) -> bytes | Problem:
        most = self.hooks.max_body_bytes
        if len(body) > most:
            message = f"the call is larger than {most} bytes (hooks.max_body_bytes)"
            return Problem(status=413, message=message, code="body_too_large")
        value = await self.rest.turns.read(body)
        if isinstance(value, Problem):
            return value
        wanted = calls.read(name, value, self.hooks, self.rest.node.agents)
        if wanted is None:
            return Problem(
                status=404, message=f"there is no hook {name[:64]!r}", code="not_found"
            )
        key = asked.headers.get("idempotency-key")
        if key is not None and _KEY.fullmatch(key) is None:
            raise invalid("the header idempotency-key is malformed")
        run_id = await self._hand_in(wanted, name, key, asked)
        answer: dict[str, Any] = {"ok": True, "runId": run_id}
        if name == "wake" and name not in self.hooks.mappings:
            answer["eventOutcome"] = "queued"
        return orjson.dumps(answer)

    async def _hand_in(
        self, wanted: Said, name: str, key: str | None, asked: Asked
    ) -> str:
        rest = self.rest
        params = ModelParams(thinking=wanted.thinking, seconds=wanted.seconds)
        try:
            rest.node.check(wanted.agent, wanted.model, params)
        except (UnknownAgent, UnknownModel) as error:
            raise invalid(str(error)) from None
        unique, trace = rest.outside.new_id(), tracing.given(asked.headers)
        own = keys.resolve_outside(f"hook:{unique}", wanted.agent)
        inbound = Inbound(
            tenant=names.DEFAULT_TENANT,
            source="hook",
            account=name[:200],
            conversation=wanted.session or "",
            external_id=key or f"hook-{unique}",
            session_key=wanted.session or str(own),
            agent=wanted.agent,
            messages=(said("user", wanted.text),),
            run_id=f"hook-{unique}",
            model=wanted.model,
            params=params,
            sender=f"hook:{wanted.sender}",
            # Whoever it was that made the other program call: words of strangers.
            tainted=True,
            traceparent=trace.traceparent,
            tracestate=trace.tracestate,
        )
        receipt = await submit(rest.bus, inbound, at=rest.outside.wall())
        return receipt.run_id
