"""What a client is told when it does not get what it asked for: one value, one shape.

The shape is OpenAI's ``{"error": {...}}`` on every path, so that any client of that API
shows the message; but Anthropic's where its API is spoken, and OpenClaw's where a tool is
ordered.
"""

import math
from collections.abc import Mapping
from typing import Final, Literal

import attrs
import orjson

from beamclaw.values import frozen

INVALID: Final = "invalid_request_error"
Style = Literal["openai", "anthropic", "tools"]
# What stands beside the error.
_BESIDE: Final[Mapping[Style, Mapping[str, object]]] = {
    "anthropic": {"type": "error"},
    "tools": {"ok": False},
}
_ANTHROPIC: Final[Mapping[int, str]] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


@frozen(kw_only=True)
class Problem:
    """An error answer.

    Attributes:
        status: HTTP status.
        type: OpenAI's class of the error.
        message: For a person, with what to do.
        code: For a program, where there is one.
        param: Which field or header it is about.
        retry_after: Seconds after which asking again makes sense.
        retry: ``False`` tells OpenAI's clients not to ask again by themselves, which
            they do at 408, 409, 429 and from 500 on.
        challenge: Ask for a bearer token.
        close: Nothing more is read from this connection.
        style: Whose shape it has.
    """

    status: int
    type: str = INVALID
    message: str
    code: str | None = None
    param: str | None = None
    retry_after: float | None = None
    retry: bool = True
    challenge: bool = False
    close: bool = False
    style: Style = "openai"

    @property
    def error(self) -> dict[str, object]:
        """The ``error`` object."""
        if self.style == "anthropic":
            return {"type": self._anthropic, "message": self.message}
        if self.style == "tools":
            kind = self.code or self.type.removesuffix("_error")
            return {"type": kind, "message": self.message}
        return {
            "message": self.message,
            "type": self.type,
            "param": self.param,
            "code": self.code,
        }

    @property
    def body(self) -> bytes:
        """The answer's body."""
        kind = _BESIDE.get(self.style, {})
        return orjson.dumps({**kind, "error": self.error})

    @property
    def _anthropic(self) -> str:
        """Anthropic's class of the error, by the status."""
        # A model is not found there, whoever says so.
        if self.code == "model_not_found":
            return "not_found_error"
        usual = "api_error" if self.status >= 500 else INVALID  # noqa: PLR2004 -- as in the standard
        return _ANTHROPIC.get(self.status, usual)

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """The answer's headers, lower case."""
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(self.body)),
        ]
        if self.retry_after is not None:
            headers.append(
                (b"retry-after", b"%d" % max(1, math.ceil(self.retry_after)))
            )
        if not self.retry:
            headers.append((b"x-should-retry", b"false"))
        if self.challenge:
            headers.append((b"www-authenticate", b'Bearer realm="beamclaw"'))
        if self.close:
            headers.append((b"connection", b"close"))
        return headers


def styled(problem: Problem, style: Style) -> Problem:
    """*problem* in the shape of that API."""
    return problem if problem.style == style else attrs.evolve(problem, style=style)


def invalid(
    message: str, *, param: str | None = None, code: str | None = None
) -> Problem:
    """400: the request is wrong, and will be the next time."""
    return Problem(status=400, message=message, param=param, code=code)
