"""The mailbox: a queue without a limit that can be searched. Nothing here waits."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TypeAlias, cast

Predicate: TypeAlias = Callable[[object], bool]
Match: TypeAlias = type | tuple[type, ...] | Predicate | None
"""What a receive accepts: a type, several, a predicate, or (``None``) anything."""


def as_predicate(match: Match) -> Predicate:
    """Turn what a receive accepts into a function of one message."""
    if match is None:
        return lambda _: True
    types = as_types(match)
    if types is not None:
        return lambda message: isinstance(message, types)
    if not callable(match):
        raise TypeError(
            "receive takes a type, a tuple of types, or a function of one message; for "
            f"what equals {match!r} it is `lambda got: got == {match!r}`",
        )
    return cast("Predicate", match)


def as_types(match: Match) -> type | tuple[type, ...] | None:
    """The types that a receive accepts, if that is how it says it."""
    if isinstance(match, type | tuple):
        return cast("type | tuple[type, ...]", match)
    return None


class Mailbox(deque[object]):
    """The messages of one process, oldest first."""

    __slots__ = ()

    def mark(self) -> int:
        """Note what is there, to be left out by a `take` that is given the result."""
        return len(self)

    def take(self, accepts: Predicate, start: int = 0) -> tuple[bool, object]:
        """Remove and return the first accepted message.

        Args:
            accepts: Says whether it is one that is wanted.
            start: What `mark` returned, to look only at what has come since.

        Returns:
            Whether there was one, and the message.
        """
        if start == 0:
            for index, message in enumerate(self):
                if accepts(message):
                    del self[index]
                    return True, message
        # Near its right end an index into a deque costs nothing.
        for index in range(start, len(self)) if start else ():
            message = self[index]
            if accepts(message):
                del self[index]
                return True, message
        return False, None

    def discard(self, matches: Predicate) -> bool:
        """Remove the first message for which *matches* holds; say whether it was there."""
        return self.take(matches)[0]
