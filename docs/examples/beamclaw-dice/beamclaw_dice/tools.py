"""Two tools with something in common: they are methods of one instance."""

import secrets
from collections import Counter
from typing import Annotated

from beamclaw.toolkit import Range, ToolFailed, tool

Sides = Annotated[int, Range(2, 1_000)]


class Dice:
    """All dice of a node; one instance serves all calls, many at a time."""

    def __init__(self) -> None:
        self._thrown: Counter[int] = Counter()

    @tool(effect="unsafe")
    async def dice(
        self, *, sides: Sides = 6, times: Annotated[int, Range(1, 100)] = 1
    ) -> str:
        """Throw dice, and say what they show.

        Args:
            sides: How many sides a dice has.
            times: How many dice are thrown.
        """
        shown = [secrets.randbelow(sides) + 1 for _ in range(times)]
        self._thrown.update(shown)
        return ", ".join(map(str, shown))

    @tool(effect="pure")
    async def dice_statistics(self) -> dict[str, int]:
        """Say how often each number was thrown since the node has started."""
        if not self._thrown:
            raise ToolFailed("nothing was thrown yet; throw a dice first")
        return {str(number): count for number, count in sorted(self._thrown.items())}
