"""W3C Trace Context: the headers by which a request says to which trace it belongs.

They are kept with the message and its turn. A node that adds no spans of its own passes
them on as they came, so that it leaves no gap in a trace; one that does puts the span of
each call of a model into its place.

The ids of spans are made of what the journal keeps: the run of the turn and the number of
the call. So whoever sends the header and whoever makes the span, which are two processes,
agree without asking each other, and a turn that goes on after a start goes on in its
trace.
"""

import re
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Final

from beamclaw.values import frozen

_TRACEPARENT: Final = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})"
    r"(-[!-~]*)?"
)
MAX_TRACEPARENT: Final = 128
"""Characters; what is longer is of nobody who keeps to any version."""

MAX_TRACESTATE: Final = 512
"""Characters that are passed on, as many as the standard asks for. It is in the journal
with every turn, so there is an end to it."""

_MOST_MEMBERS: Final = 32
# The longest member that stays where there is not room for all.
_LONG_MEMBER: Final = 128
_MEMBER: Final = re.compile(
    r"[a-z0-9][a-z0-9_\-*/@]{0,255}=[ -+\--<>-~]{0,255}[!-+\--<>-~]"
)
_SAMPLES: Final = 1 << 32


def kept(header: str) -> str:
    """The header ``traceparent`` as it is kept and passed on: empty unless it is valid.

    >>> kept("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
    >>> kept("nonsense")
    ''
    """
    text = header.strip(" \t")
    return text if _read(text) else ""


def kept_state(traceparent: str, header: str) -> str:
    """The header ``tracestate`` in the same way.

    Without a valid *traceparent* it means nothing. Where it is too long, the longest
    members go first, then those at the end, as the standard has it.

    >>> kept_state("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "a=1, b=2")
    'a=1, b=2'
    """
    text = header.strip(" \t")
    if not text or not kept(traceparent):
        return ""
    members = [member for each in text.split(",") if (member := each.strip(" \t"))]
    names = {member.partition("=")[0] for member in members}
    if len(members) > _MOST_MEMBERS or len(names) < len(members):
        return ""
    if not all(map(_MEMBER.fullmatch, members)):
        return ""
    return text if len(text) <= MAX_TRACESTATE else _shortened(members)


@frozen
class Given:
    """What a request says of its trace, as it is kept; empty: nothing."""

    traceparent: str = ""
    tracestate: str = ""


UNTRACED: Final = Given()


def given(headers: Mapping[str, str]) -> Given:
    """What *headers* (lower case names) say."""
    return kept_both(headers.get("traceparent", ""), headers.get("tracestate", ""))


def kept_both(traceparent: str, tracestate: str = "") -> Given:
    """The two of them as they are kept."""
    parent = kept(traceparent)
    return Given(parent, kept_state(parent, tracestate) if tracestate else "")


def _shortened(members: Iterable[str]) -> str:
    left = [member for member in members if len(member) <= _LONG_MEMBER]
    while len(text := ",".join(left)) > MAX_TRACESTATE:
        left.pop()
    return text


def _read(text: str) -> re.Match[str] | None:
    found = _TRACEPARENT.fullmatch(text) if len(text) <= MAX_TRACEPARENT else None
    if found is None or (found[1] == "00" and found[5]):
        return None  # only a later version may have more behind the flags
    return found


@frozen
class Parent:
    """The step that something belongs to.

    Attributes:
        trace: In 32 hexadecimal digits, *span* in 16; empty: the trace begins here.
        sampled: Whether the trace is kept.
    """

    trace: str
    span: str
    sampled: bool


def parent_of(header: str) -> Parent | None:
    """What a header says that was :func:`kept`; None: nothing.

    >>> parent_of("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    Parent(trace='4bf92f3577b34da6a3ce929d0e0e4736', span='00f067aa0ba902b7', sampled=True)
    """
    found = _read(header)
    if found is None:
        return None
    return Parent(found[2], found[3], bool(int(found[4], 16) & 1))


def span_of(run: str, *step: str) -> str:
    """The id of a step of *run*: the same each time.

    >>> span_of("run-1", "turn") == span_of("run-1", "turn")
    True
    """
    return _id(run, *step, size=16)


def _id(*words: str, size: int) -> str:
    return sha256("\0".join(words).encode("utf-8", "surrogatepass")).hexdigest()[:size]


@frozen
class Tracing:
    """Whether this node makes spans, and what leaves it in their names.

    Attributes:
        sample: Share of the traces that are kept, where nobody before us has decided;
            None: no spans are made here.
    """

    sample: float | None = None

    def above(self, run: str, traceparent: str) -> Parent:
        """To what *run* belongs: what its request said, else a trace of its own.

        Whether it is kept is said by whoever began the trace; else by its id, so that
        all who see it agree.
        """
        outside = parent_of(traceparent)
        if outside is not None:
            return outside
        trace = _id(run, "trace", size=32)
        sampled = int(trace[-8:], 16) < (self.sample or 0.0) * _SAMPLES
        return Parent(trace, "", sampled)

    def outgoing(self, run: str, traceparent: str, *step: str) -> str:
        """The header ``traceparent`` of what goes out for a *step* of *run*.

        The step's own span, also in a trace that is not kept: whoever is asked is told
        that, and keeps nothing of it either. Without spans of our own what came is
        passed on.
        """
        if self.sample is None:
            return traceparent
        above = self.above(run, traceparent)
        return f"00-{above.trace}-{span_of(run, *step)}-{above.sampled:02x}"


@frozen
class Peer:
    """Whom a provider's name in the configuration stands for, as others know it.

    Attributes:
        api: Its protocol.
        chat: The address at which answers are asked for, *embeddings* vectors; empty:
            it is not reached over HTTP, or nobody knows.
    """

    api: str
    chat: str = ""
    embeddings: str = ""
