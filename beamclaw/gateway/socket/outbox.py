"""What waits to be sent to one client: bounded, and nobody waits for it.

Giving it something is synchronous. A client that reads too slowly first loses events
that may be lost; it sees that in their numbers, which go on counting. When what may not
be lost has no room either, the client is given up. No I/O: the client's process sends.
"""

from collections import deque
from typing import Final

import attrs

from beamclaw.gateway import frames
from beamclaw.gateway.socket import wire

# One write takes at most this much together.
WRITE_BYTES: Final = 64 * 1024
# From this part of the limit on events that may be lost are lost.
LOSSY_PART: Final = 0.5


class Full(Exception):  # noqa: N818 -- a situation
    """What may not be lost has no room: the client reads too slowly."""


@attrs.define
class Outbox:
    """See the module.

    Attributes:
        limit: Bytes that may wait.
        size: Bytes that wait.
        number: Of the last event; also those that were lost are counted.
        lost: Events that were lost.
    """

    limit: int
    size: int = 0
    number: int = 0
    lost: int = 0
    _waiting: deque[bytes] = attrs.field(factory=deque[bytes])

    def event(self, event: bytes, *, lossy: bool) -> None:
        """An event, see :func:`beamclaw.gateway.frames.event`.

        Raises:
            Full: It may not be lost, and there is no room.
        """
        self.number += 1
        if lossy and self.size > self.limit * LOSSY_PART:
            self.lost += 1
            return
        self.frame(frames.numbered(event, self.number))

    def frame(self, data: bytes) -> None:
        """A text frame that may not be lost.

        Raises:
            Full: There is no room.
        """
        # One frame may be larger than the room, or no large answer could be given.
        if self.size > self.limit:
            raise Full
        self.raw(wire.text(data))

    def raw(self, data: bytes) -> None:
        """Bytes of the protocol below, which need no room."""
        self._waiting.append(data)
        self.size += len(data)

    def take(self) -> bytes:
        """What is to be sent next; empty: nothing. It counts until :meth:`sent`."""
        if not self._waiting:
            return b""
        if len(self._waiting) == 1:
            return self._waiting.popleft()
        pieces = [self._waiting.popleft()]
        room = WRITE_BYTES - len(pieces[0])
        while self._waiting and len(self._waiting[0]) <= room:
            room -= len(self._waiting[0])
            pieces.append(self._waiting.popleft())
        return b"".join(pieces)

    def sent(self, size: int) -> None:
        """*size* bytes of what was taken have left."""
        self.size -= size

    def clear(self) -> None:
        """Drop what waits; what was taken is on its way."""
        self.size -= sum(map(len, self._waiting))
        self._waiting.clear()
