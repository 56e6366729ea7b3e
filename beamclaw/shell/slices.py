"""Looks at very many processes, in slices: what everybody else waits for is one of them."""

import heapq
import time
from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

import attrs
import trio

T = TypeVar("T")


@attrs.define
class Slices:
    """Lets others run whenever a look has worked for *budget* seconds.

    Attributes:
        spent: Seconds that it has worked.
    """

    budget: float
    spent: float = 0.0
    # What others wait for is time; what it took is time of this thread: a machine that
    # has none for the node does not make a look a long one.
    _begun: float = attrs.field(factory=time.perf_counter, init=False)
    _worked: float = attrs.field(factory=time.thread_time, init=False)

    async def pause(self) -> None:
        """Go on, or let others run first; for between two small steps."""
        if time.perf_counter() - self._begun >= self.budget:
            self.over()
            await trio.lowlevel.checkpoint()
            self._begun, self._worked = time.perf_counter(), time.thread_time()

    def over(self) -> float:
        """The last one is over: seconds that all have worked."""
        now = time.thread_time()
        self.spent, self._worked = self.spent + now - self._worked, now
        return self.spent


@attrs.define
class Ranking(Generic[T]):
    """The first *most* of very many, without keeping the others.

    Of two with one rank the one that came first is before the other.
    """

    most: int
    # Invariant: a heap of at most *most*, the last of them on top; each with its rank
    # and number negated, so that no two are equal and items are never compared.
    _kept: list[tuple[tuple[float, ...], int, T]] = attrs.field(
        factory=list[tuple[tuple[float, ...], int, T]], init=False
    )
    _number: int = 0

    def add(self, item: T, *rank: float) -> None:
        """One more; the smallest *rank* is first."""
        self._number -= 1
        entry = (tuple(-part for part in rank), self._number, item)
        if len(self._kept) < self.most:
            heapq.heappush(self._kept, entry)
        elif self.most and entry > self._kept[0]:
            heapq.heapreplace(self._kept, entry)

    def ranked(self) -> Iterator[T]:
        """The first, in order."""
        return (item for _, _, item in sorted(self._kept, reverse=True))


def pieces(found: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """*found* in pieces of *size*."""
    return (found[at : at + size] for at in range(0, len(found), size))
