"""Who asks over HTTP, and whether he may ask for that: one table of paths.

A path that is not in the table needs everything, so nothing is open because somebody
forgot to say whom it is for.
"""

import re
from collections.abc import Mapping
from typing import Final

from quart import Quart
from werkzeug.exceptions import HTTPException

from beamclaw.contracts.secret import Secret
from beamclaw.gateway.admission import OPEN_PATHS, Asked
from beamclaw.gateway.auth import scopes
from beamclaw.gateway.auth.gate import Denied, Gate
from beamclaw.gateway.auth.principal import Principal
from beamclaw.gateway.auth.refusals import Refusal
from beamclaw.gateway.problem import Problem

_TOKEN_IN_QUERY: Final = re.compile(
    r"(?:^|&)(?:access_token|api[_-]?key|auth|authorization|bearer|key|password|token)=",
    re.IGNORECASE,
)

# By method and the rule under which the application answers; of those that are not open
# to all.
SCOPES: Final[Mapping[str, str]] = {
    "POST /v1/chat/completions": scopes.WRITE,
    "POST /v1/embeddings": scopes.WRITE,
    "POST /v1/messages": scopes.WRITE,
    "POST /v1/messages/count_tokens": scopes.READ,
    "POST /v1/responses": scopes.WRITE,
    "GET /v1/responses/<name>": scopes.READ,
    "GET /v1/responses/<name>/input_items": scopes.READ,
    "DELETE /v1/responses/<name>": scopes.WRITE,
    "POST /v1/responses/<name>/cancel": scopes.WRITE,
    "GET /api/agents": scopes.READ,
    "GET /api/openapi.json": scopes.READ,
    "GET /api/runs/<path:place>": scopes.READ,
    "GET /api/runs/<path:place>/events": scopes.READ,
    "POST /api/runs/<path:place>/stop": scopes.WRITE,
    "GET /api/sessions": scopes.READ,
    "GET /api/sessions/<path:place>": scopes.READ,
    "POST /api/sessions/<path:place>/messages": scopes.WRITE,
    "POST /hooks/<path:name>": scopes.WRITE,
    "POST /tools/invoke": scopes.WRITE,
    "GET /v1/models": scopes.READ,
    "GET /metrics": scopes.READ,
    "GET /control-ui-config.json": scopes.READ,
    "GET /v1/models/<path:name>": scopes.READ,
}


def is_open(asked: Asked) -> bool:
    """Whether anybody may ask that: it says only that the node is there."""
    return asked.path in OPEN_PATHS or asked.method == "OPTIONS"


async def principal_of(
    gate: Gate, asked: Asked, hook: Secret | None = None
) -> Principal | Problem:
    """Who asks; or what he is told if that is nobody. *hook* is the token of hooks."""
    try:
        if hook is not None and asked.path.startswith("/hooks/"):
            return gate.admit_hook(hook, asked.peer, asked.headers)
        return await gate.admit_http(asked.peer, asked.headers)
    except Denied as denied:
        return problem_of(denied.refusal, asked)


def forbidden(app: Quart, asked: Asked, principal: Principal) -> Problem | None:
    """Why *principal* may not ask that; None: he may, or it does not exist."""
    if principal.may(scopes.ADMIN):
        return None
    try:
        adapter = app.url_map.bind("")
        rule, _ = adapter.match(asked.path, asked.method, return_rule=True)
    except HTTPException:
        return None
    method = "GET" if asked.method == "HEAD" else asked.method
    needed = SCOPES.get(f"{method} {rule.rule}", scopes.ADMIN)
    if principal.may(needed):
        return None
    return Problem(
        status=403,
        type="forbidden",
        message=f"missing scope: {needed}",
        code="missing_scope",
        close=True,
    )


def problem_of(refusal: Refusal, asked: Asked) -> Problem:
    """*refusal* as it is told over HTTP."""
    if refusal.reason == "rate_limited":
        return Problem(
            status=429,
            type="rate_limit_error",
            message="too many wrong tokens came from this address; ask again later",
            code="rate_limited",
            retry_after=refusal.retry_after,
            retry=False,
            close=True,
        )
    if refusal.code == "UNAVAILABLE":
        return Problem(
            status=503,
            type="api_error",
            message="it is not known yet who is let in; ask again in a moment",
            code="starting",
            retry_after=refusal.retry_after,
            close=True,
        )
    offered = asked.headers.get("authorization") or asked.headers.get("x-api-key")
    if _TOKEN_IN_QUERY.search(asked.query):
        message = (
            "a token in the address is not accepted, it would end up in logs; "
            "send the header Authorization: Bearer <token>"
        )
    elif refusal.reason in _WORDS:
        message = _WORDS[refusal.reason]
    elif offered:
        message = "the token is not the one of this gateway"
    else:
        message = "this needs the header Authorization: Bearer <token>"
    return Problem(
        status=401,
        type="unauthorized",
        message=message,
        code="invalid_api_key",
        challenge=True,
        close=True,
    )


_WORDS: Final[Mapping[str, str]] = {
    "api_key_mismatch": "the API key is unknown, revoked or expired",
    "device_token_mismatch": "the device token is unknown or revoked",
    "link_void": "this link was used before, or is too old; make another one with "
    "beamclaw dashboard",
    "proxy_untrusted": "this gateway is reached through its proxy only",
    "user_not_allowed": "this user is not let in",
}
