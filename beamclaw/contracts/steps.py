"""Long work on the event loop, in pieces: a generator that yields between them.

It is decided without I/O what the pieces are; whoever has to wait for all of them lets
the others go on in between.
"""

from collections.abc import Generator
from typing import TypeVar

import trio

T = TypeVar("T")

Steps = Generator[None, None, T]
"""Work that comes to a *T*, and stops now and then on its way."""


async def in_steps(work: Steps[T]) -> T:
    """What *work* comes to; between two of its steps all others have their turn.

    Cancelled, it leaves the work where it was.
    """
    while True:
        try:
            next(work)
        except StopIteration as done:
            return done.value
        await trio.lowlevel.checkpoint()


def at_once(work: Steps[T]) -> T:
    """What *work* comes to, without a pause."""
    while True:
        try:
            next(work)
        except StopIteration as done:
            return done.value
