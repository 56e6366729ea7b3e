"""Server-sent events out of bytes, wherever the network cut them. No I/O.

Follows the WHATWG text of ``text/event-stream``: lines end with LF, CR or CRLF, ``data``
lines of one event are joined, comment lines and unknown fields are skipped, a byte
order mark at the start is dropped. ``id`` and ``retry`` do not occur at model providers
and are not kept. Bytes are never decoded here, so a character cut in two is whole again
by the time somebody looks at it.
"""

from typing import NamedTuple

import attrs

_BOM = b"\xef\xbb\xbf"


class ServerSentEvent(NamedTuple):
    """One event; *name* is empty where the server gave none."""

    name: bytes
    data: bytes


class EventTooLong(Exception):  # noqa: N818 - a situation
    """One event is longer than *limit* bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"one server-sent event is longer than {limit} bytes")


@attrs.define
class EventSplitter:
    """Give it bytes as they come, take events as they are complete.

    >>> splitter = EventSplitter()
    >>> splitter.feed(b"data: on")
    []
    >>> splitter.feed(b"e" + bytes([10, 10]))
    [ServerSentEvent(name=b'', data=b'one')]

    Attributes:
        limit: Most bytes that one unfinished event may hold.
    """

    limit: int = 16 * 1024 * 1024
    # The unfinished line, in pieces: joined once, so that a long one costs no squares.
    _line: list[bytes] = attrs.field(factory=list[bytes], init=False)
    _data: list[bytes] = attrs.field(factory=list[bytes], init=False)
    _name: bytes = attrs.field(default=b"", init=False)
    # Bytes in _line and in _data: what the limit is about.
    _line_size: int = attrs.field(default=0, init=False)
    _data_size: int = attrs.field(default=0, init=False)
    _first: bool = attrs.field(default=True, init=False)
    # The last byte was CR and ended a line; an LF that follows belongs to it.
    _after_cr: bool = attrs.field(default=False, init=False)

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """Take the next bytes; the events that are complete now.

        Raises:
            EventTooLong: See :attr:`limit`.
        """
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        if b"\r" in chunk:
            self._after_cr = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = chunk.split(b"\n")
        if self._line and len(lines) > 1:
            self._line.append(lines[0])
            lines[0] = b"".join(self._line)
            self._line.clear()
            self._line_size = 0
        rest = lines.pop()
        events = self._take(lines) if lines else []
        if rest:
            self._line.append(rest)
            self._line_size += len(rest)
        if self._line_size + self._data_size > self.limit:
            raise EventTooLong(self.limit)
        return events

    def finish(self) -> list[ServerSentEvent]:
        """Take the end of the stream: what was not closed by an empty line, if any.

        The standard throws such an event away; a server that forgets the last empty
        line is common enough, and a half event shows itself as broken JSON.
        """
        lines = [b"".join(self._line), b""]
        self._line.clear()
        self._line_size = 0
        return self._take(lines)

    def _take(self, lines: list[bytes]) -> list[ServerSentEvent]:
        if self._first:
            self._first = False
            lines[0] = lines[0].removeprefix(_BOM)
        events: list[ServerSentEvent] = []
        for line in lines:
            if line.startswith(b"data:"):
                self._data.append(line[6:] if line[5:6] == b" " else line[5:])
                self._data_size += len(line)
            elif not line:
                if self._data:
                    events.append(ServerSentEvent(self._name, b"\n".join(self._data)))
                    self._data.clear()
                self._name = b""
                self._data_size = 0
            elif line.startswith(b"event:"):
                self._name = line[6:].removeprefix(b" ")
            elif line == b"data":
                self._data.append(b"")
        return events
