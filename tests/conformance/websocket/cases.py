"""The table: what a client sends, and what has to come of it.

A message that is text is a request whose ``id`` is what the case is about: it comes back
in the response, so that what was sent is what was read.
"""

from collections.abc import Iterator
from typing import Final

import attrs

from tests.conformance.websocket.frames import (
    BINARY,
    CLOSE,
    GO_ON,
    PING,
    PONG,
    TEXT,
    close,
    frame,
    pieces,
    request,
)

GROUPS: Final = {
    1: "Framing",
    2: "Pings and pongs",
    3: "Reserved bits",
    4: "Opcodes",
    5: "Fragmentation",
    6: "UTF-8",
    7: "Closing",
    9: "Limits and large messages",
    10: "Miscellaneous",
}
# 8 is empty in Autobahn's list, too.
MAX_PAYLOAD: Final = 4 * 1024 * 1024
KB: Final = 1024


@attrs.frozen(kw_only=True)
class Case:
    """One of them.

    Attributes:
        group: See ``GROUPS``.
        name: What is sent, in words.
        data: The same in bytes.
        chunk: In how many bytes at a time; 0: all at once.
        ids: Requests that are answered, in any order; of a connection that is closed,
            those that may be.
        pongs: Payloads of pongs that come.
        close: The code that the server closes with; None: the connection stays.
    """

    group: int
    name: str
    data: bytes
    chunk: int = 0
    ids: tuple[str, ...] = ()
    pongs: tuple[bytes, ...] = ()
    close: int | None = None

    @property
    def outcome(self) -> str:
        """What has to come of it, in words."""
        words: list[str] = []
        if self.pongs:
            words.append("pong" if len(self.pongs) == 1 else f"{len(self.pongs)} pongs")
        if self.ids:
            words.append("answered" if self.close is None else "perhaps answered")
        if self.close is not None:
            words.append(f"closed with {self.close}")
        return ", then ".join(words) or "passed over"


def cases() -> tuple[Case, ...]:
    """All of them."""
    return (
        *_framing(),
        *_pings(),
        *_reserved(),
        *_opcodes(),
        *_fragmentation(),
        *_utf8(),
        *_closing(),
        *_limits(),
        *_rest(),
    )


def _framing() -> Iterator[Case]:
    bare = len(request("x"))
    for size in (bare, 125, 126, 127, 128, 65_535, 65_536, 65_537):
        data = frame(TEXT, request("x", size - bare))
        yield Case(group=1, name=f"text of {size} bytes", data=data, ids=("x",))
    data = frame(TEXT, request("x", 65_536))
    yield Case(
        group=1, name="text in chunks of 997 bytes", data=data, chunk=997, ids=("x",)
    )
    yield Case(
        group=1,
        name="text byte by byte",
        data=frame(TEXT, request("x")),
        chunk=1,
        ids=("x",),
    )
    yield Case(group=1, name="empty text", data=frame(TEXT))
    for size in (0, 125, 126, 65_536):
        yield Case(
            group=1,
            name=f"binary of {size} bytes",
            data=frame(BINARY, b"\xfe" * size),
            close=1003,
        )
    for name, wrong in (
        ("length in 2 bytes that fits in 7 bits", b"\x7e\x00\x05"),
        ("length in 8 bytes that fits in 2", b"\x7f" + (200).to_bytes(8, "big")),
        ("length with its highest bit set", b"\x7f\x80" + bytes(7)),
    ):
        data = frame(TEXT, b"hello", length=wrong)
        yield Case(group=1, name=name, data=data, close=1002)
    data = frame(TEXT, request("x"), masked=False)
    yield Case(group=1, name="text without a mask", data=data, close=1002)
    data = frame(PING, b"x", masked=False)
    yield Case(group=1, name="ping without a mask", data=data, close=1002)


