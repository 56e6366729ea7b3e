"""Reads the files that a configuration includes; what of them it refuses, OpenClaw does.

Everything here blocks.
"""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

import attrs

from beamclaw.config.document import MAX_BYTES
from beamclaw.config.including import CannotInclude, Open


@attrs.define
class Shelf:
    """Gives what files in a folder say; each is read once.

    So what was judged is what was counted into the hash, whoever writes meanwhile.

    Attributes:
        root: The folder of the configuration.
    """

    root: Path
    _read: dict[Path, str | CannotInclude] = attrs.field(
        factory=dict[Path, "str | CannotInclude"], init=False, repr=False
    )

    def __call__(self, file: Path) -> str:
        """See :data:`~beamclaw.config.including.Open`."""
        if file not in self._read:
            try:
                self._read[file] = _text(file, self.root)
            except CannotInclude as error:
                self._read[file] = error
        said = self._read[file]
        if isinstance(said, CannotInclude):
            raise said
        return said


def texts_of(texts: Mapping[Path, str]) -> Open:
    """Gives what files said at another time."""

    def read(file: Path) -> str:
        if file not in texts:
            raise CannotInclude("was not kept")
        return texts[file]

    return read


def _text(file: Path, root: Path) -> str:
    try:
        real = Path(os.path.realpath(file, strict=True))
        if not real.is_relative_to(os.path.realpath(root)):
            raise CannotInclude(f"is a link that leads out of the folder {root}")
        raw = _bytes(real)
    except OSError as error:
        raise CannotInclude(f"cannot be read: {error.strerror}") from None
    if len(raw) > MAX_BYTES:
        raise CannotInclude(f"is larger than {MAX_BYTES} bytes")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise CannotInclude(f"is not UTF-8 text, in line {line}") from None


def _bytes(real: Path) -> bytes:
    # Not through a link that was put in its place since, and not waiting for a pipe.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    handle = os.open(real, flags)
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise CannotInclude("is no file")
        if found.st_nlink > 1:
            # The other name may be anywhere, where others write.
            words = "has a second name, a hard link; copy it, and include the copy"
            raise CannotInclude(words)
        with os.fdopen(handle, "rb", closefd=False) as opened:
            return opened.read(MAX_BYTES + 1)
    finally:
        os.close(handle)
