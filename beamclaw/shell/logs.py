"""The node's log, for ``beamclaw logs``."""

from typing import Final

import supervision
from beamclaw.contracts.logs import NAME, ReadLog
from beamclaw.shell.request import Failed, Node, Params, Send
from beamclaw.shell.show import show_value

MOST: Final = 5_000
"""Lines of one answer."""


async def logs(node: Node, params: Params, send: Send) -> object:
    """The last ``lines``, or those behind a ``cursor``; secrets are left out."""
    del send
    if node.inner:
        raise Failed("refused", "what this node has begun may not read its log")
    cursor, lines = params.get("cursor"), params.get("lines", ReadLog().lines)
    if cursor is not None and not _whole(cursor):
        raise Failed("params", "cursor is a number, or absent")
    if not _whole(lines) or not 1 <= lines <= MOST:
        raise Failed("params", f"lines is a number from 1 to {MOST}")
    read = await supervision.call(NAME, ReadLog(cursor=cursor, lines=lines))
    return show_value(read)


def _whole(value: object) -> bool:
    return type(value) is int and value >= 0
