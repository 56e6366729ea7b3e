"""Snapshots: a session's journal, added up, as bytes that save reading it.

A snapshot says nothing that the journal does not say. It may be missing, be of another
version or be damaged: then the journal is read instead. So no old version is ever lifted
to a new one, it is just not looked at.

Both directions go in steps (:mod:`beamclaw.contracts.steps`): a long conversation holds
up nobody. The bytes are lines of JSON: the first says what is not a message, each of the
others has some messages, as :mod:`beamclaw.contracts.conversation` keeps them.
"""

import functools
import hashlib
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any, Final, get_args

import attrs
import orjson

import supervision
from beamclaw.contracts import names
from beamclaw.contracts.codec import converter
from beamclaw.contracts.conversation import Conversation, Packed
from beamclaw.contracts.history import History
from beamclaw.contracts.ledger import Claim
from beamclaw.contracts.messages import (
    File,
    Image,
    Message,
    Part,
    Text,
    ToolResult,
)
from beamclaw.contracts.points import point
from beamclaw.contracts.steps import Steps
from beamclaw.contracts.transcript import (
    Transcript,
)
from beamclaw.values import frozen

MEANING: Final = 8
"""Raised when ``evolve`` comes to another state for the same events than before.

What a state is made of needs no number: the names of its fields are part of the version.
"""

# A line has so many messages and, apart from its last message, so many characters.
_MESSAGES = 2048
_LENGTH = 256 * 1024


@frozen(kw_only=True)
class Keep:
    """Cast to ``<tenant>/snapshots``: make a snapshot of this, when there is time."""

    session_key: str
    claim: Claim
    transcript: Transcript


@frozen
class Forget(supervision.Call[None]):
    """To ``<tenant>/snapshots``: the session is about to be deleted.

    When this is answered no snapshot of it is being made or waits to be, which could
    otherwise come to be that of the next session under its key.
    """

    session_key: str


@attrs.define
class Kept:
    """Up to where a session's journal is in a snapshot, or will be soon.

    Attributes:
        seq: The last event in it.
        covered: The last event in it that a summary stands for.
        messages: How many are in it: one event may bring thousands.
    """

    seq: int = 0
    covered: int = 0
    messages: int = 0

    def note(self, state: Transcript) -> None:
        """*state* is in one."""
        self.seq, self.covered = state.seq, state.covered
        self.messages = len(state.messages)

    def keep(self, wanted: Keep, every: int) -> None:
        """Have a snapshot made of it, if it is worth one. Never waits.

        It is after *every* events; between two turns after half as many, so that it is
        seldom made in the middle of one; and after a compaction, which leaves little to
        keep.
        """
        state = wanted.transcript
        since = max(state.seq - self.seq, len(state.messages) - self.messages)
        due = every if state.turn is not None else (every + 1) // 2
        if since >= due or state.covered != self.covered:
            self.note(state)
            with point("session.keep"):
                supervision.cast(
                    names.of_tenant(wanted.claim.tenant, "snapshots"), wanted
                )


class Unreadable(Exception):  # noqa: N818 -- a situation
    """The bytes are no snapshot; read the journal instead."""


@functools.cache
def version() -> str:
    """What stands with a snapshot of today's: only such are read."""
    names = sorted((cls.__name__, _names(cls)) for cls in _classes(Transcript, set()))
    digest = hashlib.blake2b(repr(names).encode(), digest_size=6)
    return f"{MEANING}-{digest.hexdigest()}"


def _names(cls: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in attrs.fields(cls))


def _classes(kind: Any, found: set[type[Any]]) -> set[type[Any]]:
    """All classes of ours that a value of *kind* may be made of."""
    if isinstance(kind, type) and attrs.has(kind) and kind not in found:
        found.add(kind)
        for field in attrs.fields(kind):
            _classes(field.type, found)
    for part in get_args(kind):
        _classes(part, found)
    return found


# --- writing


def encoded(state: Transcript) -> Steps[bytes]:
    """*state* as a snapshot."""
    head = {
        field.name: converter.unstructure(getattr(state, field.name), field.type)
        for field in attrs.fields(Transcript)
        if field.name not in _IN_LINES
    }
    head["messages"] = len(state.messages)
    lines = [orjson.dumps(head)]
    for first, last in _cuts(state.messages.items):
        yield
        lines.append(_line(state, first, last))
    return b"\n".join(lines)


# What is as long as the conversation; all else of a transcript stands in the head.
_IN_LINES: Final = frozenset({"messages", "seqs", "sums"})


def _cuts(messages: Sequence[Packed]) -> Iterator[tuple[int, int]]:
    """Where each line begins and ends."""
    first = length = 0
    for place, message in enumerate(messages):
        if isinstance(message, str):
            length += len(message)
        else:
            length += sum(map(_length, message.parts))
        if place - first + 1 == _MESSAGES or length > _LENGTH:
            yield first, place + 1
            first, length = place + 1, 0
    if first < len(messages):
        yield first, len(messages)


def _length(part: Part) -> int:
    if type(part) is Text:
        return len(part.text)
    if isinstance(part, ToolResult):
        return len(part.text) + sum(map(_length, part.media))
    data = part.data if isinstance(part, Image | File) else None
    return len(data or "") + 1024


def _line(state: Transcript, first: int, last: int) -> bytes:
    sums = state.sums[first - 1 : last] if first else (0, *state.sums[:last])
    each = [after - before for before, after in pairwise(sums)]
    said = [
        item if type(item) is str else converter.unstructure(item)
        for item in state.messages.items[first:last]
    ]
    return orjson.dumps((state.seqs[first:last], each, said))


# --- reading


def decoded(body: bytes) -> Steps[Transcript]:
    """The state in a snapshot of today's version.

    Raises:
        Unreadable: It is none.
    """
    try:
        return (yield from _decoded(body))
    except Exception as error:
        msg = f"the snapshot cannot be read: {error!r}"
        raise Unreadable(msg) from error


def _decoded(body: bytes) -> Steps[Transcript]:
    first, *lines = body.split(b"\n")
    head = orjson.loads(first)
    messages: list[Packed] = []
    seqs: list[int] = []
    each: list[int] = []
    for line in lines:
        yield
        some_seqs, some_each, said = orjson.loads(line)
        seqs += some_seqs
        each += some_each
        messages += [
            one if type(one) is str else converter.structure(one, Message)
            for one in said
        ]
    if not len(messages) == len(seqs) == len(each) == head["messages"]:
        msg = "some messages are missing"
        raise ValueError(msg)
    rest = {
        field.name: converter.structure(head[field.name], field.type)
        for field in attrs.fields(Transcript)
        if field.name not in _IN_LINES
    }
    return Transcript(
        messages=Conversation.of(History(messages)),
        seqs=History(seqs),
        sums=History(accumulate(each)),
        **rest,
    )
