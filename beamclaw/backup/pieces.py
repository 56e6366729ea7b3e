"""Copying a file piece by piece, with its size and sum."""

import hashlib
from collections.abc import Callable
from typing import IO, Final

PIECE: Final = 1024 * 1024
Write = Callable[[bytes], object]


def copy_pieces(source: IO[bytes], write: Write) -> tuple[int, str]:
    """Write all of *source*; how many bytes it was, and their SHA-256 in hexadecimal."""
    size, digest = 0, hashlib.sha256()
    while piece := source.read(PIECE):
        write(piece)
        digest.update(piece)
        size += len(piece)
    return size, digest.hexdigest()
