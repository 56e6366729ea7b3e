"""Fields of a client's JSON and headers, each of which is right or refused by name.

A reader deep inside says what is wrong by raising :class:`Wrong`; only
:func:`beamclaw.gateway.openai.request.read` catches it, and gives back its problem.
"""

import re
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from beamclaw.gateway.problem import Problem, invalid

T = TypeVar("T")


class Wrong(Exception):  # noqa: N818 -- a situation
    """The request is wrong.

    Attributes:
        problem: What its client is told.
    """

    def __init__(self, message: str, param: str, code: str | None = None) -> None:
        super().__init__(message)
        self.problem: Problem = invalid(message, param=param, code=code)


def members(value: object) -> dict[str, Any]:
    """*value* if it is a JSON object, else an empty one."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def value_of(body: dict[str, Any], field: str, kind: type[T]) -> T | None:
    """The value of *field*; None if it is absent or null.

    Raises:
        Wrong: It is not of *kind*, which is ``str``, ``bool`` or ``dict``.
    """
    value = body.get(field)
    if value is None or isinstance(value, kind):
        return value
    words = {"str": "text", "bool": "true or false", "dict": "an object"}
    raise Wrong(f"{field} must be {words[kind.__name__]}", field)


def number(
    body: dict[str, Any], field: str, least: int, most: int, *, whole: bool = False
) -> float | None:
    """The number in *field*; None if it is absent or null.

    Raises:
        Wrong: It is none, or not from *least* to *most*, or not *whole*.
    """
    value = body.get(field)
    if value is None:
        return None
    right = isinstance(value, int if whole else (int, float))
    if not right or isinstance(value, bool) or not least <= value <= most:
        kind = "a whole number" if whole else "a number"
        raise Wrong(f"{field} must be {kind} from {least} to {most}", field)
    return value if whole else float(value)


def header(headers: Mapping[str, str], name: str, form: re.Pattern[str]) -> str | None:
    """The header *name* (lower case); None if it is absent.

    Raises:
        Wrong: It does not match *form*.
    """
    value = headers.get(name)
    if value is not None and form.fullmatch(value) is None:
        raise Wrong(f"the header {name} is malformed", name)
    return value
