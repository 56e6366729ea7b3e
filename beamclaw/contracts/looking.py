"""Looking into the node from elsewhere than its own socket: what the gateway passes on.

The subsystem ``shell`` knows how to look at processes and to take hold of them; a client
of the gateway may ask for that, too. Which orders there are, and what they need, is
decided here, so that one that is added there is not there for clients by itself.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import supervision
from beamclaw.values import frozen

# The method of the gateway, and the event that carries what an order tells meanwhile.
METHOD: Final = "beamclaw.shell"
Send = Callable[[object], Awaitable[None]]


@frozen
class Asker:
    """Who asks: a name for the audit, and the process of their connection."""

    by: str
    connection: supervision.Pid | None = None


# Who asks, which order, its parameters, and where its events go.
Look = Callable[[Asker, str, Mapping[str, Any], Send], Awaitable[object]]

# How processes stand: what anybody sees who may look at the node.
LOOKS: Final = frozenset(
    {
        "look.history",
        "look.info",
        "look.limits",
        "look.names",
        "look.sessions",
        "look.slow",
        "look.top",
        "look.tree",
        "look.turn",
        "look.waiting",
    }
)
# What is inside of them, and whatever changes something: for who administers the node.
INSIDE: Final = frozenset(
    {
        "eval",
        "look.leaks",
        "look.mailbox",
        "look.state",
        "steer.call",
        "steer.fault",
        "steer.kill",
        "steer.replace",
        "steer.restart",
        "steer.resume",
        "steer.send",
        "steer.suspend",
        "trace",
    }
)


class Failed(Exception):  # noqa: N818 -- becomes an error frame
    """The request cannot be done; *code* for a program, the message for a person."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


async def nothing(
    asker: Asker, order: str, params: Mapping[str, Any], send: Send
) -> object:
    """A :data:`Look` of a node that cannot be looked into."""
    del asker, order, params, send
    raise Failed("unavailable", "this node cannot be looked into")
