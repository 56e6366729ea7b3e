"""Whether whoever speaks to the node is one of its own: a command that an agent has begun.

Such a command runs as the same user, and can open the socket like that user can. It may
look at everything; but it is no person, so it agrees to nothing, and what it says counts
as words of a stranger.
"""

import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

from beamclaw.values import frozen

# Of Linux: pid, uid, gid.
_CREDENTIALS: Final = struct.Struct("3i")
# Processes one above the other; more cannot be looked through.
_MOST: Final = 1_000


@frozen
class Peer:
    """The process on the other side, and its user."""

    pid: int
    uid: int


def peer_of(sock: Any) -> Peer | None:
    """Who is on the other side; None where the system does not tell."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:  # macOS: the rights of folder and socket have to do
        return None
    raw = sock.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size)
    pid, uid, _ = cast("tuple[int, int, int]", _CREDENTIALS.unpack(raw))
    return Peer(pid, uid)


def parent(pid: int) -> int | None:
    """The process that *pid* belongs to; None: it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    # The name before may have any characters in it.
    return int(text.rpartition(") ")[2].split()[1])


def is_below(
    pid: int, top: int, parent_of: Callable[[int], int | None] = parent
) -> bool:
    """Whether process *pid* was begun by *top*, or by one that was.

    What an agent has begun stays below its node: the launcher takes up those whose own
    parent has died. One that is gone already, or above which nothing is found, has
    something to hide. One of another container, whose number the system does not say
    (0), is none of ours.
    """
    if pid <= 0:
        return False
    for _ in range(_MOST):
        above = parent_of(pid)
        if above is None or above == top:
            return True
        if above <= 1:
            return False
        pid = above
    return True
