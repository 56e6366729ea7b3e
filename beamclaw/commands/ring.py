"""What a command has said: the end of it as text, or all of it as bytes, up to a limit."""

import codecs
import re
from collections import deque
from typing import Final, Protocol

from beamclaw.commands.hiding import Hiding

# Pieces shorter than this grow; else a program that writes letter by letter would have
# as many pieces as letters.
_PIECE: Final = 4096
# Sequences that move, colour and ask a terminal, and characters that show nothing.
_UNSEEN: Final = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])"
    r"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"
)


class Sink(Protocol):
    """Where output goes."""

    def put(self, data: bytes) -> bool:
        """Take more; False: there is too much."""
        ...


class Ring:
    """The last *most* characters of a text that comes as bytes.

    What is not UTF-8 becomes replacement characters. *hiding* keeps secrets out of it.
    """

    def __init__(self, most: int, hiding: Hiding | None = None) -> None:
        self._most = most
        self._hiding = hiding
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._pieces = deque[str]()
        self._kept = 0
        self.total = 0
        """Characters that ever came."""

    @property
    def lost(self) -> int:
        """Characters at the beginning that are not kept any more."""
        return self.total - self._kept

    def put(self, data: bytes) -> bool:
        """See :class:`Sink`; there is never too much."""
        self._add(self._decoder.decode(data), last=False)
        return True

    def finish(self) -> None:
        """No more comes: half a character at the end is none."""
        self._add(self._decoder.decode(b"", final=True), last=True)

    def _add(self, text: str, *, last: bool) -> None:
        if self._hiding is not None:
            text = self._hiding.clean(text, last=last)
        if not text:
            return
        self.total += len(text)
        self._kept += len(text)
        pieces = self._pieces
        if pieces and len(pieces[-1]) + len(text) <= _PIECE:
            pieces[-1] += text
        else:
            pieces.append(text)
        while self._kept > self._most:
            over = self._kept - self._most
            first = pieces.popleft()
            if len(first) > over:
                pieces.appendleft(first[over:])
                self._kept -= over
            else:
                self._kept -= len(first)

    def text(self, start: int = 0) -> str:
        """What is kept from character *start* of all that came."""
        skip = max(0, start - self.lost)
        text = "".join(self._pieces)
        return text[skip:] if skip else text

    def tail(self, most: int) -> str:
        """The last *most* characters at most."""
        found, length = list[str](), 0
        for piece in reversed(self._pieces):
            found.append(piece)
            length += len(piece)
            if length >= most:
                break
        return "".join(reversed(found))[-most:] if most else ""


class Gathered:
    """All that was said, if that is not more than *most* bytes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._bytes = bytearray()

    def put(self, data: bytes) -> bool:
        """See :class:`Sink`."""
        self._bytes += data[: self._most - len(self._bytes) + 1]
        return len(self._bytes) <= self._most

    def whole(self) -> bytes:
        """What there is of it."""
        return bytes(self._bytes[: self._most])


def readable(text: str) -> str:
    """*text* without what is only for a terminal."""
    return _UNSEEN.sub("", text.replace("\r\n", "\n"))
