"""Damaged conversations: what is wrong with one, and what makes it whole.

A provider refuses a conversation in which a tool call has no result, a result no call, or
two calls the same id, and it does so for ever: the session would be dead. Our own journals
are never like that, but one may come from elsewhere, or be cut off. What is wrong is found
when a session is loaded, and put right by an event, so that everybody who reads the
journal reads the same, and what was there before stays in it.

Afterwards every tool call has exactly one result, right behind the message that asks for
it; every id is one that all providers take, and no other call's.
"""

import re
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence

import attrs

from beamclaw.contracts.conversation import packed
from beamclaw.contracts.journal import Repaired, Splice
from beamclaw.contracts.messages import (
    Message,
    Part,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from beamclaw.contracts.transcript import Transcript
from beamclaw.values import frozen

LOST = (
    "the result of this call is missing from the conversation's record; whether it was "
    "carried out is not known"
)

# What every provider takes as the id of a tool call, and as a tool's name.
_FOREIGN = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST_ID = 48
_LONGEST_NAME = 64


def own_id(given: str, taken: Collection[str]) -> str:
    """*given* as an id that every provider takes and no call before has.

    >>> own_id("call_0", {"call_0", "call_0_2"})
    'call_0_3'
    >>> own_id("functions.read:0", ())
    'functions_read_0'
    """
    base = _FOREIGN.sub("_", given)[:_LONGEST_ID] or "call"
    candidate, number = base, 2
    while candidate in taken:
        candidate, number = f"{base}_{number}", number + 1
    return candidate


def repaired(state: Transcript) -> Repaired | None:
    """The event that makes the messages of *state* whole; None: they are.

    Calls of the turn in progress may wait for their results, and those that a client
    carries out.
    """
    turn = state.turn
    live = {call.asked.id for call in turn.calls} if turn else set(state.owed)
    waiting = {call.asked.id for call in turn.open_calls} if turn else live
    if is_whole(state.messages, waiting):
        return None
    splices = tuple(_Mending(state.messages, live, waiting).splices())
    return Repaired(splices=splices) if splices else None


def is_whole(messages: Iterable[Message], waiting: Collection[str] = ()) -> bool:
    """Whether nothing is wrong at all, but for calls that wait for their results.

    It is asked each time that a session is loaded, of thousands of messages: it only
    looks. What it does not like at a glance is looked at again by who mends.
    """
    taken: set[str] = set()
    pending: set[str] = set()
    for message in packed(messages):
        if isinstance(message, str):
            # A plain text is no result, and none may stand before one.
            if pending or message[0] == "t":
                return False
            continue
        role, parts = message.role, message.parts
        if role == "tool":
            if not _answer(parts, pending):
                return False
        elif pending:
            return False
        elif role == "assistant":
            pending = _ids(message)
            calls = sum(type(part) is ToolCall for part in parts)
            if (
                len(pending) < calls
                or pending & taken
                or not all(map(_is_sound, parts))
            ):
                return False
            taken |= pending
        elif any(not _fits(part, role) for part in parts):
            return False
    return pending.issubset(waiting)


def _answer(parts: Sequence[Part], pending: set[str]) -> bool:
    """Whether *parts* are results of calls in *pending*, from which they are taken."""
    for part in parts:
        if type(part) is not ToolResult or part.id not in pending:
            return False
        pending.remove(part.id)
    return bool(parts)


def _is_sound(part: Part) -> bool:
    """Whether a message of an assistant may hold *part* as it is."""
    if type(part) is ToolCall:
        return own_id(part.id, ()) == part.id and _name(part.name) == part.name
    return type(part) is not ToolResult


@attrs.define
class _Piece:
    """A message of the whole conversation; *origin*: its place in the damaged one."""

    message: Message
    origin: int | None = None


class _Mending:
    """One look through the messages, from the first to the last."""

    def __init__(
        self,
        messages: Sequence[Message],
        live: set[str],
        waiting: set[str],
    ) -> None:
        self._messages = messages
        self._pieces: list[_Piece] = []
        # What was found, by the place at which it is put right.
        self._why: dict[int, list[str]] = {}
        # Ids of the calls of the turn in progress, and of those without a result.
        self._live = live
        self._waiting = waiting
        # Ids that no other call may have; those of the turn in progress stay.
        self._taken = set[str]()
        # Results that were moved to their call: message and place in it.
        self._moved: set[tuple[int, int]] = set()
        self._index: _Index | None = None

    def splices(self) -> Iterator[Splice]:
        """What is to be changed, from the front to the back."""
        self._look()
        before = -1
        new: list[Message] = []
        for piece in [*self._pieces, _Piece(Message("user", ()), len(self._messages))]:
            if piece.origin is None:
                new.append(piece.message)
                continue
            removed = piece.origin - before - 1
            if removed or new:
                places = range(before, piece.origin)
                why = dict.fromkeys(w for p in places for w in self._why.pop(p, ()))
                yield Splice(
                    at=before + 1,
                    removed=removed,
                    put=tuple(new),
                    why="; ".join(why),
                )
            before, new = piece.origin, []

    # --- looking

    def _look(self) -> None:
        messages = self._messages
        last = len(messages) - 1
        while self._live and last >= 0 and not _asks(messages[last]):
            last -= 1
        # What the turn in progress has asked for, it has asked for last.
        self._live &= _ids(messages[last]) if last >= 0 else set()
        self._taken |= self._live
        at = 0
        while at < len(messages):
            message = messages[at]
            # Most are just this, and there may be thousands.
            if message.role != "tool" and _is_plain(message):
                self._pieces.append(_Piece(message, at))
                at += 1
            elif message.role == "assistant" and _asks(message):
                at = self._turn(at, self._live if at == last else set())
            else:
                self._keep(at)
                at += 1

    def _keep(self, at: int) -> None:
        """A message that asks for nothing: what does not belong there goes."""
        message = self._messages[at]
        fits = tuple(part for part in message.parts if _fits(part, message.role))
        if len(fits) == len(message.parts) and message.role != "tool":
            self._pieces.append(_Piece(message, at))
            return
        results = [
            place
            for place, part in enumerate(message.parts)
            if isinstance(part, ToolResult) and (at, place) not in self._moved
        ]
        if results:
            self._note(at, "a result without its call")
        elif not any(isinstance(part, ToolResult) for part in message.parts):
            self._note(at, f"what a message of role {message.role} cannot hold")
        else:
            self._note(at, "that result was here")
        if fits:
            self._pieces.append(_Piece(Message(message.role, fits)))

    def _turn(self, at: int, live: set[str]) -> int:
        """A message with calls, and the results behind it; where it goes on.

        The ids of calls that are *live* stay as they are.
        """
        message = self._messages[at]
        asked = [part for part in message.parts if isinstance(part, ToolCall)]
        ids = self._own(asked, live)
        self._ask(at, ids)
        # Each call once; two of the same id are answered in their order.
        open_calls = list(zip((call.id for call in asked), ids, strict=True))
        behind = at + 1
        while behind < len(self._messages) and self._messages[behind].role == "tool":
            self._answer(behind, open_calls)
            behind += 1
        waits = behind == len(self._messages)
        for given, own in open_calls:
            late = self._late(given, behind)
            if late is not None:
                self._note(behind - 1, "a result that comes too late")
                self._pieces.append(_Piece(Message("tool", (_renamed(late, own),))))
            elif not (waits and own in live and own in self._waiting):
                self._note(behind - 1, f"the call {own} without a result")
                lost = ToolResult(own, LOST, is_error=True)
                self._pieces.append(_Piece(Message("tool", (lost,))))
        return behind

    def _own(self, asked: Sequence[ToolCall], live: set[str]) -> list[str]:
        ids: list[str] = []
        for call in asked:
            stays = call.id in live and call.id not in ids
            ids.append(call.id if stays else own_id(call.id, self._taken))
            self._taken.add(ids[-1])
        return ids

    def _ask(self, at: int, ids: Sequence[str]) -> None:
        message = self._messages[at]
        parts: list[Part] = []
        own = iter(ids)
        for part in message.parts:
            if isinstance(part, ToolCall):
                parts.append(ToolCall(next(own), _name(part.name), part.arguments))
            elif _fits(part, "assistant"):
                parts.append(part)
        if tuple(parts) == message.parts:
            self._pieces.append(_Piece(message, at))
            return
        if any(isinstance(part, ToolResult) for part in message.parts):
            self._note(at, "a result without its call")
        else:
            self._note(at, "an id or a name that no provider takes, or that two have")
        self._pieces.append(_Piece(Message("assistant", tuple(parts))))

    def _answer(self, at: int, open_calls: list[tuple[str, str]]) -> None:
        """The results of one message, as far as they answer calls that are open."""
        message = self._messages[at]
        parts: list[Part] = []
        for place, part in enumerate(message.parts):
            if not isinstance(part, ToolResult) or (at, place) in self._moved:
                continue
            call = next((call for call in open_calls if call[0] == part.id), None)
            if call is None:
                self._note(at, "a result without its call, or the second of one")
            else:
                open_calls.remove(call)
                parts.append(_renamed(part, call[1]))
        if parts and tuple(parts) == message.parts:
            self._pieces.append(_Piece(message, at))
            return
        self._note(at, "results under another id, or with something else")
        if parts:
            self._pieces.append(_Piece(Message("tool", tuple(parts))))

    def _late(self, given: str, start: int) -> ToolResult | None:
        """A result of that id from *start* on, before another call has the id."""
        if self._index is None:
            self._index = _Index.of(self._messages)
        calls = self._index.calls[given]
        then = bisect_left(calls, start)
        until = calls[then] if then < len(calls) else len(self._messages)
        for at, place in self._index.results.get(given, ()):
            if start <= at < until and (at, place) not in self._moved:
                self._moved.add((at, place))
                part = self._messages[at].parts[place]
                assert isinstance(part, ToolResult)
                return part
        return None

    def _note(self, at: int, why: str) -> None:
        self._why.setdefault(at, []).append(why)


@frozen
class _Index:
    """Where each id is: of calls the messages, of results also the place in them."""

    calls: dict[str, list[int]]
    results: dict[str, list[tuple[int, int]]]

    @classmethod
    def of(cls, messages: Iterable[Message]) -> "_Index":
        index = cls({}, {})
        for at, message in enumerate(messages):
            for place, part in enumerate(message.parts):
                if isinstance(part, ToolCall):
                    index.calls.setdefault(part.id, []).append(at)
                elif isinstance(part, ToolResult):
                    index.results.setdefault(part.id, []).append((at, place))
        return index


def _ids(message: Message) -> set[str]:
    return {part.id for part in message.parts if isinstance(part, ToolCall)}


def _is_plain(message: Message) -> bool:
    return len(message.parts) == 1 and type(message.parts[0]) is Text


def _asks(message: Message) -> bool:
    return message.role == "assistant" and any(
        isinstance(part, ToolCall) for part in message.parts
    )


def _fits(part: Part, role: str) -> bool:
    """Whether a message of *role* without calls may hold such a part."""
    if isinstance(part, ToolCall | ToolResult) or role == "tool":
        return False
    return role == "assistant" or not isinstance(part, Thinking)


def _renamed(result: ToolResult, own: str) -> ToolResult:
    return result if result.id == own else attrs.evolve(result, id=own)


def _name(given: str) -> str:
    return _FOREIGN.sub("_", given)[:_LONGEST_NAME] or "unknown"
