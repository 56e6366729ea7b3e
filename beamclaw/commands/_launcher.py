"""The program that starts commands: ``python -I -S _launcher.py FD``. Imported by nobody.

It is a process of its own so that nothing of a command outlives what it was begun for,
whatever dies and however::

    node --- launcher --- reaper --- the command --- whatever it starts
                      --- reaper --- the command ...

Launcher and reapers are *subreapers*: who loses its parent becomes their child, also
after a double fork or ``setsid``, so all of it can be found and ended. Each knows of the
one above by a pipe that ends with it. The node dies: the launcher ends all. The launcher
dies: each reaper ends its own. A reaper dies (the command may kill it): what it watched
becomes the launcher's, which ends it. A parent-death signal would not do: it is about
the thread that forked, and ``setsid`` does not stop a process from taking it off.

The launcher reads one byte per command, with open files: a socket on which node and
reaper then talk (JSON lines), and the command's standard input and output, or its
terminal alone. It never waits for anything else, so that no command holds up another.

Only a few modules are imported: this must start fast, and be small in memory.
"""

import ctypes
import fcntl
import json
import os
import resource
import select
import signal
import socket
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

# Seconds that commands get to end in order when the node, or the launcher, is gone.
LAST_SECONDS = 1.5
# Seconds that a reaper leaves it to the launcher, which ends all at a time.
LEAVE_TO_LAUNCHER = 1.0
# What could not be ended by force is tried again after these seconds, so many times;
# then it is given up, and said to be stuck.
FORCED_AGAIN_SECONDS = 0.2
FORCED_MOST = 25
# Looks for processes that came while others were stopped, at most.
LOOKS = 20
# The kernel, short of memory, takes commands before the node.
OOM_SCORE = 500

_SET_CHILD_SUBREAPER, _SET_NAME = 36, 15
_DEAF_TO = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
# What Python, or we, have changed and a command must find as it is by default.
_AS_BEFORE = (*_DEAF_TO, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD)
_TAKE_FILES = 3
_LINE = 65_536


# --- processes


class Process(NamedTuple):
    """A process: its number alone may be another one's a moment later."""

    pid: int
    started: str


def listed() -> dict[int, tuple[Process, int]]:
    """All processes that are not over, each with its parent."""
    found: dict[int, tuple[Process, int]] = {}
    for name in os.listdir("/proc") if os.path.isdir("/proc/self") else ():
        if name.isdigit() and (stat := _stat(int(name))) and stat[0] not in "ZX":
            found[int(name)] = Process(int(name), stat[19]), int(stat[1])
    return found


def _stat(pid: int) -> list[str] | None:
    """State, parent, and so on; behind the name, which may contain anything."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            return file.read(4096).decode("ascii", "replace").rpartition(")")[2].split()
    except OSError:
        return None


def descendants(top: int) -> list[Process]:
    """All that come from *top* and live, in no order."""
    processes = listed()
    children: dict[int, list[int]] = {}
    for pid, (_, parent) in processes.items():
        children.setdefault(parent, []).append(pid)
    found, heads = list[Process](), [top]
    while heads:
        below = children.pop(heads.pop(), [])
        heads += below
        found += [processes[pid][0] for pid in below]
    return found


def tell(process: Process, *numbers: int) -> None:
    """Send signals to *process*, and to no other one that has its number by now."""
    try:
        handle = os.pidfd_open(process.pid)
    except (AttributeError, OSError):
        return
    try:
        stat = _stat(process.pid)
        if stat is not None and stat[19] == process.started:
            for number in numbers:
                signal.pidfd_send_signal(handle, number)
    except OSError:
        pass  # it has ended, or is another user's
    finally:
        os.close(handle)


def force(top: int, spare: Sequence[int] = ()) -> int:
    """End all below *top*, now; how many there were.

    They are stopped before they are killed, groups as a whole, so that nothing new comes
    while we look: else a program that forks without end would be faster than we are.
    """
    ours, stopped = os.getpgid(0), set[Process]()
    for _ in range(LOOKS):
        found = [each for each in descendants(top) if each.pid not in spare]
        new = [each for each in found if each not in stopped]
        if not new:
            break
        for group in {_group(each.pid) for each in new} - {ours, 0}:
            _signal_group(group, signal.SIGSTOP)
        for each in new:
            tell(each, signal.SIGSTOP)
        stopped.update(new)
    for each in stopped:
        tell(each, signal.SIGKILL)
    return len(stopped)


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except OSError:
        return 0


def _signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except OSError:
        pass


def watch_over(name: bytes) -> None:
    """Become who orphans below come to, deaf to what ends others, under this name."""
    for number in _DEAF_TO:
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


# --- the launcher


class Launcher:
    """See the module."""

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
            word, handles, _, _ = socket.recv_fds(self._node, 1, _TAKE_FILES)
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
        for _ in range(FORCED_MOST):
            force(me)
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


def changed(options: int = 0) -> list[tuple[int, int]]:
    """Children that have changed, each with its status."""
    found = list[tuple[int, int]]()
    try:
        while (one := os.waitpid(-1, os.WNOHANG | options))[0]:
            found.append(one)
    except ChildProcessError:
        pass
    return found


def changed_until_none() -> bool:
    """Take leave of those that have ended; whether there are others."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


