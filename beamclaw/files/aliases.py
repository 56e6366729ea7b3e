"""Arguments by the names that they have in other programs' tools.

A model that was trained on those uses them. They become ours before anything else looks
at them, so that a path is judged under whichever name it comes; two names for one thing
are refused, because nobody knows which is meant.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, cast

import attrs

from beamclaw.contracts.approvals import Clearance
from beamclaw.contracts.tools import Order, Output, Tool, ToolFailed, ToolSpec
from beamclaw.values import frozen

ALIASES: Final[Mapping[str, str]] = {
    "file_path": "path",
    "filePath": "path",
    "filepath": "path",
    "file": "path",
    "filename": "path",
    "dir": "path",
    "directory": "path",
    "old_string": "oldText",
    "oldString": "oldText",
    "old_str": "oldText",
    "new_string": "newText",
    "newString": "newText",
    "new_str": "newText",
    "contents": "content",
    "file_text": "content",
    "patch": "input",
    "regex": "pattern",
    "case_insensitive": "ignoreCase",
    "-i": "ignoreCase",
}


def normalised(given: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """*given* under our names; *known* are those that the tool has.

    Raises:
        ToolFailed: Something is given under two names.

    >>> normalised({"file_path": "a"}, {"path": {}})
    {'path': 'a'}
    """
    said: dict[str, Any] = {}
    by: dict[str, str] = {}
    for name, value in given.items():
        ours = ALIASES.get(name, name)
        ours = ours if ours in known and name not in known else name
        if ours in said:
            raise ToolFailed(
                f"{by[ours]!r} and {name!r} mean the same here; give {ours!r} alone"
            )
        by[ours] = name
        said[ours] = _inside(value) if ours == "edits" else value
    return said


def _inside(edits: Any) -> Any:
    """The same for each of a list of edits, if it is one."""
    if not isinstance(edits, list):
        return edits
    fields = {"oldText": None, "newText": None}
    return [
        normalised(cast("dict[str, Any]", each), fields)
        if isinstance(each, dict)
        else each
        for each in cast("list[Any]", edits)
    ]


@frozen
class Aliased:
    """A tool whose arguments may come under other names.

    Attributes:
        forgets: Is told that the result of a call is in the journal.
    """

    tool: Tool
    forgets: Callable[[Order], Awaitable[None]]

    @property
    def spec(self) -> ToolSpec:
        """What it is; the model is told of our names only."""
        return self.tool.spec

    async def run(self, order: Order) -> Output:
        """See :class:`beamclaw.contracts.tools.Tool`."""
        return await self.tool.run(self._ours(order))

    async def check(self, order: Order) -> Output | None:
        """See the same."""
        return await self.tool.check(self._ours(order))

    async def clear(self, order: Order) -> Clearance:
        """See the same."""
        return await self.tool.clear(self._ours(order))

    async def forget(self, order: Order) -> None:
        """See :class:`beamclaw.contracts.tools.Forgets`."""
        await self.forgets(order)

    def _ours(self, order: Order) -> Order:
        known = self.spec.parameters["properties"]
        return attrs.evolve(order, arguments=normalised(order.arguments, known))
