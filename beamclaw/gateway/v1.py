"""The paths under ``/v1``: OpenAI's API, and Anthropic's."""

from collections.abc import Awaitable, Callable
from typing import Any, cast

from quart import Response, request
from quart_trio import QuartTrio

from beamclaw.gateway.admission import Asked
from beamclaw.gateway.agents import Agents
from beamclaw.gateway.anthropic.messages import Messages
from beamclaw.gateway.api import Api
from beamclaw.gateway.auth.principal import Principal
from beamclaw.gateway.exchange import Exchange
from beamclaw.gateway.openai import models as openai_models
from beamclaw.gateway.openai.completions import Completions
from beamclaw.gateway.openai.items import read_page
from beamclaw.gateway.openai.responses import Responses
from beamclaw.gateway.problem import Problem, styled
from beamclaw.gateway.replies import SENT, as_json, in_json
from beamclaw.gateway.responses import Stored, read_query
from beamclaw.gateway.turns import Turns


def add_routes(
    app: QuartTrio, turns: Turns, agents: Agents, *, created: int, max_messages: int
) -> None:
    """Add them to *app*; *created* is when the gateway started, in seconds."""
    messages = Messages(agents=agents, max_messages=max_messages)
    for path, api in (
        ("/v1/chat/completions", Completions(agents=agents, max_messages=max_messages)),
        ("/v1/responses", Responses(agents=agents, max_messages=max_messages)),
        ("/v1/messages", messages),
    ):
        app.add_url_rule(path, path, _turn(turns, api), methods=["POST"])
    path = "/v1/messages/count_tokens"
    app.add_url_rule(path, path, _count(turns, messages), methods=["POST"])
    _add_stored(app, turns, Stored(bus=turns.bus))
    _add_models(app, agents, created)


def _turn(turns: Turns, api: Api) -> Callable[[], Awaitable[Response]]:
    async def serve() -> Response:
        scope = cast("dict[str, Any]", request.scope)
        asked: Asked = scope["beamclaw.asked"]
        exchange: Exchange = scope["extensions"]["beamclaw.exchange"]
        body: bytes = scope["beamclaw.body"]
        account = _account(scope["beamclaw.principal"])
        await turns.serve(exchange, api, asked.headers, body, account=account)
        return SENT

    return serve


def _account(principal: Principal | None) -> str:
    """Under which name a message is handed in; the shared secret's is the oldest."""
    if principal is None or principal.account == "operator":
        return "gateway"
    return principal.account


def _count(turns: Turns, messages: Messages) -> Callable[[], Awaitable[Response]]:
    async def serve() -> Response:
        scope = cast("dict[str, Any]", request.scope)
        asked: Asked = scope["beamclaw.asked"]
        body: bytes = scope["beamclaw.body"]
        found = await turns.count(messages, asked.headers, body)
        if isinstance(found, Problem):
            return as_json(styled(found, "anthropic"))
        return in_json({"input_tokens": found})

    return serve


def _add_stored(app: QuartTrio, turns: Turns, kept: Stored) -> None:
    def serving(
        do: Callable[[str], Awaitable[bytes | Problem]],
    ) -> Callable[[str], Awaitable[Response]]:
        async def serve(name: str) -> Response:
            return as_json(await do(name))

        return serve

    for method, path, do in (
        ("DELETE", "/v1/responses/<name>", kept.delete),
        ("POST", "/v1/responses/<name>/cancel", kept.cancel),
    ):
        app.add_url_rule(path, f"{method} {path}", serving(do), methods=[method])

    path = "/v1/responses/<name>"
    app.add_url_rule(path, f"GET {path}", _reading(turns, kept), methods=["GET"])
    path = "/v1/responses/<name>/input_items"
    app.add_url_rule(path, f"GET {path}", _given(kept), methods=["GET"])


def _given(kept: Stored) -> Callable[[str], Awaitable[Response]]:
    async def serve(name: str) -> Response:
        scope = cast("dict[str, Any]", request.scope)
        asked: Asked = scope["beamclaw.asked"]
        page = read_page(asked.query)
        if isinstance(page, Problem):
            return as_json(page)
        return as_json(await kept.input_items(name, page))

    return serve


def _reading(turns: Turns, kept: Stored) -> Callable[[str], Awaitable[Response]]:
    async def serve(name: str) -> Response:
        scope = cast("dict[str, Any]", request.scope)
        asked: Asked = scope["beamclaw.asked"]
        how = read_query(asked.query)
        if isinstance(how, Problem):
            return as_json(how)
        if not how.stream:
            return as_json(await kept.get(name))
        found = await kept.streamed(name, how.after)
        if isinstance(found, Problem):
            return as_json(found)
        exchange: Exchange = scope["extensions"]["beamclaw.exchange"]
        await turns.rejoin(exchange, found.events, found.row)
        return SENT

    return serve


def _add_models(app: QuartTrio, agents: Agents, created: int) -> None:
    async def models() -> Response:
        return as_json(openai_models.model_list(agents, created=created))

    async def model(name: str) -> Response:
        return as_json(openai_models.model(agents, name, created=created))

    app.add_url_rule("/v1/models", view_func=models)
    app.add_url_rule("/v1/models/<path:name>", view_func=model)