# --- a reaper


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
        self._cgroups = list[str]()

    def run(self) -> None:
        """Start it, and stay until all of it is gone."""
        os.setsid()
        watch_over(b"bc-reaper")
        self._wake, _ = wake_up()
        request = self._order()
        if request is None:
            return
        self._cgroups, self._grace = request["cgroups"], request["grace"]
        failed = self._start(request)
        for file in self._files:
            os.close(file)
        if failed:
            say(self._control, failed=failed)
            return
        say(self._control, pid=self._main)
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

    def _start(self, request: Mapping[str, Any]) -> str:
        """Begin the command; why that failed, or nothing."""
        reads, writes = os.pipe()
        try:
            self._main = os.fork()
        except OSError as error:
            return f"no process can be made: {error.strerror}"
        if self._main == 0:
            become(request, self._files, writes)
        os.close(writes)
        with os.fdopen(reads, "rb") as file:  # ends when the program has begun
            return file.read().decode()

    def _watch(self) -> None:
        poll = select.poll()
        for handle in (self._control.fileno(), self._alive, self._wake):
            poll.register(handle, select.POLLIN)
        while self._look():
            left = None
            if self._until is not None:
                left = max(0.0, self._until - time.monotonic()) * 1000
            ready = {handle for handle, _ in poll.poll(left)}
            drain(self._wake)
            if self._alive in ready:
                poll.unregister(self._alive)
                self._end(LAST_SECONDS)
            if self._control.fileno() in ready and not self._hear():
                poll.unregister(self._control)
                self._abandoned()

    def _hear(self) -> bool:
        """Do what the node says; False: it says no more."""
        more = self._receive()
        self._heard += more
        while b"\n" in self._heard:
            order = self._order() or {}
            if "end" in order:
                self._end(order["end"])
            elif not self._over:
                _signal_group(self._main, order["signal"])
        return bool(more)

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
        if not self._over:  # where there is no list of processes, its group is all
            _signal_group(self._main, signal.SIGTERM)
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
            say(self._control, gone=True, left=self._left, stuck=0)
            return False
        if self._over and self._until is None:
            self._end(self._grace)
        if self._until is None or time.monotonic() < self._until:
            return True
        if self._forced == FORCED_MOST:
            stuck = len(descendants(os.getpid()))
            say(self._control, gone=True, left=self._left, stuck=stuck)
            return False
        self._force()
        return True

    def _force(self) -> None:
        self._forced += 1
        for folder in self._cgroups:
            put(f"{folder}/cgroup.kill", "1")
        if not self._over:
            _signal_group(self._main, signal.SIGKILL)
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


# --- the command itself, between fork and exec


def become(request: Mapping[str, Any], files: list[int], writes: int) -> NoReturn:
    """Become the program; if that fails, say why on *writes* and end."""
    step = ""
    above = _TAKE_FILES + len(request["inherited"])
    writes = fcntl.fcntl(writes, fcntl.F_DUPFD_CLOEXEC, above)
    try:
        os.setsid()
        for number in _AS_BEFORE:
            signal.signal(number, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        if request["pty"]:
            fcntl.ioctl(files[0], termios.TIOCSCTTY, 0)
        step = "its cgroup: "
        for folder in request["cgroups"]:
            with open(f"{folder}/cgroup.procs", "w") as file:
                file.write("0")
        put("/proc/self/oom_score_adj", str(OOM_SCORE))
        step = "its open files: "
        _open_files(request, files, above)
        step = "its working folder: "
        os.chdir(request["cwd"])
        step = "its limits: "
        for kind, most in request["limits"].items():
            limit(getattr(resource, kind), most)
        step = ""
        os.execve(request["argv"][0], request["argv"], request["env"])
    except Exception as error:
        words = str(error)
        if isinstance(error, OSError) and error.errno:
            words = os.strerror(error.errno)
        os.write(writes, f"{step}{words}".encode())
    finally:
        os._exit(127)


def limit(number: int, most: int) -> None:
    """Not more than *most*, nor than was allowed before."""
    hard = resource.getrlimit(number)[1]
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(number, (most, most))


def _open_files(request: Mapping[str, Any], files: list[int], above: int) -> None:
    """Standard input, output and error, then what it inherits from 3 on."""
    sources = [files[0], files[-1], files[-1]]
    if request["drop_errors"]:
        sources[2] = os.open(os.devnull, os.O_WRONLY)
    for each in request["inherited"]:
        file = os.memfd_create("inherited")
        os.write(file, bytes.fromhex(each))
        os.lseek(file, 0, os.SEEK_SET)
        sources.append(file)
    # None of them may be one of those that it finds, and is to be in another place.
    moved = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, above) for each in sources]
    for target, source in enumerate(moved):
        os.dup2(source, target)


def put(path: str, text: str) -> None:
    """Write to a file of the kernel, where there is one."""
    try:
        with open(path, "w") as file:
            file.write(text)
    except OSError:
        pass


def main() -> None:
    """The program."""
    watch_over(b"bc-launcher")
    os.closerange(3, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    node = socket.socket(fileno=os.dup(int(sys.argv[1])))  # which is not inherited
    os.dup2(1, int(sys.argv[1]))
    Launcher(node).run()


if __name__ == "__main__":
    main()
