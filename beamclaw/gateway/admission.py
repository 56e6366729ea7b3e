"""What may come in at all: decided from the head of a request, before its body is read.

In this order: is the request meant for this machine (Host), does a web page of
somebody else send it (Origin); then who asks is found out (``permission``), and here
again whether the body can be taken. ``X-Forwarded-*`` and ``Forwarded`` mean nothing
here. Pure.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from beamclaw.contracts.hosts import is_loopback
from beamclaw.gateway.problem import Problem
from beamclaw.values import frozen

# Files of the node's page, at /page/: a program in which nothing is that is secret.
PAGE_FILES: Final = (
    "access.js",
    "app.js",
    "approvals.js",
    "chart.js",
    "chat.js",
    "composer.js",
    "conversation.js",
    "dom.js",
    "finding.js",
    "health.js",
    "hours.js",
    "icon.svg",
    "keys.js",
    "logs.js",
    "markdown.js",
    "parts.js",
    "said.js",
    "sessions.js",
    "spending.js",
    "style.css",
    "tree.js",
    "viewport.js",
    "wire.js",
    "words.js",
)
# Where a browser with a link of `beamclaw dashboard` gets a key of its own.
ENTER: Final = "/page/enter"
# Without a token: what says only that the node is there, the page's program, and its door.
OPEN_PATHS: Final = frozenset(
    {
        "/",
        "/page/",
        ENTER,
        "/healthz",
        "/health",
        "/readyz",
        "/ready",
        "/startupz",
        *(f"/page/{name}" for name in PAGE_FILES),
    }
)
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")
_JSON: Final = frozenset({"application/json", "application/json; charset=utf-8"})


@frozen(kw_only=True)
class Asked:
    """The head of a request, as far as admission looks at it.

    Attributes:
        local: The address of ours that the connection came in on.
        peer: The address at its other end.
        headers: Lower case names to values; of one that stands twice, the last.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    local: str = ""
    peer: str = ""

    @property
    def has_body(self) -> bool:
        """Whether anything may follow the head: it does not say that nothing does."""
        return self.headers.get("content-length") != "0" or (
            "content-type" in self.headers
        )


@frozen(kw_only=True)
class Admission:
    """The rules, settled when the gateway starts.

    Attributes:
        hosts: Names beside loopback under which this gateway is addressed.
        origins: Web origins of others that may call.
    """

    hosts: frozenset[str]
    origins: frozenset[str]
    max_body_bytes: int

    def refuse(self, asked: Asked) -> Problem | None:
        """Why the request is turned away, whoever sends it; None: it is not."""
        return self._host(asked) or self._origin(asked)

    def crossing(self, asked: Asked) -> tuple[tuple[bytes, bytes], ...]:
        """Headers that let a web page of an admitted foreign origin read the answer."""
        origin = asked.headers.get("origin")
        if origin is None or origin not in self.origins:
            return ()
        return (
            (b"access-control-allow-origin", origin.encode("latin-1")),
            (b"access-control-allow-headers", b"*, authorization"),
            (b"access-control-allow-methods", b"GET, POST, DELETE"),
            (b"vary", b"origin"),
        )

    def _host(self, asked: Asked) -> Problem | None:
        host = asked.headers.get("host")
        if host is None:  # HTTP/1.0, which no browser speaks
            return None
        found = _HOST.fullmatch(host)
        name = "" if found is None else found[1].strip("[]").rstrip(".").lower()
        if name and (name in self.hosts or name == asked.local or is_loopback(name)):
            return None
        return Problem(
            status=421,
            type="forbidden",
            message="this gateway is not addressed by that Host; add the name to "
            "gateway.hosts if it should be",
            code="foreign_host",
            close=True,
        )

    def _origin(self, asked: Asked) -> Problem | None:
        origin = asked.headers.get("origin")
        if origin is None or origin in self.origins:
            return None
        if origin == f"http://{asked.headers.get('host')}":
            return None
        return Problem(
            status=403,
            type="forbidden",
            message="web pages of that Origin may not call this gateway; add it to "
            "gateway.origins if they should",
            code="foreign_origin",
            close=True,
        )

    def refuse_body(self, asked: Asked) -> Problem | None:
        """Why its body is not read; None: it may be."""
        if asked.headers.get("content-encoding", "identity").lower() != "identity":
            return Problem(
                status=415,
                message="compressed bodies are not accepted; send it as it is",
                param="content-encoding",
                close=True,
            )
        if int(asked.headers.get("content-length", "0")) > self.max_body_bytes:
            return too_large(self.max_body_bytes)
        if asked.method == "POST" and asked.has_body:
            return _no_json(asked.headers.get("content-type", ""))
        return None


def _no_json(content_type: str) -> Problem | None:
    if content_type in _JSON:
        return None
    kind, _, _ = content_type.partition(";")
    if kind.strip().lower() == "application/json":
        return None
    return Problem(
        status=415,
        message="send JSON with the header Content-Type: application/json",
        param="content-type",
        close=True,
    )


def too_large(limit: int) -> Problem:
    """413: the body is larger than *limit* bytes."""
    return Problem(
        status=413,
        message=f"the body is larger than {limit} bytes (gateway.max_body_bytes)",
        code="body_too_large",
        close=True,
    )


def names_of(host: str, more: Iterable[str]) -> frozenset[str]:
    """Host names to accept for a gateway configured as *host*, beside loopback."""
    given = {name.rstrip(".").lower().strip("[]") for name in (host, *more)}
    return frozenset(given - {"", "0.0.0.0", "::"})  # noqa: S104 -- taken out, not bound
