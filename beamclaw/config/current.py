"""The configuration in force: read at each use by whoever can go on with another one.

A table like the runtime's own, not a process: its one writer is the process ``config``,
and nobody waits for it. What is made of it once, and kept, is made again when it changes.
"""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Concatenate, Generic, ParamSpec, TypeVar

from beamclaw.config.schema import Config
from beamclaw.config.writing.documents import Change

P = ParamSpec("P")
T = TypeVar("T")


class Current:
    """See the module.

    Args:
        config: What holds at first.

    Attributes:
        read: What of it was read, with nothing added.
        before: What held before a change that is under way: parts may still be by it.
            Whoever carries the change out may die; the next one goes on. None: there is
            none.
        files: Others than its file that it is made of, or was to be.
        left: What the file says otherwise than what holds, and waits for the next start.
        trouble: Why the file cannot be used, in words; empty, if it can.
        warnings: What is probably a mistake in what holds, in words.
    """

    def __init__(self, config: Config, read: Config | None = None) -> None:
        self._config = config
        self.read = read or config
        self.before: Config | None = None
        self.files = self.read.files
        self.left: Sequence[Change] = ()
        self.trouble = ""
        self.warnings: Sequence[str] = ()

    @property
    def config(self) -> Config:
        """What holds now. Whoever keeps it goes on with it."""
        return self._config

    def change(self, config: Config) -> None:
        """From now on *config* holds. For the process ``config`` alone."""
        self._config = config

    def reading(self, fn: Callable[Concatenate[Config, P], T]) -> Callable[P, T]:
        """*fn*, given what holds at the time of each call as its first argument."""

        @wraps(fn)
        def read(*args: P.args, **kwargs: P.kwargs) -> T:
            return fn(self._config, *args, **kwargs)

        return read

    def made(self, make: Callable[[Config], T]) -> "Made[T]":
        """What *make* makes of it, made again after each change by whoever asks first."""
        return Made(self, make)


class Made(Generic[T]):
    """What is made of the configuration in force; called, it gives it."""

    def __init__(self, current: Current, make: Callable[[Config], T]) -> None:
        self._current = current
        self._make = make
        self._of: Config | None = None
        self._value: T | None = None

    def __call__(self) -> T:
        """What holds now, made of it: the same object until it changes."""
        if self._of is not self._current.config or self._value is None:
            config = self._current.config
            self._value, self._of = self._make(config), config
        return self._value
