"""The head of an HTTP/1 request, checked on its bytes before any parser reads it.

A proxy in front and the parser behind must not disagree on where a request ends: what
can be framed in two ways is refused, also where the standard would allow one of them.
Pure functions; the parser (h11) checks everything else.
"""

import re
from typing import Final

from beamclaw.gateway.problem import Problem

MAX_LINES: Final = 200
_END: Final = re.compile(rb"\r?\n\r?\n")
_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST_LINE: Final = re.compile(
    rb"(?P<method>" + _TOKEN + rb") (?P<target>[!-~]+) HTTP/(?P<version>[0-9]\.[0-9])"
)
_LENGTH: Final = re.compile(rb"[ \t]*[0-9]{1,18}[ \t]*")
_FIELD: Final = re.compile(rb"(" + _TOKEN + rb"):([^\x00-\x08\x0a-\x1f\x7f]*)")


def end_of_head(data: bytes | bytearray, start: int = 0) -> int | None:
    """Where the head in *data* ends (after its empty line); None: not yet.

    *start*: what was looked at before, up to three bytes less.
    """
    found = _END.search(data, max(0, start))
    return None if found is None else found.end()


def check(head: bytes) -> Problem | None:  # noqa: C901, PLR0911 -- one case per rule
    """What is wrong with *head* (with its empty line); None: nothing."""
    lines = head.split(b"\n")
    if not all(line.endswith(b"\r") for line in lines[:-1]):
        return _bad("a line of the head does not end in CR LF")
    if len(lines) > MAX_LINES:
        return _bad(f"the request has more than {MAX_LINES} header lines", 431)
    request = _REQUEST_LINE.fullmatch(lines[0][:-1])
    if request is None:
        return _bad("the first line is not an HTTP/1 request line")
    if request["version"] not in (b"1.1", b"1.0"):
        return _bad("only HTTP/1.1 is spoken here", 505)
    if not request["target"].startswith(b"/"):
        return _bad("the target of the request is not a path")
    lengths, encodings, hosts = 0, 0, 0
    for line in lines[1:-2]:
        field = _FIELD.fullmatch(line[:-1])
        if field is None:
            return _bad(_what_is_wrong(line))
        name = field[1].lower()
        lengths += name == b"content-length"
        encodings += name == b"transfer-encoding"
        hosts += name == b"host"
        if name == b"content-length" and _LENGTH.fullmatch(field[2]) is None:
            return _bad("Content-Length is not one number")
    if lengths > 1 or encodings > 1 or hosts > 1:
        return _bad("a header that frames or addresses the request stands twice")
    if lengths and encodings:
        return _bad("Content-Length and Transfer-Encoding exclude each other")
    if encodings and request["version"] == b"1.0":
        return _bad("Transfer-Encoding needs HTTP/1.1")
    return None


def _what_is_wrong(line: bytes) -> str:
    if line[:1] in (b" ", b"\t"):
        return "a header is folded over two lines"
    if b"\x00" in line:
        return "a header contains a NUL"
    return "a header line is malformed"


def _bad(message: str, status: int = 400) -> Problem:
    return Problem(status=status, message=message, close=True)
