"""WebSocket (RFC 6455) as whole messages within limits, by wsproto. No I/O.

Only text comes in, nothing is compressed, and no message is kept that is larger than a
limit. What arrives is read piece by piece as it is asked for, so that whoever reads can
let others run between two frames of a flood.
"""

from collections.abc import Iterator
from typing import Final

import attrs
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage

from beamclaw.values import frozen

UNSUPPORTED: Final = 1003
TOO_BIG: Final = 1009
# Text is not sent in pieces: the length of a frame stands in 1, 3 or 9 bytes.
_SHORT: Final = 125
_MEDIUM: Final = 0xFFFF
_TEXT: Final = 0x81
# As long as the other side has not said good-bye.
_OPEN: Final = (ConnectionState.OPEN, ConnectionState.LOCAL_CLOSING)


class Broken(Exception):  # noqa: N818 -- a situation
    """The other side does not keep to the protocol; close with *code*."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@frozen
class Message:
    """A whole text message, as UTF-8."""

    data: bytes


@frozen
class Pinged:
    """The other side wants to know whether we are there."""

    payload: bytes


@frozen
class Ponged:
    """The other side is there."""


@frozen
class Closed:
    """The other side says good-bye."""

    code: int


Arrived = Message | Pinged | Ponged | Closed


@attrs.define
class Wire:
    """One connection after its upgrade.

    Attributes:
        limit: Bytes of a message, at most.
    """

    limit: int
    _connection: Connection = attrs.field(
        factory=lambda: Connection(ConnectionType.SERVER), init=False
    )
    # The message that has not come whole yet. Its bytes, and no list of its pieces: one
    # of two bytes takes thirty times as much as a value of its own.
    _pieces: bytearray = attrs.field(factory=bytearray, init=False)

    def feed(self, data: bytes) -> None:
        """Bytes have come; :meth:`arrived` says what they are."""
        if self._connection.state is not ConnectionState.CLOSED:
            self._connection.receive_data(data)

    def arrived(self) -> Iterator[Arrived | None]:
        """What has come, in order; None: a piece of something, go on.

        Raises:
            Broken: What has come is no WebSocket, or too much.
        """
        for event in self._connection.events():
            match event:
                case TextMessage():
                    yield self._piece(event)
                case BytesMessage():
                    raise Broken(UNSUPPORTED, "text frames only")
                case Ping():
                    yield Pinged(bytes(event.payload))
                case Pong():
                    yield Ponged()
                case CloseConnection():
                    if self._connection.state in _OPEN:
                        # Nobody said it: wsproto's word for what cannot be read.
                        raise Broken(event.code, "protocol error")
                    yield Closed(event.code)
                    return
                case _:
                    pass

    def _piece(self, event: TextMessage) -> Message | None:
        data = event.data.encode()
        if len(self._pieces) + len(data) > self.limit:
            raise Broken(TOO_BIG, "message too large")
        if event.message_finished and not self._pieces:
            return Message(data)
        self._pieces += data
        if not event.message_finished:
            return None
        whole, self._pieces = bytes(self._pieces), bytearray()
        return Message(whole)

    def close(self, code: int, reason: str = "") -> bytes:
        """A good-bye, or the answer to one; empty: it was said before."""
        states = (ConnectionState.OPEN, ConnectionState.REMOTE_CLOSING)
        if self._connection.state not in states:
            return b""
        return self._connection.send(CloseConnection(code, reason or None))

    def pong(self, payload: bytes) -> bytes:
        """The answer to a ping."""
        return self._control(Pong(payload))

    def ping(self) -> bytes:
        """Ask whether the other side is there."""
        return self._control(Ping())

    def _control(self, event: Ping | Pong) -> bytes:
        if self._connection.state is not ConnectionState.OPEN:
            return b""
        return self._connection.send(event)


def text(payload: bytes) -> bytes:
    """*payload*, which is UTF-8, as one frame."""
    size = len(payload)
    if size <= _SHORT:
        return b"%c%c%b" % (_TEXT, size, payload)
    if size <= _MEDIUM:
        return b"%c\x7e%b%b" % (_TEXT, size.to_bytes(2, "big"), payload)
    return b"%c\x7f%b%b" % (_TEXT, size.to_bytes(8, "big"), payload)
