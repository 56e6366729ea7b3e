"""Answers of the application: what its functions give back."""

from collections.abc import Mapping
from typing import Final

import orjson
from quart import Response

from beamclaw.gateway.problem import Problem

SENT: Final = Response(b"")
"""Stands for an answer that has been sent already."""


def in_json(value: Mapping[str, object], status: int = 200) -> Response:
    """*value* as JSON."""
    return as_json(orjson.dumps(value), status)


def as_json(body: bytes | Problem, status: int = 200) -> Response:
    """*body*, which is JSON, or a problem."""
    if isinstance(body, Problem):
        body, status = body.body, body.status
    return Response(body, status=status, content_type="application/json")
