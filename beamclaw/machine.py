"""What the operating system says of the node's own process."""

import os
from pathlib import Path
from typing import Final

_MEMORY: Final = Path("/proc/self/statm")
_FILES: Final = Path("/proc/self/fd")


def resident() -> int | None:
    """Bytes of memory that the node occupies; None where the system does not say."""
    try:
        pages = int(_MEMORY.read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None  # not Linux
    return pages * os.sysconf("SC_PAGE_SIZE")


def descriptors() -> int | None:
    """How many files and sockets are open; None where the system does not say."""
    try:
        return len(os.listdir(_FILES))  # noqa: PTH208 -- counts, and makes no paths
    except OSError:
        return None
