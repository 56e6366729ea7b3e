"""Fields of a client's JSON and headers, each of which is right or refused by name.

A reader deep inside says what is wrong by raising :class:`Wrong`; only who reads a whole
request catches it, and gives back its problem.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar, cast

from beamclaw.gateway.problem import Problem, invalid

T = TypeVar("T")

MAX_TOOLS = 128
MAX_NAME = 256
TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
DATA_URL = re.compile(r"data:([a-z]+/[a-z0-9.+-]+);base64,", re.IGNORECASE)
IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
MAX_URL = 8192


class Wrong(Exception):  # noqa: N818 -- a situation
    """The request is wrong.

    Attributes:
        problem: What its client is told.
    """

    def __init__(self, message: str, param: str, code: str | None = None) -> None:
        super().__init__(message)
        self.problem: Problem = invalid(message, param=param, code=code)


def read_object(body: object, read: Callable[[dict[str, Any]], T]) -> T | Problem:
    """What *read* makes of the request *body*; or why it is none, or `Wrong`."""
    if not isinstance(body, dict):
        return invalid("the body must be a JSON object")
    try:
        return read(cast("dict[str, Any]", body))
    except Wrong as wrong:
        return wrong.problem


def members(value: object) -> dict[str, Any]:
    """*value* if it is a JSON object, else an empty one."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def value_of(body: Mapping[str, Any], field: str, kind: type[T]) -> T | None:
    """The value of *field*; None if it is absent or null.

    Raises:
        Wrong: It is not of *kind*, which is ``str``, ``bool``, ``dict`` or ``list``.
    """
    value = body.get(field)
    if value is None or isinstance(value, kind):
        return value
    words = {"str": "text", "bool": "true or false", "dict": "an object"}
    words["list"] = "a list"
    raise Wrong(f"{field} must be {words[kind.__name__]}", field)


def one_of(body: Mapping[str, Any], field: str, known: Sequence[str]) -> str | None:
    """The text in *field*, one of *known*; None if it is absent or null.

    Raises:
        Wrong: It is none of them.
    """
    value = body.get(field)
    if value is None or (isinstance(value, str) and value in known):
        return value
    raise Wrong(f"{field} must be one of {', '.join(known)}", field)


def number(
    body: Mapping[str, Any], field: str, least: int, most: int, *, whole: bool = False
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


def count(body: Mapping[str, Any], field: str, least: int, most: int) -> int | None:
    """The whole number in *field*; see :func:`number`."""
    value = number(body, field, least, most, whole=True)
    return None if value is None else int(value)


def header(headers: Mapping[str, str], name: str, form: re.Pattern[str]) -> str | None:
    """The header *name* (lower case); None if it is absent.

    Raises:
        Wrong: It does not match *form*.
    """
    value = headers.get(name)
    if value is not None and form.fullmatch(value) is None:
        raise Wrong(f"the header {name} is malformed", name)
    return value


def refuse(body: Mapping[str, Any], unknown: Mapping[str, str]) -> None:
    """Refuse fields that mean something which is not done here, and say why.

    Raises:
        Wrong: One of them stands in *body*, and is neither null, false nor empty.
    """
    for field, why in unknown.items():
        if body.get(field):
            raise Wrong(f"{field} is not supported: {why}", field)


def is_base64(data: str) -> bool:
    """Whether *data* is something in base64."""
    try:
        return bool(base64.b64decode(data, validate=True))
    except (binascii.Error, ValueError):
        return False


def tool_name(value: object, where: str) -> str:
    """*value* if it may be the name of a tool.

    Raises:
        Wrong: It may not.
    """
    if isinstance(value, str) and TOOL_NAME.fullmatch(value):
        return value
    raise Wrong(f"{where} must be 1 to 64 letters, digits, _ and -", where)


def distinct(names: Iterable[str], where: str) -> None:
    """Refuse a name that stands twice.

    Raises:
        Wrong: One does.
    """
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise Wrong(f"{where}: the name {name!r} stands twice", where)
        seen.add(name)
