"""Where work on files is done: in threads, few at a time, in pieces that end soon.

A disk may answer slowly and a search may take long; neither holds up the event loop, nor
a file that somebody else wants to read meanwhile: a search gives its place up between
two pieces.
"""

import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, TypeVar

import attrs
import trio

from beamclaw.contracts.outside import Outside
from beamclaw.contracts.steps import Steps

T = TypeVar("T")


class _Ended:
    """What a generator came to."""

    def __init__(self, value: Any) -> None:
        self.value = value


class _Work:
    """A generator that a thread goes on with, and that somebody may lose interest in.

    Its ``finally`` closes files, so it is always ended: by the thread, if that is inside
    at the time, else by whoever gives up.
    """

    def __init__(self, steps: Steps[Any]) -> None:
        self._steps = steps
        self._given_up = False

    def go_on(self) -> _Ended | None:
        try:
            next(self._steps)
        except StopIteration as ended:
            return _Ended(ended.value)
        if self._given_up:
            self._close()
        return None

    def give_up(self) -> None:
        self._given_up = True
        self._close()

    def _close(self) -> None:
        with contextlib.suppress(ValueError):  # a thread is inside; it will close it
            self._steps.close()


@attrs.define(eq=False)
class Bench:
    """The threads of a tenant for files, and who may change which file.

    Attributes:
        outside: Where threads come from.
        at_once: Pieces of work in progress at a time.
        changing: Keys of the calls that change files at this moment.
        catching_up: Who has it carries on with calls that were interrupted.
    """

    outside: Outside
    at_once: int = 8
    changing: set[str] = attrs.field(factory=set[str], init=False)
    catching_up: trio.Lock = attrs.field(factory=trio.Lock, init=False)
    _places: trio.CapacityLimiter = attrs.field(init=False)
    _searching: trio.CapacityLimiter = attrs.field(init=False)
    _locks: dict[str, trio.Lock] = attrs.field(factory=dict[str, trio.Lock], init=False)

    def __attrs_post_init__(self) -> None:
        self._places = trio.CapacityLimiter(self.at_once)
        self._searching = trio.CapacityLimiter(1)

    async def do(self, fn: Callable[[], T]) -> T:
        """Do *fn*, which ends soon; cancelled, it is left to its end, with no answer."""
        async with self._places:
            return await self.outside.worker().run(fn)

    async def do_whole(self, fn: Callable[[], T]) -> T:
        """Do *fn*, and wait for its end whatever happens: it has effects.

        Cancelled meanwhile, its caller ends when it has ended.
        """
        async with self._places:
            done: list[T] = []
            with trio.CancelScope(shield=True):
                done.append(await self.outside.worker().run(fn))
            return done[0]

    async def through(
        self, steps: Steps[T], seconds: float, *, search: bool = False
    ) -> T | None:
        """Do *steps* to their end; None: that was not reached in *seconds*.

        A *search* does not wait for a disk but computes, in the same interpreter as the
        event loop: of these only one has its turn at a time.
        """
        work = _Work(steps)
        places = self._searching if search else self._places
        deadline = trio.current_time() + seconds
        try:
            while trio.current_time() < deadline:
                async with places:
                    ended = await self.outside.worker().run(work.go_on)
                if ended is not None:
                    return ended.value
        finally:
            work.give_up()
        return None

    @contextlib.asynccontextmanager
    async def alone_with(self, paths: Sequence[str]) -> AsyncGenerator[None]:
        """Nobody else of this tenant changes the files at *paths* meanwhile."""
        async with contextlib.AsyncExitStack() as held:
            for path in sorted(set(paths)):
                lock = self._locks.setdefault(path, trio.Lock())
                held.callback(self._drop, path, lock)
                await held.enter_async_context(lock)
            yield

    def _drop(self, path: str, lock: trio.Lock) -> None:
        """Forget a lock that nobody has and nobody waits for."""
        known = lock.statistics()
        if not known.locked and not known.tasks_waiting:
            self._locks.pop(path, None)

    def statistics(self) -> dict[str, int]:
        """How much is in progress."""
        return {
            "working": self._places.borrowed_tokens,
            "searching": self._searching.borrowed_tokens,
            "waiting": self._places.statistics().tasks_waiting,
            "locked": len(self._locks),
        }
