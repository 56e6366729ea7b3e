"""A sequence that only grows at its end, and shares its items with what it was before.

A transcript gets a message at a time, and every state of it is a value that somebody may
keep. As plain tuples, ten thousand messages would be copied for each event; here a longer
history is the same list, seen a little further.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar, cast, final, overload

T = TypeVar("T")


@final
class History(Sequence[T]):
    """An immutable view of the first items of a list that is only ever appended to.

    It equals any sequence with the same items. A slice of it is a tuple.
    """

    __slots__ = ("_items", "_length")

    def __init__(self, items: Iterable[T] = ()) -> None:
        self._items = list(items)
        self._length = len(self._items)

    def plus(self, new: Sequence[T]) -> "History[T]":
        """This one and *new* behind it.

        Costs no more than *new*, unless another one was appended to this before.
        """
        if not new:
            return self
        longer: History[T] = History()
        # Somebody has gone on from here already: what follows is theirs.
        own = len(self._items) == self._length
        longer._items = self._items if own else self._items[: self._length]
        longer._items.extend(new)
        longer._length = self._length + len(new)
        return longer

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[T, ...]: ...

    def __getitem__(self, index: int | slice) -> T | tuple[T, ...]:
        if isinstance(index, slice):
            start, stop, step = index.indices(self._length)
            if step == 1:
                return tuple(self._items[start:stop])
            return tuple(self._items[place] for place in range(start, stop, step))
        place = index + self._length if index < 0 else index
        if not 0 <= place < self._length:
            raise IndexError(index)
        return self._items[place]

    def __iter__(self) -> Iterator[T]:
        return islice(self._items, self._length)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, History | tuple | list):
            return NotImplemented
        return list(self) == list(cast("Sequence[Any]", other))

    __hash__ = None  # type: ignore[assignment] -- as a list: nobody looks one up

    def __repr__(self) -> str:
        return f"History({list(self)!r})"
