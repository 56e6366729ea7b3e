"""W3C Trace Context: the header by which a request says to which trace it belongs.

It is kept with the message and its turn, and passed on, as it came, to the providers that
are asked for it: a node that adds no spans of its own leaves no gap in a trace.
"""

import re
from typing import Final

from beamclaw.values import frozen

_TRACEPARENT: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)


def kept(header: str) -> str:
    """*header* as it is kept and passed on: empty unless it is valid.

    >>> kept("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
    >>> kept("nonsense")
    ''
    """
    text = header.strip()
    return text if _TRACEPARENT.fullmatch(text) else ""


@frozen
class Parent:
    """The step of somebody else's that a request belongs to.

    Attributes:
        trace: In 32 hexadecimal digits, *span* in 16.
        sampled: Whether whoever began the trace keeps it.
    """

    trace: str
    span: str
    sampled: bool


def parent_of(header: str) -> Parent | None:
    """What a header says that was :func:`kept`; None: nothing.

    >>> parent_of("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    Parent(trace='4bf92f3577b34da6a3ce929d0e0e4736', span='00f067aa0ba902b7', sampled=True)
    """
    if not kept(header):
        return None
    _, trace, span, flags = header.strip().split("-")
    return Parent(trace, span, bool(int(flags, 16) & 1))
