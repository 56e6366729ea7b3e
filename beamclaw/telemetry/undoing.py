"""Taking back what a sink has set up outside of its process."""

from collections.abc import Callable

import attrs


@attrs.define
class Undo:
    """Steps that take it back; one of these for each module that has a sink.

    Module-wide, as the tables of listeners are: a process that was killed could not take
    its listener out itself, and its successor does.
    """

    _steps: list[Callable[[], None]] = attrs.Factory(list[Callable[[], None]])

    def __bool__(self) -> bool:
        return bool(self._steps)

    def by(self, *steps: Callable[[], None]) -> None:
        """What was set up is taken back by *steps*."""
        self._steps += steps

    def run(self) -> None:
        """Take all of it back; nothing if there is nothing."""
        steps = self._steps.copy()
        self._steps.clear()
        for step in steps:
            step()
