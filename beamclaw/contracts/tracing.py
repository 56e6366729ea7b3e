"""Which request something belongs to: W3C Trace Context, and ids that nobody has to keep.

A trace's ids are made of the id of its run, unless the request brings a trace of its own.
So a successor of a run that died goes on in the same trace, and nothing is carried along.
"""

import hashlib
import re
from typing import Final

import attrs

_TRACEPARENT: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})"
)
_SAMPLED: Final = 1


@attrs.frozen
class Context:
    """Where a request stands in a trace.

    Attributes:
        trace_id: 32 hexadecimal digits.
        span_id: Of who has asked, 16 digits; empty: nobody, the trace begins here.
        sampled: Whether who has asked keeps it.
    """

    trace_id: str
    span_id: str = ""
    sampled: bool = True


def read(header: str) -> Context | None:
    """What a header ``traceparent`` says; None: nothing that is valid.

    >>> read("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").span_id
    '00f067aa0ba902b7'
    """
    found = _TRACEPARENT.fullmatch(header.strip()) if len(header) <= 64 else None  # noqa: PLR2004 -- longer than any
    if found is None:
        return None
    trace_id, span_id, flags = found.groups()
    return Context(trace_id, span_id, bool(int(flags, 16) & _SAMPLED))


def kept(header: str) -> str:
    """*header* as it is kept with a message: empty unless it is valid."""
    return "" if read(header) is None else header.strip()


def context(traceparent: str, run_id: str) -> Context:
    """Where the run stands: in its request's trace, or in one of its own."""
    return read(traceparent) or Context(_digits(f"trace/{run_id}", 32))


def span(run_id: str, part: str) -> str:
    """The id of the span of a *part* of a run: ``message``, ``turn``, ``model/2`` ..."""
    return _digits(f"span/{run_id}/{part}", 16)


def header(where: Context, span_id: str) -> str:
    """The header for whoever is asked from *span_id*."""
    return f"00-{where.trace_id}-{span_id}-{'01' if where.sampled else '00'}"


def _digits(text: str, count: int) -> str:
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return digest[:count]
