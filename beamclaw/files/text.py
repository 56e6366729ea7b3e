r"""The text of a file, so that what is not changed stays as it was, byte for byte.

Files have a mark at their beginning or none, end their lines in one way or another, the
last one perhaps not at all. A model sees none of that and writes ``\n``; whatever it
writes gets the endings of its surroundings.
"""

from bisect import bisect_left

from beamclaw.contracts.tools import ToolFailed
from beamclaw.values import frozen

BOM = "\ufeff"


def decoded(data: bytes, name: str) -> str:
    """The text in *data*, with its mark and its endings.

    Raises:
        ToolFailed: It is no text, or none in UTF-8; *name* is for the words.
    """
    if b"\0" in data:
        raise ToolFailed(f"{name} is binary ({len(data):,} bytes), not a text")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ToolFailed(
            f"{name} is not UTF-8: byte {data[error.start]:#04x} at {error.start:,}; "
            "it is left as it is"
        ) from None


def plain(text: str) -> str:
    r"""*text* with all its lines ended by ``\n``."""
    return text.replace("\r\n", "\n")


@frozen
class Marked:
    """A file's text without its mark.

    Attributes:
        raw: With the endings it has.
        bom: It began with a mark.
    """

    raw: str
    bom: bool = False

    @classmethod
    def of(cls, text: str) -> "Marked":
        """Take the mark off."""
        return cls(text.removeprefix(BOM), text.startswith(BOM))

    def whole(self, raw: str) -> str:
        """A text with the mark that this one had."""
        return BOM + raw if self.bom else raw

    @property
    def ending(self) -> str:
        """How most of its lines end."""
        both = self.raw.count("\r\n")
        return "\r\n" if 2 * both > self.raw.count("\n") else "\n"


class Mapped:
    """A text as the model sees it, and where in the file each place of that is."""

    def __init__(self, raw: str) -> None:
        self.raw = raw
        self.plain = plain(raw)
        # Places in the plain text of each \n that has a \r before it in the file.
        self._pairs: list[int] = []
        at = raw.find("\r\n")
        while at >= 0:
            self._pairs.append(at - len(self._pairs))
            at = raw.find("\r\n", at + 2)

    def place(self, at: int) -> int:
        """Where *at* of the plain text is in the file; between the two of a pair: before."""
        return at + bisect_left(self._pairs, at)


def line_of(text: str, at: int) -> int:
    """The number of the line in which *at* stands, from 1."""
    return text.count("\n", 0, at) + 1
