"""The Quart-Trio application: which path answers what, and the gate before all of them.

Quart routes and answers; what it would do with bodies and time limits is done before
it (:class:`Dialogue`), because it would do it after a stranger has been let in.
"""

from collections.abc import Callable
from typing import Any, Final, cast

import attrs
import trio
from quart import Response, request
from quart.routing import QuartRule
from quart_trio import QuartTrio
from quart_trio.asgi import TrioASGIHTTPConnection
from werkzeug.exceptions import HTTPException

import supervision
from beamclaw.config.schema import HooksConfig
from beamclaw.contracts import names
from beamclaw.gateway import control_ui as control_ui_files
from beamclaw.gateway import embeddings, invoke, page, permission, v1
from beamclaw.gateway import metrics as metrics_page
from beamclaw.gateway.admission import OPEN_PATHS, Admission, Asked, too_large
from beamclaw.gateway.agents import Agents
from beamclaw.gateway.auth.gate import Gate
from beamclaw.gateway.auth.principal import Principal
from beamclaw.gateway.control_ui import ControlUi, Found
from beamclaw.gateway.exchange import Exchange, Message
from beamclaw.gateway.floor import Floor
from beamclaw.gateway.hooks import routes as hook_routes
from beamclaw.gateway.problem import Problem, Style
from beamclaw.gateway.replies import SENT, as_json, in_json
from beamclaw.gateway.rest import routes
from beamclaw.gateway.turns import STOPPING, Turns
from beamclaw.values import frozen

REFUSED: Final = "beamclaw.gateway.refused"
# Without these the node takes no turns; each is named in `failing` when it is down.
NEEDED: Final = (
    names.of_tenant(names.DEFAULT_TENANT, "ledger"),
    names.of_tenant(names.DEFAULT_TENANT, "sessions"),
    "bus",
)


@frozen(kw_only=True)
class Rooms:
    """What the paths need.

    Attributes:
        created: When the gateway started, in seconds since the epoch.
        max_messages: Of one request.
        auth_mode: How people say who they are, for the page that asks them.
        control_ui: The program for a browser; None: it is not served.
        whole: All of the gateway is here; else nothing but the Control UI.
    """

    floor: Floor
    admission: Admission
    turns: Turns
    gate: Gate
    agents: Agents
    created: int
    max_messages: int
    rest: routes.Rest
    hooks: HooksConfig
    auth_mode: str = "token"
    control_ui: ControlUi | None = None
    whole: bool = True


class _Rule(QuartRule):
    """A path that is looked up, never made out of its parts.

    The program that Werkzeug compiles for making one is nine tenths of what a path costs
    at start: ten milliseconds for all.
    """

    def _compile_builder(self, *_: Any, **__: Any) -> Callable[..., tuple[str, str]]:
        return _unmade


def _unmade(*_: Any, **__: Any) -> tuple[str, str]:
    raise NotImplementedError


class GatewayApp(QuartTrio):
    """See the module."""

    url_rule_class = _Rule
    rooms: Rooms
    control_ui: ControlUi | None = None


class Dialogue(TrioASGIHTTPConnection):
    """One request: admitted, read whole within its limit, then given to Quart."""

    app: GatewayApp

    async def __call__(self, receive: Any, send: Any) -> None:
        """See Quart. No tasks are started: a client that leaves cancels this one."""
        scope = cast("Message", self.scope)
        exchange: Exchange = scope["extensions"]["beamclaw.exchange"]
        asked = _asked(scope)
        found = None
        if (control_ui := self.app.control_ui) is not None:
            asked = control_ui.renamed(asked)
            scope["path"] = asked.path
            found = control_ui.find(asked)
        exchange.style = style_of(asked)
        principal = self._refuse(asked)
        if principal is None and found is None and not permission.is_open(asked):
            rooms = self.app.rooms
            hook = rooms.hooks.token if rooms.hooks.enabled else None
            principal = await permission.principal_of(rooms.gate, asked, hook)
        if isinstance(principal, Problem):
            await self._turn_away(exchange, principal)
        elif principal is None:
            await self._answer(exchange, asked, None, send, found)
        else:
            # Whoever is let in can be cut off, from here to the end.
            with self.app.rooms.gate.access.guest(principal, exchange.cut):
                await self._answer(exchange, asked, principal, send)

    async def _turn_away(self, exchange: Exchange, problem: Problem) -> None:
        self.app.rooms.floor.refused += 1
        supervision.emit(REFUSED, {}, {"status": problem.status, "code": problem.code})
        await exchange.refuse(problem)

    async def _answer(
        self,
        exchange: Exchange,
        asked: Asked,
        principal: Principal | None,
        send: Any,
        found: Found | None = None,
    ) -> None:
        problem = None
        if principal is not None:
            problem = permission.forbidden(self.app, asked, principal)
        problem = problem or self.app.rooms.admission.refuse_body(asked)
        body = problem or await self._body(exchange)
        if isinstance(body, Problem):
            await self._turn_away(exchange, body)
            return
        exchange.headers += self.app.rooms.admission.crossing(asked)
        if asked.method == "OPTIONS":
            await exchange.start(204, [])
            await exchange.write(b"", more=False)
            return
        if found is not None and self.app.control_ui is not None:
            response = await self.app.control_ui.answer(found, asked)
            await self._send_response(cast("Any", exchange.send), response)
            return
        scope = cast("Message", self.scope)
        scope["beamclaw.asked"] = asked
        scope["beamclaw.principal"] = principal
        scope["beamclaw.body"] = body
        quart_request = self._create_request_from_scope(send)
        response = await self.app.handle_request(quart_request)
        if response is not SENT:
            await self._send_response(cast("Any", exchange.send), response)

    def _refuse(self, asked: Asked) -> Problem | None:
        rooms = self.app.rooms
        if not rooms.floor.intake and asked.path not in OPEN_PATHS:
            return STOPPING
        return rooms.admission.refuse(asked)

    async def _body(self, exchange: Exchange) -> bytes | Problem:
        most = self.app.rooms.admission.max_body_bytes
        pieces: list[bytes] = []
        size = 0
        while True:
            message = await exchange.receive()
            pieces.append(message["body"])
            size += len(message["body"])
            if size > most:
                return too_large(most)
            if not message["more_body"]:
                return b"".join(pieces)


