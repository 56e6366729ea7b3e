"""What a launcher and a reaper are to the system: subreapers, deaf, and woken by a child."""

import ctypes
import os
import signal
import sys

_SET_CHILD_SUBREAPER, _SET_NAME = 36, 15
DEAF_TO = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def watch_over(name: bytes) -> None:
    """Become who orphans below come to, deaf to what ends others, under this name."""
    for number in DEAF_TO:
        signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":
        prctl = ctypes.CDLL(None, use_errno=True).prctl
        prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        prctl(_SET_NAME, ctypes.c_char_p(name), 0, 0, 0)


def wake_up() -> tuple[int, int]:
    """A pipe that can be read as soon as a child has changed."""
    reads, writes = os.pipe()
    for end in (reads, writes):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, _nothing)
    signal.set_wakeup_fd(writes, warn_on_full_buffer=False)
    return reads, writes


def _nothing(*_: object) -> None:
    """The number of the signal is in the pipe; that is enough."""


def drain(reads: int) -> None:
    """Take what is in a pipe."""
    try:
        while os.read(reads, 4096):
            pass
    except BlockingIOError:
        pass
