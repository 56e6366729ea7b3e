"""Files that were found damaged while they were used, until they are seen to be whole.

To look through a file takes as long as it is large, so nobody does at a start. But a
file of which SQLite has said that it is damaged is looked through before it is opened
again, once: as long as it is the same file, the answer is remembered.

Process-wide, as the drivers are: the process that opens a file next is another one than
the process that found it damaged.
"""

from collections.abc import Callable
from pathlib import Path

# What a file is known by, and what is wrong with it; None: nobody has looked yet.
_Identity = tuple[int, int, int]
_suspects: dict[Path, tuple[_Identity, str] | None] = {}


def suspect(path: Path) -> None:
    """SQLite has said that the file is damaged."""
    _suspects[path.resolve()] = None


def verdict(path: Path, look: Callable[[], list[str]]) -> str | None:
    """What is wrong with the file; None: it was never suspected, or is whole."""
    key = path.resolve()
    if key not in _suspects:
        return None
    known, identity = _suspects[key], _identity(path)
    if known is not None and known[0] == identity:
        return known[1]
    found = look()
    if not found:
        del _suspects[key]
        return None
    _suspects[key] = identity, found[0]
    return found[0]


def _identity(path: Path) -> _Identity:
    there = path.stat()
    return there.st_ino, there.st_size, there.st_mtime_ns
