"""A reaper: watches over one command, and talks about it with the node."""

import _thread
import json
import os
import resource
import select
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from .becoming import become
from .cgroups import cgroup_name, kill_cgroup, remove_cgroup, starved_in
from .disk import filled
from .processes import (
    changed_until_none,
    descendants,
    force,
    group_of,
    signal_group,
    stat_of,
    tell,
)
from .settings import FORCED_AGAIN_SECONDS, FORCED_MOST, LAST_SECONDS
from .signals import drain, wake_up, watch_over

# Seconds that a reaper leaves it to the launcher, which ends all at a time.
LEAVE_TO_LAUNCHER = 1.0
# Looks until a cgroup is removed whose processes have all ended.
REMOVED_MOST = 50
_LINE = 65_536


def say(control: socket.socket, **words: Any) -> None:
    """A line to the node, if that is still there."""
    try:
        control.sendall(json.dumps(words).encode() + b"\n")
    except OSError:
        pass


class Reaper:
    """Watches over one command: what it starts, that it ends, and that nothing stays."""

    def __init__(self, control: socket.socket, files: list[int], alive: int) -> None:
        self._control = control
        self._files = files
        self._alive = alive
        self._heard = b""
        self._main = 0
        self._over = False
        # When what still lives is ended by force; None: nobody wants it to end.
        self._until: float | None = None
        self._forced = 0
        self._left = 0
        self._grace = 0.0
        self._guarded = False
        self._cgroups = list[str]()
        self._full = ""

    def run(self) -> None:
        """Start it, and stay until all of it is gone."""
        os.setsid()
        watch_over(b"bc-reaper")
        self._wake, self._wakes = wake_up()
        request = self._order()
        if request is None:
            return
        self._grace, self._guarded = request["grace"], request["guarded"]
        failed = self._make_cgroups(request["cgroups"]) or self._start(request)
        for file in self._files:
            os.close(file)
        if failed:
            changed_until_none()
            self._remove_cgroups()
            say(self._control, failed=failed)
            return
        say(self._control, pid=self._main)
        if request["disk"]:
            _thread.start_new_thread(self._look_at_disk, (), request["disk"])
        self._watch()

    def _order(self) -> dict[str, Any] | None:
        """The next line from the node; None: it is gone."""
        while b"\n" not in self._heard:
            more = self._receive()
            if not more:
                return None
            self._heard += more
        line, _, self._heard = self._heard.partition(b"\n")
        return json.loads(line)

    def _receive(self) -> bytes:
        try:
            return self._control.recv(_LINE)
        except ConnectionError:
            return b""

    def _make_cgroups(self, wanted: Sequence[Mapping[str, Any]]) -> str:
        """Make the command's cgroups; why that failed, or nothing."""
        me = stat_of(os.getpid())
        name = cgroup_name(os.getpid(), me[19] if me else "0")
        try:
            for each in wanted:
                folder = f"{each['folder']}/{name}"
                os.mkdir(folder)
                self._cgroups.append(folder)
                for file, text in each["settings"].items():
                    with open(f"{folder}/{file}", "w") as opened:
                        opened.write(text)
        except OSError as error:
            return f"its cgroup: {error.strerror}"
        return ""

    def _remove_cgroups(self) -> int:
        """They are empty, or will be; how many died since memory was short."""
        starved = 0
        for folder in self._cgroups:
            starved = max(starved, starved_in(folder))
            remove_cgroup(folder, REMOVED_MOST)
        return starved

    def _look_at_disk(self, **disk: Any) -> None:
        """In a thread: ends with this process."""
        self._full = filled(**disk)
        os.write(self._wakes, b"d")

    def _start(self, request: Mapping[str, Any]) -> str:
        """Begin the command; why that failed, or nothing."""
        reads, writes = os.pipe()
        try:
            self._main = os.fork()
        except OSError as error:
            return f"no process can be made: {error.strerror}"
        if self._main == 0:
            become(request, self._files, writes, self._cgroups)
        os.close(writes)
        with os.fdopen(reads, "rb") as file:  # ends when the program has begun
            return file.read().decode()

    def _watch(self) -> None:
        poll = select.poll()
        for handle in (self._control.fileno(), self._alive, self._wake):
            poll.register(handle, select.POLLIN)
        self._obey()  # it may have come together with the command
        while self._look():
            left = None
            if self._until is not None:
                left = max(0.0, self._until - time.monotonic()) * 1000
            ready = {handle for handle, _ in poll.poll(left)}
            drain(self._wake)
            if self._full:
                say(self._control, full=self._full)
                self._full = ""
                self._end(0.0)
            if self._alive in ready:
                poll.unregister(self._alive)
                self._end(LAST_SECONDS)
            if self._control.fileno() in ready:
                more = self._receive()
                self._heard += more
                if not more:
                    poll.unregister(self._control)
                    self._abandoned()
            self._obey()

    def _obey(self) -> None:
        """Do what the node has said."""
        while b"\n" in self._heard:
            order = self._order() or {}
            if "end" in order:
                self._end(order["end"])
            elif not self._over:
                self._signal(order["signal"])

    def _signal(self, number: int) -> None:
        """To the group of the command; past a guard, whose end would be the end of all."""
        if not self._guarded:
            signal_group(self._main, number)
            return
        for each in descendants(os.getpid()):
            if each.pid != self._main and group_of(each.pid) == self._main:
                tell(each, number)

    def _abandoned(self) -> None:
        """Nobody wants it any more. Most often the node died: then the launcher acts."""
        if self._until is None:
            until = time.monotonic() + LEAVE_TO_LAUNCHER
            while changed_until_none():
                left = until - time.monotonic()
                if left <= 0:
                    return self._end(LAST_SECONDS)
                select.select([self._wake], [], [], left)
                drain(self._wake)
        return None

    def _end(self, seconds: float) -> None:
        """Ask all to end, and force them after that time; the shortest one counts."""
        until = time.monotonic() + seconds
        if self._until is not None:
            self._until = min(self._until, until)
            return
        self._until = until
        if not (self._over or self._guarded):
            # Where there is no list of processes, its group is all.
            signal_group(self._main, signal.SIGTERM)
        others = [each for each in descendants(os.getpid()) if each.pid != self._main]
        self._left = len(others) if self._over else 0
        for each in others:
            tell(each, signal.SIGTERM, signal.SIGCONT)

    def _look(self) -> bool:
        """Who has ended; False: nobody is left, or what is left cannot be ended."""
        try:
            while (ended := os.wait4(-1, os.WNOHANG))[0]:
                if ended[0] == self._main:
                    self._ended(ended[1], ended[2])
        except ChildProcessError:
            self._gone(0)
            return False
        if self._over and self._until is None:
            self._end(self._grace)
        if self._until is None or time.monotonic() < self._until:
            return True
        if self._forced == FORCED_MOST:
            self._gone(len(descendants(os.getpid())))
            return False
        self._force()
        return True

    def _gone(self, stuck: int) -> None:
        starved = self._remove_cgroups()
        say(self._control, gone=True, left=self._left, stuck=stuck, starved=starved)

    def _force(self) -> None:
        self._forced += 1
        for folder in self._cgroups:
            kill_cgroup(folder)
        if not self._over:
            signal_group(self._main, signal.SIGKILL)
        force(os.getpid())
        self._until = time.monotonic() + FORCED_AGAIN_SECONDS

    def _ended(self, status: int, used: resource.struct_rusage) -> None:
        self._over = True
        say(
            self._control,
            code=os.waitstatus_to_exitcode(status),
            cpu=used.ru_utime + used.ru_stime,
            memory=used.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        )
