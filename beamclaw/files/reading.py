"""A file shown to a model: lines of a text, or a picture."""

import base64
import os
from typing import Final

import attrs

from beamclaw.config.schema import FilesConfig
from beamclaw.contracts.messages import Image
from beamclaw.contracts.steps import Steps
from beamclaw.contracts.tools import Output, ToolFailed
from beamclaw.files.text import BOM
from beamclaw.paths import Roots, find

# Bytes that are read in one step.
PIECE: Final = 1024 * 1024
_HEAD: Final = 8192
# Up to here a file is read to its end, only to tell how many lines it has.
_COUNTED: Final = 16 * PIECE

_PICTURES: Final = (
    (b"\x89PNG\r\n\x1a\n", b"", "image/png"),
    (b"\xff\xd8\xff", b"", "image/jpeg"),
    (b"GIF87a", b"", "image/gif"),
    (b"GIF89a", b"", "image/gif"),
    (b"RIFF", b"WEBP", "image/webp"),
)


def picture(head: bytes) -> str | None:
    """Which kind of picture begins with *head*; None: it is none that is shown."""
    return next(
        (
            kind
            for first, at_8, kind in _PICTURES
            if head.startswith(first) and head[8 : 8 + len(at_8)] == at_8
        ),
        None,
    )


def read(
    roots: Roots, path: str, first: int, lines: int, limits: FilesConfig
) -> Steps[Output]:
    """Lines of the text at *path* from number *first* (from 1) on, or the picture there.

    Raises:
        ToolFailed: There is none, or nothing that can be shown.
    """
    with find(roots, path) as spot:
        name, opened = str(spot.place), spot.open_file()
    with os.fdopen(opened, "rb", buffering=0) as file:
        size = os.fstat(opened).st_size
        piece = file.read(_HEAD)
        if kind := picture(piece):
            if size > limits.picture_bytes:
                raise ToolFailed(
                    f"{name} is a picture of {size:,} bytes; at most "
                    f"{limits.picture_bytes:,} are shown (tools.files.picture_bytes)"
                )
            return _picture(piece + file.read(limits.picture_bytes), kind, name)
        if b"\0" in piece:
            raise ToolFailed(
                f"{name} is binary ({size:,} bytes), neither a text nor a picture that "
                "can be shown (PNG, JPEG, GIF, WebP)"
            )
        page, seen = _Page(first, lines, limits), 0
        while piece and not (page.full and seen > _COUNTED):
            seen += len(piece)
            page.add(piece)
            yield
            piece = file.read(PIECE)
        return Output(page.told(name, ended=not piece))


def _picture(data: bytes, kind: str, name: str) -> Output:
    shown = Image(data=base64.b64encode(data).decode(), media_type=kind)
    return Output(f"{name}: {kind}, {len(data):,} bytes", media=(shown,))


@attrs.define
class _Page:
    """The lines that are shown, of a file that comes in pieces of any size."""

    first: int
    lines: int
    limits: FilesConfig
    full: bool = attrs.field(default=False, init=False)
    _number: int = attrs.field(default=1, init=False)
    _shown: list[str] = attrs.field(factory=list[str], init=False)
    _chars: int = attrs.field(default=0, init=False)
    # Of the line that is not at its end yet: how it begins, and its bytes so far.
    _begin: bytes = attrs.field(default=b"", init=False)
    _length: int = attrs.field(default=0, init=False)

    def add(self, piece: bytes) -> None:
        """What comes next in the file."""
        at = 0
        while at < len(piece):
            left = piece.count(b"\n", at)
            if self.full or self._number + left < self.first:
                self._pass(piece, at, left)
                return
            end = piece.find(b"\n", at)
            stop = len(piece) if end < 0 else end
            if self._number >= self.first:
                self._take(piece, at, stop)
            else:
                self._length += stop - at
            if end >= 0:
                self._end_line()
            at = stop + 1

    def _pass(self, piece: bytes, at: int, lines: int) -> None:
        self._number += lines
        last = piece.rfind(b"\n", at)
        self._length = len(piece) - last - 1 if last >= 0 else self._length + 1

    def _take(self, piece: bytes, at: int, stop: int) -> None:
        room = 4 * self.limits.line_chars - len(self._begin)
        self._begin += piece[at : min(stop, at + max(room, 0))]
        self._length += stop - at

    def _end_line(self) -> None:
        if self._number >= self.first:
            self._show()
        self._number += 1
        self._begin, self._length = b"", 0

    def _show(self) -> None:
        line = self._begin.decode(errors="replace").removesuffix("\r")
        if self._number == 1:
            line = line.removeprefix(BOM)
        if len(line) > self.limits.line_chars or self._length > len(self._begin):
            line = line[: self.limits.line_chars]
            line += f"… [the line has {self._length:,} bytes]"
        if self._shown and self._chars + len(line) > self.limits.read_chars:
            self.full = True
            return
        self._shown.append(line)
        self._chars += len(line) + 1
        self.full = len(self._shown) >= self.lines

    def told(self, name: str, *, ended: bool) -> str:
        """What the model gets; *ended*: the file was read to its end."""
        if self._length and not self.full:
            self._end_line()
        elif self._length:
            self._number += 1
        total = self._number - 1
        if not total:
            return f"[{name} is empty]"
        if not self._shown:
            raise ToolFailed(f"{name} has only {total:,} lines; choose a lower offset")
        text = "\n".join(self._shown)
        last = self.first + len(self._shown) - 1
        if ended and last >= total:
            return text
        of = f"{total:,}" if ended else "more"
        return (
            f"{text}\n\n[lines {self.first:,} to {last:,} of {of}; go on with "
            f"offset={last + 1}]"
        )
