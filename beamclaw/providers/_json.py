"""JSON to providers and from them, with what their servers get wrong."""

from typing import Any, Final, cast

import orjson


def dumps(body: dict[str, Any]) -> bytes:
    """JSON bytes; halves of characters (from a faulty client) become ``�``."""
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError:
        return orjson.dumps(_repair(body))


def _repair(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list | tuple):
        return [_repair(item) for item in cast("list[object]", value)]
    if isinstance(value, dict):
        fields = cast("dict[str, object]", value)
        return {key: _repair(item) for key, item in fields.items()}
    return value


def loads(data: bytes) -> object:
    """The JSON in *data*; ``None`` if it is none."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return None


def loads_object(data: bytes) -> dict[str, Any] | None:
    """The JSON object in *data*; ``None`` if it is none."""
    value = loads(data)
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def fields(value: object) -> dict[str, Any]:
    """*value* if it is an object, else an empty one."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def text(value: object) -> str:
    """*value* if it is a text, else an empty one."""
    return value if isinstance(value, str) else ""


def objects(value: object) -> list[dict[str, Any]]:
    """The objects in *value*, if it is a list; whatever else is in it is left out."""
    return [item for item in items(value) if isinstance(item, dict)]


def items(value: object) -> list[Any]:
    """*value* if it is a list, else an empty one."""
    return cast("list[Any]", value) if isinstance(value, list) else []


MOST: Final = 10**12
"""More of anything is not meant: sums of such numbers have to fit into a database."""


def count(value: object) -> int:
    """*value* if it is a number of things, else 0; never more than :data:`MOST`."""
    # A flag is no number of things, though Python counts with it.
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        return 0
    return min(value, MOST)
