"""What is proved: a frame has one reading or none, and what is sent has its shape."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamclaw.gateway import frames
from beamclaw.gateway.errors import MethodError, invalid, unavailable
from beamclaw.gateway.frames import Request, StateVersion, Unread


def frame(**fields) -> bytes:
    return orjson.dumps({"type": "req", "id": "1", "method": "health"} | fields)


def test_a_request():
    assert frames.read(frame()) == Request("1", "health")
    assert frames.read(frame(params={"a": 1}, traceparent="00-x")) == Request(
        "1", "health", {"a": 1}, "00-x"
    )


@pytest.mark.parametrize(
    "data, json, id, words",
    [
        (b"", False, "invalid", "empty"),
        (b"hello", False, "invalid", "not valid JSON"),
        (b"\xff", False, "invalid", "UTF-8"),
        (b'{"type":"req"', False, "invalid", "not valid JSON"),
        (b"[" * 65, True, "invalid", "nested"),
        (b'{"a":1,"a":2}', True, "invalid", "twice"),
        (b"NaN", False, "invalid", "not valid JSON"),
        (b"[]", True, "invalid", "must be object"),
        (b"null", True, "invalid", "must be object"),
        (b"3", True, "invalid", "must be object"),
        (frame(type="res"), True, "1", "/type"),
        (frame(type=None), True, "1", "/type"),
        (frame(id=1), True, "invalid", "/id"),
        (frame(id=""), True, "invalid", "/id"),
        (frame(id="x" * 257), True, "invalid", "/id"),
        (frame(id="a\nb"), True, "invalid", "/id"),
        (frame(id="a\u202eb"), True, "invalid", "/id"),
        (frame(method=None), True, "1", "/method"),
        (frame(method=""), True, "1", "/method"),
        (frame(method="x" * 129), True, "1", "/method"),
        (frame(method="a\x00"), True, "1", "/method"),
        (frame(more=1), True, "1", "unexpected property 'more'"),
        (frame(__proto__={}), True, "1", "unexpected property"),
        (frame(traceparent="x" * 129), True, "1", "/traceparent"),
        (frame(traceparent=3), True, "1", "/traceparent"),
        (b'{"type":"req","id":"1"}', True, "1", "/method"),
        (b'{"id":"1","method":"health"}', True, "1", "/type"),
    ],
)
def test_what_is_no_request(data, json, id, words):
    unread = frames.read(data)
    assert isinstance(unread, Unread)
    assert (unread.json, unread.id) == (json, id)
    assert unread.error.code == "INVALID_REQUEST"
    assert words in unread.error.message


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data):
    assert isinstance(frames.read(data), Request | Unread)


words = st.text("ab \x00ü\u202e", max_size=10)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | words,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(["type", "id", "method", "params", "traceparent", "x"]),
        json_values,
    )
)
def test_any_object_is_read_or_refused(fields):
    read = frames.read(orjson.dumps(fields))
    assert isinstance(read, Request | Unread)
    assert "x" not in fields or isinstance(read, Unread)


def test_what_is_sent():
    assert orjson.loads(frames.response("1", {"a": 1})) == {
        "type": "res",
        "id": "1",
        "ok": True,
        "payload": {"a": 1},
    }
    assert orjson.loads(frames.response("1")) == {"type": "res", "id": "1", "ok": True}
    assert orjson.loads(frames.failure("1", invalid("no", code="X"))) == {
        "type": "res",
        "id": "1",
        "ok": False,
        "error": {"code": "INVALID_REQUEST", "message": "no", "details": {"code": "X"}},
    }


def test_an_event_is_encoded_once_and_numbered_for_each():
    tick = frames.event("tick", {"ts": 1})
    assert orjson.loads(frames.numbered(tick, 7)) == {
        "type": "event",
        "event": "tick",
        "payload": {"ts": 1},
        "seq": 7,
    }
    assert "seq" not in orjson.loads(frames.unnumbered(tick))
    presence = frames.event("presence", {}, StateVersion(3, 2))
    assert orjson.loads(frames.numbered(presence, 1))["stateVersion"] == {
        "presence": 3,
        "health": 2,
    }


def test_an_error_says_when_to_ask_again():
    assert unavailable("later", retry_after=1.5, reason="x").shape == {
        "code": "UNAVAILABLE",
        "message": "later",
        "details": {"reason": "x"},
        "retryable": True,
        "retryAfterMs": 1500,
    }
    assert MethodError("X", "y").shape == {"code": "X", "message": "y"}