def style_of(asked: Asked) -> Style:
    """Whose API is spoken: also an error before anything is known has its shape."""
    if asked.path == invoke.PATH:
        return "tools"
    return "anthropic" if asked.path.startswith("/v1/messages") else "openai"


_WHOLE: Final = frozenset({"traceparent", "tracestate"})


def _asked(scope: Message) -> Asked:
    headers = dict[str, str]()
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        # A list may come in pieces; and of two parents neither counts.
        again = key in _WHOLE and key in headers
        headers[key] = f"{headers[key]},{text}" if again else text
    return Asked(
        method=scope["method"],
        path=scope["path"],
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        local=scope["server"][0],
        peer=scope["client"][0],
    )


def build(rooms: Rooms) -> GatewayApp:
    """The application."""
    app = GatewayApp(__name__, static_folder=None, template_folder=None)
    app.rooms = rooms
    app.asgi_http_class = Dialogue
    # Ours, in the connection, instead of a minute for whatever it is.
    app.config["RESPONSE_TIMEOUT"] = None
    app.config["BODY_TIMEOUT"] = None
    app.config["MAX_CONTENT_LENGTH"] = None
    app.config["PROPAGATE_EXCEPTIONS"] = True
    # A path is what was asked for: nobody is sent on to another one that may be meant.
    app.url_map.merge_slashes = False
    _health(app, rooms.floor)
    if rooms.whole:
        _all(app, rooms)
    if rooms.control_ui is not None:
        _control_ui(app, rooms.control_ui, rooms.agents)
    app.register_error_handler(HTTPException, _no_such_path)
    return app


# --- paths


def _all(app: GatewayApp, rooms: Rooms) -> None:
    v1.add_routes(
        app,
        rooms.turns,
        rooms.agents,
        created=rooms.created,
        max_messages=rooms.max_messages,
    )
    routes.add_routes(app, rooms.rest)
    embeddings.add_route(app, rooms.rest)
    invoke.add_route(app, rooms.rest)
    hook_routes.add_routes(app, rooms.rest, rooms.hooks)
    metrics_page.add_route(app)
    page.add_routes(app, rooms.gate, rooms.auth_mode, rooms.rest)


def _health(app: GatewayApp, floor: Floor) -> None:
    async def live() -> Response:
        return in_json({"ok": True, "status": "live"})

    async def ready() -> Response:
        failing = failures(floor)
        figures = trio.lowlevel.current_statistics()
        return in_json(
            {
                "ready": not failing,
                "failing": failing,
                "reasons": dict(floor.troubles.all()),
                "uptimeMs": round((trio.current_time() - floor.started) * 1000),
                "eventLoop": {
                    "tasksLiving": figures.tasks_living,
                    "tasksRunnable": figures.tasks_runnable,
                    **_lag(),
                },
            },
            503 if failing else 200,
        )

    async def started() -> Response:
        failures(floor)
        up = floor.ready is not None
        return in_json({"started": up}, 200 if up else 503)

    for path in ("/healthz", "/health"):
        app.add_url_rule(path, path, live)
    for path in ("/readyz", "/ready"):
        app.add_url_rule(path, path, ready)
    app.add_url_rule("/startupz", "/startupz", started)


def _lag() -> dict[str, float]:
    """How late the loop was for the last time, and at worst, if anybody watches it."""
    if supervision.whereis(names.WATCHDOG) is None:
        return {}
    seen = supervision.state(names.WATCHDOG)
    return {
        key: round(1000 * value, 3)
        for key, value in (("lagMs", seen["lag"]), ("worstLagMs", seen["worst"]))
        if isinstance(value, float)
    }


def failures(floor: Floor) -> list[str]:
    """What keeps the node from taking turns; notes when nothing did for the first time."""
    failing = [
        name
        for name in NEEDED
        if supervision.whereis(name) is None or floor.troubles.of(name) is not None
    ]
    if not failing and floor.ready is None:
        floor.ready = trio.current_time()
    if failing and floor.ready is None:
        failing.insert(0, "starting")
    if not floor.intake:
        failing.insert(0, "draining")
    return failing


def _control_ui(app: GatewayApp, control_ui: ControlUi, agents: Agents) -> None:
    async def facts() -> Response:
        return in_json(control_ui.facts(agent=agents.default))

    app.add_url_rule(control_ui_files.CONFIG, "control_ui_config", facts)
    rules = (rule.rule for rule in app.url_map.iter_rules())
    app.control_ui = attrs.evolve(control_ui, taken=control_ui_files.owned(rules))


# --- answers


async def _no_such_path(error: HTTPException) -> Response:
    status = error.code or 500
    if status == 404:  # noqa: PLR2004 -- as in the standard
        message = f"there is nothing at {request.path!r}"
    elif status == 405:  # noqa: PLR2004 -- as in the standard
        message = f"{request.method} is not what {request.path!r} is for"
    else:
        message = error.description or error.name
    answer = as_json(Problem(status=status, message=message, code="not_found"))
    for name, value in error.get_headers():
        if name.lower() in ("allow", "location"):
            answer.headers[name] = value
    return answer
