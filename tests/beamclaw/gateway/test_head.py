"""A head that could be framed in two ways is no head."""

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamclaw.gateway.head import check, end_of_head


def head(*lines: bytes, first: bytes = b"POST / HTTP/1.1") -> bytes:
    return b"\r\n".join([first, b"Host: x", *lines, b"", b""])


@pytest.mark.parametrize(
    "raw, status",
    [
        (head(b"Content-Length: 5", b"Transfer-Encoding: chunked"), 400),
        (head(b"Content-Length: 5", b"Content-Length: 5"), 400),
        (head(b"Content-Length: 5", b"content-length: 6"), 400),
        (head(b"Content-Length: 5, 5"), 400),
        (head(b"Content-Length: +5"), 400),
        (head(b"Content-Length: 0x5"), 400),
        (head(b"Content-Length: "), 400),
        (head(b"Content-Length: " + b"9" * 5000), 400),
        (head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: x"), 400),
        (head(b"Transfer-Encoding: chunked", first=b"POST / HTTP/1.0"), 400),
        (head(b"Host: y"), 400),
        (head(b"X: a", b" b"), 400),
        (head(b"X: a", b"\tb"), 400),
        (head(b"X: a\x00b"), 400),
        (head(b"X: a\rb"), 400),
        (head(b"X: a\x0bb"), 400),
        (head(b"X : a"), 400),
        (head(b"Transfer-Encoding\x0b: chunked"), 400),
        (head(b": a"), 400),
        (head(b"X"), 400),
        (b"POST / HTTP/1.1\nHost: x\n\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\nX: y\r\n\r\n", 400),
        (head(first=b"POST / HTTP/2.0"), 505),
        (head(first=b"PRI * HTTP/2.0"), 505),
        (head(first=b"GET  / HTTP/1.1"), 400),
        (head(first=b"GET / HTTP/1.1 "), 400),
        (head(first=b"GET http://evil.example/ HTTP/1.1"), 400),
        (head(first=b"CONNECT evil.example:80 HTTP/1.1"), 400),
        (head(first=b"OPTIONS * HTTP/1.1"), 400),
        (head(first=b"GET /\xc3\xa4 HTTP/1.1"), 400),
        (head(first=b"GET / HTTP/9"), 400),
        (head(first=b"hello"), 400),
        (head(*[b"X: y"] * 300), 431),
    ],
)
def test_a_head_that_is_framed_in_two_ways_is_refused(raw, status):
    problem = check(raw)
    assert problem is not None
    assert problem.status == status
    assert problem.close


@pytest.mark.parametrize(
    "raw",
    [
        head(),
        head(b"Content-Length: 5"),
        head(b"Content-Length:5 "),
        head(b"Transfer-Encoding: chunked"),
        head(b"X: a b\tc", b"Y:", b"Z: \xe4"),
        head(first=b"GET /a?b=c%20d HTTP/1.0"),
    ],
)
def test_an_ordinary_head_passes(raw):
    assert check(raw) is None
    assert end_of_head(raw) == len(raw)
    assert end_of_head(raw[:-1]) is None


def test_an_end_is_found_over_the_border_of_two_reads():
    raw = head()
    for cut in range(len(raw)):
        assert end_of_head(raw, cut - 3) == len(raw)


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_what_passes_is_framed_once_by_the_parser_as_well(one, other):
    raw = head(b"X: " + one, b"Content-Length: 3", other)
    if end_of_head(raw) != len(raw) or check(raw) is not None:
        return
    parser = h11.Connection(h11.SERVER)
    parser.receive_data(raw + b"abc")
    try:
        request = parser.next_event()
    except h11.RemoteProtocolError:
        return
    assert isinstance(request, h11.Request)
    data = parser.next_event()
    assert isinstance(data, h11.Data)
    assert data.data == b"abc"
    assert isinstance(parser.next_event(), h11.EndOfMessage)
