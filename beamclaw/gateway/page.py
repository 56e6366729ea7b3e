"""The node's own page: its files, and the door for a browser that comes with a link.

The files are read once, at the start; a request names one of them or nothing. Whoever
uses the page says who they are on its WebSocket, so the files themselves are for
everybody. Words of models and tools are shown by a program that makes text of them and
never markup; the policy below is what holds if that is wrong somewhere.
"""

import hashlib
from collections.abc import Awaitable, Callable
from html import escape
from typing import Annotated, Any, Final, cast

import attrs
from quart import Response, request
from quart_trio import QuartTrio

from beamclaw.arguments import Length, Unfit, structure
from beamclaw.contracts.resources import resource
from beamclaw.gateway.admission import ENTER, PAGE_FILES, Asked
from beamclaw.gateway.auth.gate import Denied, Gate
from beamclaw.gateway.control_ui import kind_of
from beamclaw.gateway.permission import problem_of
from beamclaw.gateway.problem import Problem
from beamclaw.gateway.replies import as_json, in_json
from beamclaw.gateway.rest.routes import Rest
from beamclaw.values import frozen

PAGES: Final = ("/", "/page/")
DOCUMENT: Final = "index.html"
# What the shell of the page is told before anybody has signed in.
_MODE: Final = "{{auth-mode}}"


def policy(host: str) -> str:
    """What the page may load and do: its own files, its own WebSocket, nothing else."""
    # Not every browser takes 'self' for a WebSocket, too.
    sockets = f" ws://{host} wss://{host}" if host else ""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data: blob:",
            f"connect-src 'self'{sockets}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            # No text becomes markup or program, not even by a mistake.
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


@frozen
class File:
    """One file of the page."""

    content: bytes
    kind: str

    @property
    def tag(self) -> str:
        """Another one with every other content."""
        return f'"{hashlib.sha256(self.content).hexdigest()[:24]}"'


def add_routes(app: QuartTrio, gate: Gate, auth_mode: str, rest: Rest) -> None:
    """Add the page to *app*."""
    folder = resource("web")
    document = (folder / DOCUMENT).read_text().replace(_MODE, escape(auth_mode))
    start = File(document.encode(), "text/html; charset=utf-8")
    for path in PAGES:
        app.add_url_rule(path, path, _serve(start, kept=False))
    for name in PAGE_FILES:
        path, file = f"/page/{name}", File((folder / name).read_bytes(), kind_of(name))
        app.add_url_rule(path, path, _serve(file, kept=True))
    door = _Door(gate, rest)
    app.add_url_rule(ENTER, ENTER, door.serve, methods=["POST"])


def _serve(file: File, *, kept: bool) -> Callable[[], Awaitable[Response]]:
    tag = file.tag

    async def serve() -> Response:
        headers = {
            "content-type": file.kind,
            "content-security-policy": policy(request.headers.get("host", "")),
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
        }
        if kept:
            # Asked for each time, sent when it has changed.
            headers |= {"cache-control": "no-cache", "etag": tag}
        if kept and tag in request.headers.get("if-none-match", ""):
            return Response(b"", status=304, headers=headers)
        return Response(file.content, headers=headers)

    return serve


@frozen
class _Entry:
    """What a browser brings."""

    code: Annotated[str, Length(1, 200)] = attrs.field(repr=False)


@frozen
class _Door:
    gate: Gate
    rest: Rest

    async def serve(self) -> Response:
        scope = cast("dict[str, Any]", request.scope)
        answer = await self._enter(scope["beamclaw.asked"], scope["beamclaw.body"])
        response = as_json(answer) if isinstance(answer, Problem) else in_json(answer)
        response.headers["cache-control"] = "no-store"
        return response

    async def _enter(self, asked: Asked, body: bytes) -> Problem | dict[str, object]:
        value = await self.rest.turns.read(body)
        if isinstance(value, Problem):
            return value
        try:
            entry = structure(value, _Entry, strict=True)
        except Unfit:
            return Problem(status=400, message="what comes is {code: …}")
        try:
            made = await self.gate.admit_link(entry.code, asked.peer, asked.headers)
        except Denied as denied:
            return problem_of(denied.refusal, asked)
        until = made.key.expires_at
        return {
            "token": made.secret,
            "expiresAtMs": None if until is None else round(until * 1000),
        }