def _pings() -> Iterator[Case]:
    for name, payload in (
        ("without a payload", b""),
        ("with text", b"Hello, world!"),
        ("with bytes that are no UTF-8", b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff"),
        ("with 125 bytes", b"\xfe" * 125),
    ):
        data = frame(PING, payload)
        yield Case(group=2, name=f"ping {name}", data=data, pongs=(payload,))
    data = frame(PING, b"\xfe" * 126)
    yield Case(group=2, name="ping with 126 bytes", data=data, close=1002)
    data = frame(PING, b"\xfe" * 125)
    yield Case(
        group=2, name="ping byte by byte", data=data, chunk=1, pongs=(b"\xfe" * 125,)
    )
    yield Case(group=2, name="pong that nobody asked for", data=frame(PONG))
    yield Case(group=2, name="the same with a payload", data=frame(PONG, b"unasked"))
    data = frame(PONG, b"unasked") + frame(PING, b"x")
    yield Case(group=2, name="the same, then a ping", data=data, pongs=(b"x",))
    data = b"".join(frame(PING, b"%d" % n) for n in range(10))
    given = tuple(b"%d" % n for n in range(10))
    yield Case(group=2, name="ten pings at once", data=data, pongs=given)
    yield Case(group=2, name="ten pings byte by byte", data=data, chunk=1, pongs=given)


def _reserved() -> Iterator[Case]:
    for rsv in range(1, 8):
        data = frame(TEXT, request("x"), rsv=rsv)
        name = f"text with reserved bits {rsv:03b}"
        yield Case(group=3, name=name, data=data, close=1002)
    data = frame(TEXT, request("x")) + frame(TEXT, request("y"), rsv=4)
    yield Case(
        group=3, name="the second text with one", data=data, ids=("x",), close=1002
    )
    data = frame(PING, b"x", rsv=1)
    yield Case(group=3, name="ping with one", data=data, close=1002)
    data = frame(CLOSE, rsv=7)
    yield Case(group=3, name="good-bye with all", data=data, close=1002)
    data = frame(TEXT, b"\xaa\x56\xca\x48\x00", rsv=4)
    yield Case(group=3, name="compressed text", data=data, close=1002)


def _opcodes() -> Iterator[Case]:
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        for payload in (b"", b"reserved"):
            what = "with a payload" if payload else "without a payload"
            yield Case(
                group=4,
                name=f"opcode {opcode} {what}",
                data=frame(opcode, payload),
                close=1002,
            )
        data = frame(TEXT, request("x")) + frame(opcode, b"z") + frame(PING)
        yield Case(
            group=4,
            name=f"opcode {opcode} between text and ping",
            data=data,
            ids=("x",),
            close=1002,
        )


def _fragmentation() -> Iterator[Case]:
    whole = request("x")
    one, two, three = whole[:7], whole[7:20], whole[20:]
    begin, end = frame(TEXT, one, fin=False), frame(GO_ON, two + three)
    for opcode, what in ((PING, "ping"), (PONG, "pong"), (CLOSE, "good-bye")):
        data = frame(opcode, b"", fin=False) + frame(GO_ON, b"z")
        yield Case(group=5, name=f"{what} in pieces", data=data, close=1002)
    for chunk in (0, 1):
        how = " byte by byte" if chunk else ""
        yield Case(
            group=5,
            name=f"text in two pieces{how}",
            data=begin + end,
            chunk=chunk,
            ids=("x",),
        )
        yield Case(
            group=5,
            name=f"a ping between two pieces{how}",
            data=begin + frame(PING, b"between") + end,
            chunk=chunk,
            ids=("x",),
            pongs=(b"between",),
        )
    middle = frame(GO_ON, two, fin=False)
    pings = frame(PING, b"1"), frame(PING, b"2")
    data = begin + pings[0] + middle + pings[1] + frame(GO_ON, three)
    yield Case(
        group=5,
        name="pings between three pieces",
        data=data,
        ids=("x",),
        pongs=(b"1", b"2"),
    )
    data = begin + frame(GO_ON, fin=False) * 3 + end
    yield Case(group=5, name="pieces without anything", data=data, ids=("x",))
    data = frame(TEXT, fin=False) + frame(GO_ON, fin=False) + frame(GO_ON)
    yield Case(group=5, name="nothing else", data=data)
    data = frame(TEXT, fin=False) + frame(GO_ON, whole)
    yield Case(group=5, name="all of it in the last piece", data=data, ids=("x",))
    for fin in (True, False):
        what = "a last piece" if fin else "a piece"
        data = frame(GO_ON, b"z", fin=fin)
        yield Case(group=5, name=f"{what} of nothing", data=data, close=1002)
        data = begin + end + frame(GO_ON, b"z", fin=fin) + frame(TEXT, request("y"))
        yield Case(
            group=5,
            name=f"{what} behind a whole message",
            data=data,
            ids=("x",),
            close=1002,
        )
    data = begin + frame(TEXT, whole)
    yield Case(group=5, name="a text inside of a text", data=data, close=1002)
    data = begin + frame(BINARY, b"z")
    yield Case(group=5, name="a binary inside of a text", data=data, close=1002)
    data = frame(BINARY, b"z", fin=False) + frame(GO_ON, b"z")
    yield Case(group=5, name="binary in pieces", data=data, close=1003)
    data = pieces(whole, 1)
    yield Case(group=5, name="pieces of one byte", data=data, ids=("x",))


_FINE: Final = {
    "Greek": "κόσμε",
    "the first of 2 bytes": "\u0080",
    "the last of 2 bytes": "\u07ff",
    "the first of 3 bytes": "\u0800",
    "the last before the surrogates": "\ud7ff",
    "the first behind them": "\ue000",
    "the replacement character": "\ufffd",
    "the first of 4 bytes": "\U00010000",
    "the last of all": "\U0010ffff",
    "no character, U+FFFE": "\ufffe",
    "no character, U+FFFF": "\uffff",
    "no character, U+1FFFE": "\U0001fffe",
    "no character, U+FDD0": "\ufdd0",
    "an emoji of several": "👩\u200d👩\u200d👧",
}
_BROKEN: Final = {
    "a byte that only goes on": b"\x80",
    "the last of them": b"\xbf",
    "two of them": b"\x80\xbf",
    "seven of them": b"\x80\xbf\x80\xbf\x80\xbf\x80",
    "a first of 2 bytes, alone": b"\xc3 ",
    "a first of 3 bytes, alone": b"\xe2\x82 ",
    "a first of 4 bytes, alone": b"\xf0\x9f\x98 ",
    "a first of 5 bytes": b"\xf8\x88\x80\x80\x80",
    "a first of 6 bytes": b"\xfc\x84\x80\x80\x80\x80",
    "the byte FE": b"\xfe",
    "the byte FF": b"\xff",
    "a solidus in 2 bytes": b"\xc0\xaf",
    "a solidus in 3 bytes": b"\xe0\x80\xaf",
    "a solidus in 4 bytes": b"\xf0\x80\x80\xaf",
    "a zero in 2 bytes": b"\xc0\x80",
    "the longest that is too long in 3": b"\xe0\x9f\xbf",
    "the longest that is too long in 4": b"\xf0\x8f\xbf\xbf",
    "behind the last of all": b"\xf4\x90\x80\x80",
    "a high surrogate": b"\xed\xa0\x80",
    "the last high surrogate": b"\xed\xaf\xbf",
    "a low surrogate": b"\xed\xb0\x80",
    "a pair of surrogates": b"\xed\xa0\x80\xed\xb0\x80",
}


def _utf8() -> Iterator[Case]:
    for what, text in _FINE.items():
        whole = request(text)
        data = frame(TEXT, whole)
        yield Case(group=6, name=what, data=data, ids=(text,))
        data = pieces(whole, 1)
        name = f"{what}, in pieces of one byte"
        yield Case(group=6, name=name, data=data, ids=(text,))
    for what, raw in _BROKEN.items():
        whole = request("x").replace(b'"x"', b'"a' + raw + b'b"')
        yield Case(group=6, name=what, data=frame(TEXT, whole), close=1007)
        name = f"{what}, in pieces of one byte"
        yield Case(group=6, name=name, data=pieces(whole, 1), close=1007)
    # Seen at once, and not when the rest has come.
    cut = frame(TEXT, b"\xce\xba\xed\xa0\x80", fin=False)
    yield Case(group=6, name="in a message that is not whole", data=cut, close=1007)
    part = frame(TEXT, b"a" * 200)[:-150] + b"\xff" * 10
    yield Case(
        group=6, name="inside of a frame that is not whole", data=part, close=1007
    )
    yield Case(
        group=6,
        name="a message that ends too early",
        data=frame(TEXT, b"\xce"),
        close=1007,
    )


def _closing() -> Iterator[Case]:
    yield Case(group=7, name="no code", data=frame(CLOSE), close=1000)
    for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999):
        yield Case(group=7, name=f"code {code}", data=close(code), close=code)
    for code in (4000, 4999):
        yield Case(group=7, name=f"code {code}", data=close(code), close=code)
    for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535):
        yield Case(group=7, name=f"code {code}", data=close(code), close=1002)
    yield Case(group=7, name="half a code", data=frame(CLOSE, b"\x03"), close=1002)
    yield Case(
        group=7, name="a reason", data=close(1000, "tschüß".encode()), close=1000
    )
    data = close(1000, b"x" * 123)
    yield Case(group=7, name="a reason of 123 bytes", data=data, close=1000)
    data = close(1000, b"x" * 124)
    yield Case(group=7, name="a reason of 124 bytes", data=data, close=1002)
    data = close(1000, b"\xce\xba\xed\xa0\x80")
    yield Case(group=7, name="a reason that is no UTF-8", data=data, close=1007)
    for what, more in (
        ("a request", frame(TEXT, request("x"))),
        ("a ping", frame(PING, b"x")),
        ("a good-bye", close(1001)),
        ("what is no frame", b"\xff" * 200),
        ("256 KiB", frame(TEXT, request("x", 256 * KB))),
    ):
        name = f"{what} behind the good-bye"
        yield Case(group=7, name=name, data=close(1000) + more, close=1000)
    data = frame(TEXT, b'{"type"', fin=False) + close(1000)
    yield Case(group=7, name="a good-bye between two pieces", data=data, close=1000)
    data = frame(PING, b"x") + close(1000)
    yield Case(
        group=7, name="a ping, then a good-bye", data=data, pongs=(b"x",), close=1000
    )


