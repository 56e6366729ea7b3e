"""Orders that do not come by the socket: the gateway's clients look into the node, too.

An order is carried out by a process of its own, as on the socket: it waits for messages
of those that it looks at. It ends with whoever asked.
"""

from collections.abc import Mapping
from typing import Any, Final

import attrs
import trio

import supervision
from beamclaw.contracts.looking import INSIDE, LOOKS, Asker, Failed, Send
from beamclaw.shell.methods import METHODS
from beamclaw.shell.request import Method, Node

PASSED: Final[Mapping[str, Method]] = {
    name: METHODS[name] for name in sorted(LOOKS | INSIDE)
}


@attrs.define(eq=False)
class _Answer:
    """What came of an order; neither value nor error: its process was ended."""

    ready: trio.Event = attrs.field(factory=trio.Event)
    value: tuple[object] | None = None
    error: Exception | None = None


async def look(
    node: Node, asker: Asker, order: str, params: Mapping[str, Any], send: Send
) -> object:
    """A :data:`~beamclaw.contracts.looking.Look` into this node.

    Raises:
        Failed: It cannot be done, in words.
    """
    method = PASSED.get(order)
    if method is None:
        known = ", ".join(PASSED)
        raise Failed("params", f"there is no {order[:60]!r}; there are {known}")
    answer = _Answer()
    asked = attrs.evolve(
        node, by=asker.by, connection=asker.connection, over_gateway=True
    )
    pid = supervision.spawn(_carry_out, asked, method, params, send, answer)
    try:
        await answer.ready.wait()
    finally:
        # It is over, or nobody waits for it any more.
        supervision.exit(pid, supervision.SHUTDOWN)
    if answer.error is not None:
        raise answer.error
    if answer.value is None:
        raise Failed("unavailable", "whoever looked was ended meanwhile")
    return answer.value[0]


async def _carry_out(
    node: Node,
    method: Method,
    params: Mapping[str, Any],
    send: Send,
    answer: _Answer,
) -> None:
    try:
        answer.value = (await method(node, params, send),)
    except Exception as error:  # noqa: BLE001 -- raised again, where it was asked for
        answer.error = error
    finally:
        answer.ready.set()
