"""Frames of the gateway's protocol: requests in, responses and events out. Pure.

Read strictly, as everything from strangers: one reading, or none. A response or an
event is bytes from the start, for an event goes to many; its number on a connection is
put in at the end (:func:`numbered`).
"""

import re
from typing import Any, Final, cast

import orjson

from beamclaw.contracts.tracing import MAX_TRACEPARENT
from beamclaw.gateway import strict_json
from beamclaw.gateway.errors import MethodError, invalid
from beamclaw.values import frozen

MAX_ID: Final = 256
MAX_METHOD: Final = 128
_FIELDS: Final = frozenset({"type", "id", "method", "params", "traceparent"})
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\u2028-\u202e\u2066-\u2069]")


@frozen
class Request:
    """Something that a client asks for.

    Attributes:
        id: The client's; its response carries it.
        params: As they came; None: none.
        traceparent: Of whoever asks, where they are traced (W3C), as it came.
    """

    id: str
    method: str
    params: Any = None
    traceparent: str = ""


@frozen
class Unread:
    """A frame that is no request.

    Attributes:
        json: Whether it is JSON at all.
        id: What it has for an id, if that is fit to be shown.
        error: What is wrong.
    """

    json: bool
    id: str
    error: MethodError


NO_ID: Final = "invalid"


def read(data: bytes, *, max_depth: int = 64) -> Request | Unread:
    """The request in the text frame *data*; or what is wrong with it."""
    try:
        value = strict_json.read(data, max_depth=max_depth)
    except strict_json.BadJson as bad:
        return Unread(
            _is_json(data, max_depth), NO_ID, invalid(f"invalid frame: {bad}")
        )
    if not isinstance(value, dict):
        return Unread(True, NO_ID, _bad("must be object"))  # noqa: FBT003 -- json
    fields = cast("dict[str, Any]", value)
    given = fields.get("id")
    shown = given if isinstance(given, str) and _is_fit(given, MAX_ID) else NO_ID
    wrong = _wrong(fields)
    if wrong is not None:
        return Unread(True, shown, _bad(wrong))  # noqa: FBT003 -- json
    return Request(
        fields["id"],
        fields["method"],
        fields.get("params"),
        fields.get("traceparent", ""),
    )


def _is_json(data: bytes, max_depth: int) -> bool:
    """Whether *data* is refused for what it says, and not for not being JSON."""
    if strict_json.deeper_than(data, max_depth):
        return True
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return True


def _wrong(fields: dict[str, Any]) -> str | None:
    """What is wrong with a frame; None: nothing."""
    for name in fields:
        if name not in _FIELDS:
            return f"at root: unexpected property {name[:60]!r}"
    if fields.get("type") != "req":
        return "at /type: must be 'req'"
    for name, most in (("id", MAX_ID), ("method", MAX_METHOD)):
        given = fields.get(name)
        if not isinstance(given, str) or not _is_fit(given, most):
            return f"at /{name}: must be a text of 1 to {most} characters"
    trace = fields.get("traceparent", "")
    if not isinstance(trace, str) or len(trace) > MAX_TRACEPARENT:
        return (
            f"at /traceparent: must be a text of at most {MAX_TRACEPARENT} characters"
        )
    return None


def _is_fit(text: str, most: int) -> bool:
    return 0 < len(text) <= most and _CONTROL.search(text) is None


def _bad(words: str) -> MethodError:
    return invalid(f"invalid request frame: {words}")


# --- what is sent


def response(id: str, payload: object = None) -> bytes:  # noqa: A002 -- as in the frame
    """What came of the request *id*."""
    frame: dict[str, object] = {"type": "res", "id": id, "ok": True}
    if payload is not None:
        frame["payload"] = payload
    return orjson.dumps(frame)


def failure(id: str, error: MethodError) -> bytes:  # noqa: A002 -- as in the frame
    """Why nothing came of the request *id*."""
    frame = {"type": "res", "id": id, "ok": False, "error": error.shape}
    return orjson.dumps(frame)


@frozen
class StateVersion:
    """How often presence and health have changed: a client knows what it has seen."""

    presence: int = 0
    health: int = 0

    @property
    def shape(self) -> dict[str, int]:
        """As on the wire."""
        return {"presence": self.presence, "health": self.health}


def event(name: str, payload: object, version: StateVersion | None = None) -> bytes:
    """An event up to its number, which :func:`numbered` puts in for each receiver."""
    frame: dict[str, object] = {"type": "event", "event": name, "payload": payload}
    if version is not None:
        frame["stateVersion"] = version.shape
    return orjson.dumps(frame)[:-1]


def numbered(event: bytes, number: int) -> bytes:
    """An *event* as the *number*-th of a connection; the first is 1."""
    return b'%b,"seq":%d}' % (event, number)


def unnumbered(event: bytes) -> bytes:
    """An *event* of a connection that is not greeted yet: those are not counted."""
    return event + b"}"
