"""Whether files have changed, without reading them. In a thread: it asks the disk."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from beamclaw.values import frozen

Mark = tuple[int, int, int, int] | None
"""What changes of a file or folder whenever somebody writes there; None: it is not there.
The time of change is the kernel's: nobody sets it back."""


def mark(path: str | Path) -> Mark:
    """How *path* is now."""
    try:
        found = os.stat(path)  # noqa: PTH116 -- of many, often: a Path costs more than the look
    except (OSError, ValueError):
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


@frozen
class Marks:
    """Files and folders as they were when they were looked at."""

    of: Mapping[str, Mark]

    @classmethod
    def take(cls, paths: Iterable[str | Path]) -> "Marks":
        """As they are now."""
        return cls({str(path): mark(path) for path in paths})

    @property
    def unchanged(self) -> bool:
        """Whether they still are like that."""
        return all(mark(path) == was for path, was in self.of.items())
