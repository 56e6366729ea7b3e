"""The launcher: takes orders from the node, makes a reaper for each, and outlives them."""

import os
import select
import signal
import socket
import time
from typing import NoReturn

from .processes import (
    changed,
    changed_until_none,
    descendants,
    force,
    listed,
    tell,
)
from .reaper import Reaper, say
from .settings import FORCED_AGAIN_SECONDS, FORCED_MOST, LAST_SECONDS, TAKE_FILES
from .signals import drain, wake_up


class Launcher:
    """Starts commands, and ends them when the node is gone; see the package."""

    def __init__(self, node: socket.socket) -> None:
        self._node = node
        self._reapers = set[int]()
        # Its other end is in the reapers: it ends with us.
        self._alive, self._lives = os.pipe()
        self._wake, self._wakes = wake_up()

    def run(self) -> None:
        """Start commands until the node is gone; then end them."""
        poll = select.poll()
        poll.register(self._node, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        while True:
            ready = {handle for handle, _ in poll.poll()}
            if self._wake in ready:
                drain(self._wake)
                self._look()
            if self._node.fileno() in ready and not self._take():
                break
        self._end()

    def _take(self) -> bool:
        """Take an order; False: there will be no more."""
        try:
            word, handles, _, _ = socket.recv_fds(self._node, 1, TAKE_FILES)
        except ConnectionError:
            return False
        if not word:
            return False
        for handle in handles:
            os.set_inheritable(handle, False)
        try:
            pid = os.fork()
        except OSError as error:  # no more processes: only this command suffers
            with socket.socket(fileno=handles[0]) as control:
                say(control, failed=f"no process can be made: {error.strerror}")
            handles = handles[1:]
        else:
            if pid == 0:
                self._become_reaper(handles)
            self._reapers.add(pid)
        for handle in handles:
            os.close(handle)
        return True

    def _become_reaper(self, handles: list[int]) -> NoReturn:
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            self._node.close()
            for handle in (self._lives, self._wake, self._wakes):
                os.close(handle)
            Reaper(socket.socket(fileno=handles[0]), handles[1:], self._alive).run()
            code = 0
        finally:
            os._exit(code)

    def _look(self) -> None:
        """Some child has changed."""
        orphans = False
        for pid, status in changed(os.WUNTRACED):
            if os.WIFSTOPPED(status):
                if pid in self._reapers:
                    os.kill(pid, signal.SIGCONT)
            elif pid in self._reapers:
                self._reapers.discard(pid)
                orphans = orphans or status != 0
            else:
                orphans = True
        if orphans:
            self._end_orphans()

    def _end_orphans(self) -> None:
        """A reaper died: what was its is ours, and has nobody who wants it."""
        me, processes = os.getpid(), listed()
        for process, parent in processes.values():
            if parent == me and process.pid not in self._reapers:
                force(process.pid)
                tell(process, signal.SIGKILL)

    def _end(self) -> None:
        """The node is gone: all commands end, first in order, then by force."""
        me = os.getpid()
        for each in descendants(me):
            if each.pid not in self._reapers:
                tell(each, signal.SIGTERM, signal.SIGCONT)
        if self._wait(LAST_SECONDS):
            return
        for tried in range(FORCED_MOST):
            # Reapers go by themselves when theirs have gone, and take their cgroups along:
            # only one that does not is forced, too.
            force(me, self._reapers if tried < FORCED_MOST // 2 else ())
            if self._wait(FORCED_AGAIN_SECONDS):
                return

    def _wait(self, seconds: float) -> bool:
        """Whether all are gone after that time at most."""
        until = time.monotonic() + seconds
        while changed_until_none():
            left = until - time.monotonic()
            if left <= 0:
                return False
            select.select([self._wake], [], [], left)
            drain(self._wake)
        return True
