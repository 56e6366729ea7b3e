"""Which files this process has open: what code that handles files may leave behind.

Other threads of the process, and what an earlier test has left to the collector, open and
close sockets, pipes and the kernel's own (epoll, eventfd, pidfd) at any moment. Whoever
only opens files by name opens none of these, so they are not counted.
"""

from pathlib import Path
from typing import Final

_OTHERS: Final = ("socket:", "pipe:", "anon_inode:")


def open_files() -> list[str]:
    """What each open descriptor leads to: files, folders, named pipes, devices.

    To be counted: a file that is removed meanwhile has another name.
    """
    return [name for name in _leads_to() if not name.startswith(_OTHERS)]


def _leads_to() -> list[str]:
    found: list[str] = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found.append(str(entry.readlink()))
        except FileNotFoundError:  # closed meanwhile; that of this list, too
            continue
    return found
