"""An automaton that looks once at each character of a line, whatever it looks for.

Made while it is used: a state of it is the set of places in the expression that could
come next, and which state follows by a character is found out the first time and kept.
So the time for a line grows with its length, and with nothing else. Places, as the edge
of a word, are decided when the character behind them is known.
"""

from collections.abc import Iterable
from typing import Final

import attrs

from beamclaw.files.expression import (
    At,
    BadExpression,
    Chars,
    Choice,
    Part,
    Repeat,
    Sequence,
    is_word,
    needed,
    read,
)

# Places of an expression, its repetitions written out.
MAX_SIZE: Final = 2_000
# Answers that are kept; then all are forgotten, and found out anew.
MAX_KEPT: Final = 50_000

_START, _WORD, _OTHER, _END = range(4)


@attrs.define
class _Node:
    """A place in the expression: what fits here, and where it goes on."""

    chars: Chars | None = None
    at: str = ""
    nexts: list[int] = attrs.field(factory=list[int])


class _State(dict[str, "_State"]):
    """The places that could come next, behind a character of this kind."""

    __slots__ = ("before", "ends", "places")

    def __init__(self, places: frozenset[int], before: int) -> None:
        super().__init__()
        self.places = places
        self.before = before
        # Whether it fits if the line ends here; None: nobody has asked.
        self.ends: bool | None = None


_FOUND: Final = _State(frozenset(), _END)


class Automaton:
    """Says which lines have something in them that fits an expression.

    Args:
        text: The expression.
        ignore_case: Capitals and small letters are the same.
        whole: Lines have to fit from their beginning to their end.

    Raises:
        BadExpression: It cannot be read, or is too large.
    """

    def __init__(
        self, text: str, *, ignore_case: bool = False, whole: bool = False
    ) -> None:
        part, by_itself = read(text)
        self._ignore_case = ignore_case or by_itself
        self._text = text
        self._nodes: list[_Node] = []
        if whole:
            part = Sequence((At("^"), part, At("$")))
        self._last = self._node()
        self._first = self._made(part, self._last)
        self._kept: dict[tuple[frozenset[int], int], _State] = {}
        self._size = 0
        self._begin = self._state(frozenset([self._first]), _START)
        #: A text without which no line fits; perhaps empty.
        self.needed = "" if self._ignore_case else needed(part)

    def search(self, line: str) -> bool:
        """Whether something in *line* fits."""
        state = self._begin
        for char in line:
            try:
                state = state[char]
            except KeyError:
                state = self._step(state, char)
            if state is _FOUND:
                return True
        if state.ends is None:
            state.ends = self._last in self._closure(state.places, state.before, _END)
        return state.ends

    # --- going on

    def _step(self, state: _State, char: str) -> _State:
        kind = _WORD if is_word(char) else _OTHER
        places = self._closure(state.places, state.before, kind)
        if self._last in places:
            following = _FOUND
        else:
            after = {self._first}  # it may begin anywhere
            for place in places:
                node = self._nodes[place]
                if node.chars is not None and self._fits(char, node.chars):
                    after.update(node.nexts)
            following = self._state(frozenset(after), kind)
        self._size += 1
        if self._size > MAX_KEPT:
            self._forget()
        state[char] = following
        return following

    def _fits(self, char: str, chars: Chars) -> bool:
        if char in chars:
            return True
        if not self._ignore_case:
            return False
        others = {char.lower(), char.upper(), char.casefold()}
        return any(len(other) == 1 and other in chars for other in others)

    def _state(self, places: frozenset[int], before: int) -> _State:
        key = places, before
        if key not in self._kept:
            self._kept[key] = _State(places, before)
            self._size += len(places)
        return self._kept[key]

    def _forget(self) -> None:
        for state in self._kept.values():
            state.clear()
        self._kept.clear()
        self._size = 0
        self._begin.clear()

    def _closure(self, places: Iterable[int], before: int, after: int) -> set[int]:
        """*places*, and those that are reached from them without a character."""
        todo, found = list(places), set[int]()
        while todo:
            place = todo.pop()
            if place in found:
                continue
            found.add(place)
            node = self._nodes[place]
            if node.chars is None and (not node.at or _holds(node.at, before, after)):
                todo += node.nexts
        return found

    # --- the expression, written out

    def _node(self, **known: object) -> int:
        if len(self._nodes) >= MAX_SIZE:
            raise BadExpression(
                f"the pattern {self._text[:200]!r} is too large with its repetitions"
            )
        self._nodes.append(_Node(**known))  # pyright: ignore[reportArgumentType]
        return len(self._nodes) - 1

    def _made(self, part: Part, then: int) -> int:
        """The place where *part* begins, which goes on to *then*."""
        match part:
            case Chars():
                return self._node(chars=part, nexts=[then])
            case At(kind):
                return self._node(at=kind, nexts=[then])
            case Sequence(parts):
                for each in reversed(parts):
                    then = self._made(each, then)
                return then
            case Choice(parts):
                return self._node(nexts=[self._made(each, then) for each in parts])
            case Repeat():
                return self._repeated(part, then)

    def _repeated(self, part: Repeat, then: int) -> int:
        if part.most is None:
            again = self._node(nexts=[then])
            self._nodes[again].nexts.append(self._made(part.part, again))
            then = again
        else:
            end = then
            for _ in range(part.most - part.least):
                then = self._node(nexts=[end, self._made(part.part, then)])
        for _ in range(part.least):
            then = self._made(part.part, then)
        return then


def _holds(kind: str, before: int, after: int) -> bool:
    if kind == "^":
        return before == _START
    if kind == "$":
        return after == _END
    return ((before == _WORD) != (after == _WORD)) == (kind == "b")
