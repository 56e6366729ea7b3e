"""JSON from strangers: one reading, or none.

What two parsers could read differently is refused: a key twice, NaN and Infinity,
invalid UTF-8, half a surrogate pair. Nesting is counted on the bytes, before anything
is built. Pure; big bodies belong in a worker, see :data:`SMALL`.
"""

import json
import re
from typing import Any, Final

import orjson

# Up to here reading takes less than a millisecond and need not leave the loop.
SMALL: Final = 64 * 1024

_STRING_OR_BRACKET: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)


class BadJson(ValueError):  # noqa: N818 -- a situation
    """The body cannot be read; says why, for a person."""


def read(body: bytes, *, max_depth: int) -> Any:
    """The value in *body*.

    Raises:
        BadJson: Empty, too deep, ambiguous or no JSON.
    """
    if not body.strip():
        raise BadJson("the body is empty; send a JSON object")
    if deeper_than(body, max_depth):
        raise BadJson(
            f"the JSON is nested more than {max_depth} levels deep "
            "(gateway.max_json_depth)"
        )
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadJson(_why(body, error)) from None
    _refuse_doubles(body)
    return value


def deeper_than(body: bytes, levels: int) -> bool:
    """Whether brackets outside strings nest deeper than *levels*."""
    if body.count(b"[") + body.count(b"{") <= levels:
        return False
    depth = 0
    for token in _STRING_OR_BRACKET.finditer(body):
        first = body[token.start()]
        if first in b"[{":
            depth += 1
            if depth > levels:
                return True
        elif first in b"]}":
            depth -= 1
    return False


def _why(body: bytes, error: orjson.JSONDecodeError) -> str:
    try:
        body.decode()
    except UnicodeDecodeError as bad:
        return f"the body is not valid UTF-8 (byte {bad.start})"
    if body.startswith(b"\xef\xbb\xbf"):
        return "the body begins with a byte order mark; send plain UTF-8"
    return f"the body is not valid JSON: {error}"


def _refuse_doubles(body: bytes) -> None:
    try:
        json.loads(body, object_pairs_hook=_single_keys)
    except BadJson:
        raise
    except ValueError as error:
        raise BadJson(f"the body is not valid JSON: {error}") from None


def _single_keys(pairs: list[tuple[str, Any]]) -> None:
    if len({key for key, _ in pairs}) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise BadJson(
                    f"the key {json.dumps(key)[:80]} stands twice in one object"
                )
            seen.add(key)