def _limits() -> Iterator[Case]:
    for size in (64 * KB, 256 * KB, 1024 * KB, MAX_PAYLOAD - 100):
        whole = request("x", size)
        name = f"text of {size // KB} KiB"
        yield Case(group=9, name=name, data=frame(TEXT, whole), ids=("x",))
    whole = request("x", 512 * KB)
    for size in (64, 256, KB, 16 * KB):
        name = f"512 KiB in pieces of {size} bytes"
        yield Case(group=9, name=name, data=pieces(whole, size), ids=("x",))
    data = frame(TEXT, whole)
    yield Case(
        group=9,
        name="512 KiB in chunks of 1,400 bytes",
        data=data,
        chunk=1400,
        ids=("x",),
    )
    data = frame(TEXT, b" " * (MAX_PAYLOAD + 1))
    yield Case(group=9, name="more than may be sent", data=data, close=1009)
    data = pieces(b" " * (MAX_PAYLOAD + 1), 64 * KB)
    yield Case(group=9, name="the same in pieces", data=data, close=1009)
    said = b"\x7f" + (2**62).to_bytes(8, "big")
    data = frame(TEXT, b" " * (MAX_PAYLOAD + 1), length=said)
    name = "of four exabytes, more than may be sent"
    yield Case(group=9, name=name, data=data, close=1009)


def _rest() -> Iterator[Case]:
    many = [f"r{number}" for number in range(50)]
    data = b"".join(frame(TEXT, request(each)) for each in many)
    yield Case(group=10, name="fifty requests at once", data=data, ids=tuple(many))
    data = pieces(request("x", 65_536), 1300)
    yield Case(group=10, name="64 KiB in pieces of 1,300 bytes", data=data, ids=("x",))
    yield Case(group=10, name="text that is no JSON", data=frame(TEXT, b"hello"))
    yield Case(
        group=10,
        name="HTTP instead of a frame",
        data=b"GET / HTTP/1.1\r\n\r\n",
        close=1002,
    )
