"""JSON from strangers has one reading or none."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beamclaw.gateway import strict_json
from beamclaw.gateway.strict_json import BadJson, deeper_than


def read(body: bytes):
    return strict_json.read(body, max_depth=8)


@pytest.mark.parametrize(
    "body, words",
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"{", "not valid JSON"),
        (b"[1,]", "not valid JSON"),
        (b"{'a': 1}", "not valid JSON"),
        (b"1 2", "not valid JSON"),
        (b'{"a": NaN}', "not valid JSON"),
        (b'{"a": Infinity}', "not valid JSON"),
        (b'{"a": -Infinity}', "not valid JSON"),
        (b'"\xff"', "UTF-8 .byte 1."),
        (b'"\xed\xa0\x80"', "UTF-8"),
        (b'"\\ud800"', "not valid JSON"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b'{"a": 1, "a": 2}', "stands twice"),
        (b'{"a": {"b": 1, "\\u0062": 2}}', "stands twice"),
        (b"[" * 9 + b"]" * 9, "8 levels"),
        (b"[" * 100_000, "8 levels"),
        (b'{"a":' * 100_000, "8 levels"),
        (b"[{" * 50_000, "8 levels"),
        (b"// hi\n{}", "not valid JSON"),
    ],
)
def test_what_has_two_readings_or_none_is_refused(body, words):
    with pytest.raises(BadJson, match=words):
        read(body)


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"a": [1, 2.5e3, null, true, "\\ud83d\\ude00"]}',
        b'{"a": {"a": 1}, "b": {"a": 2}}',
        b"[" * 8 + b"]" * 8,
        b'"' + b"[" * 100 + b'"',
        b'["\\"[[[[[[[[[[[["]',
        b'["\\\\", [[[[[[[]]]]]]]]',
        b"[" + b",".join([b"[[]]"] * 100) + b"]",
    ],
)
def test_the_rest_is_read_as_everybody_reads_it(body):
    assert read(body) == json.loads(body)


# How long it takes to think of a value says nothing here.
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.recursive(
        st.text(alphabet='[]{}"\\a'),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text(alphabet='[{"\\', max_size=2), inner, max_size=3)
        ),
    ),
    st.integers(0, 6),
)
def test_depth_is_counted_outside_strings_only(value, levels):
    def depth(item) -> int:
        if isinstance(item, dict):
            item = list(item.values())
        return 1 + max(map(depth, item), default=0) if isinstance(item, list) else 0

    body = json.dumps(value).encode()
    assert deeper_than(body, levels) == (depth(value) > levels)
