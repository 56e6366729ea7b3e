"""What a client is told when a method does not do what it asked for. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from beamclaw.values import frozen

INVALID_REQUEST: Final = "INVALID_REQUEST"
UNAVAILABLE: Final = "UNAVAILABLE"
FORBIDDEN: Final = "FORBIDDEN"
NOT_PAIRED: Final = "NOT_PAIRED"


class MethodError(Exception):
    """A method's answer in place of a result; it goes to the client as it is.

    Args:
        code: OpenClaw's class of errors.
        message: For a person, with what to do. Clients show it.
        details: For programs; ``code`` or ``reason`` in it is what they look at.
        retryable: Whether the same request may be taken the next time.
        retry_after_ms: When it makes sense to ask again, in milliseconds.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        details: Mapping[str, Any] | None = None,
        retryable: bool | None = None,
        retry_after_ms: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details
        self.retryable = retryable
        self.retry_after_ms = retry_after_ms

    @property
    def shape(self) -> dict[str, Any]:
        """The ``error`` of a response."""
        given = {
            "code": self.code,
            "message": self.message,
            "details": None if self.details is None else dict(self.details),
            "retryable": self.retryable,
            "retryAfterMs": self.retry_after_ms,
        }
        return {name: value for name, value in given.items() if value is not None}


def invalid(message: str, **details: Any) -> MethodError:
    """The request is wrong, and will be the next time."""
    return MethodError(INVALID_REQUEST, message, details=details or None)


def unavailable(
    message: str, *, retry_after: float | None = None, **details: Any
) -> MethodError:
    """Not now; *retry_after* seconds from now perhaps."""
    return MethodError(
        UNAVAILABLE,
        message,
        details=details or None,
        retryable=True,
        retry_after_ms=None if retry_after is None else round(retry_after * 1000),
    )


def missing_scope(missing: str, required: Iterable[str]) -> MethodError:
    """Who asks may not do that."""
    return MethodError(
        FORBIDDEN,
        f"missing scope: {missing}",
        details={
            "code": "MISSING_SCOPE",
            "missingScope": missing,
            "requiredScopes": list(required),
        },
    )


@frozen
class Fault:
    """One thing that is wrong with parameters: where (``/client/id``), and what."""

    place: str
    words: str

    def __str__(self) -> str:
        return f"at {self.place}: {self.words}" if self.place else self.words


def bad_params(method: str, faults: Iterable[Fault]) -> MethodError:
    """The parameters of *method* are not what it takes."""
    return invalid(f"invalid {method} params: {'; '.join(map(str, faults))}")
