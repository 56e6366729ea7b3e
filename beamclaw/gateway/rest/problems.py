"""What a method refuses, as HTTP says it. Pure."""

from collections.abc import Mapping
from typing import Final

from beamclaw.gateway.errors import FORBIDDEN, INVALID_REQUEST, MethodError
from beamclaw.gateway.problem import INVALID, Problem

_STATUS: Final[Mapping[object, int]] = {
    "session-not-found": 404,
    "run-not-found": 404,
    "chat-request-conflict": 409,
    "turn-in-progress": 409,
    "overloaded": 429,
}


def problem_of(error: MethodError) -> Problem:
    """*error* as an answer."""
    details = error.details or {}
    code = details.get("reason") or details.get("code")
    if error.code == FORBIDDEN:
        return Problem(
            status=403, type="forbidden", message=error.message, code="missing_scope"
        )
    # In the words of HTTP, and not of the frame that nobody here has sent.
    message = error.message.replace(" params: ", ": ").removeprefix("invalid ")
    if error.code == INVALID_REQUEST or code in _STATUS:
        status = _STATUS.get(code, 400)
        kind = "rate_limit_error" if code == "overloaded" else INVALID
        retry_after, retry = _after(error), status not in (400, 404, 409)
    else:
        status, kind = (500, "api_error") if code == "internal" else (503, "api_error")
        retry_after, retry = _after(error) or 1.0, True
    return Problem(
        status=status,
        type=kind,
        message=message,
        code=None if code is None else str(code).replace("-", "_").lower(),
        retry_after=retry_after,
        retry=retry,
    )


def _after(error: MethodError) -> float | None:
    return None if error.retry_after_ms is None else error.retry_after_ms / 1000
