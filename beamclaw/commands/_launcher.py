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

import _thread
import ctypes
import fcntl
import json
import os
import resource
import select
import signal
import socket
import stat as modes
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
# And the node goes before commands where the processors are busy.
NICE = 10
# Seconds between two looks at how full the disk is; a file's part of it, at least.
DISK_SECONDS = 0.25
A_FILE = 4096
# Looks until a cgroup is removed whose processes have all ended.
REMOVED_MOST = 50

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


# --- cgroups


def cgroup_name(pid: int, started: str) -> str:
    """Whose it is can be read from it: what a dead reaper leaves is found by that.

    A number of a process means something among those that see the same numbers.
    """
    return f"beamclaw.{numbers_of()}.{pid}.{started}"


def numbers_of() -> str:
    """Who sees the same numbers of processes."""
    try:
        return str(os.stat("/proc/self/ns/pid").st_ino)
    except OSError:
        return "0"


def starved_in(folder: str) -> int:
    """How many processes died of what they wanted; version 2, then 1."""
    for name in ("memory.events", "memory.oom_control"):
        try:
            with open(f"{folder}/{name}") as file:
                lines = [line.split() for line in file]
        except OSError:
            continue
        return next((int(line[1]) for line in lines if line[0] == "oom_kill"), 0)
    return 0


def kill_cgroup(folder: str) -> None:
    """End all that is in it; version 1 has no call for that."""
    put(f"{folder}/cgroup.kill", "1")
    try:
        with open(f"{folder}/cgroup.procs") as file:
            pids = [int(line) for line in file]
    except OSError:
        return
    for pid in pids:
        stat = _stat(pid)
        if stat is not None:
            tell(Process(pid, stat[19]), signal.SIGKILL)


def remove_cgroup(folder: str, looks: int) -> None:
    """Remove it; who has just ended is in it for another moment."""
    for _ in range(looks):
        try:
            os.rmdir(folder)
        except FileNotFoundError:
            return
        except OSError:
            kill_cgroup(folder)
            select.select([], [], [], 0.01)
        else:
            return


# --- the disk


def filled(folders: Sequence[str], most: int, spare: int) -> str:
    """Returns as soon as the command has filled the disk, with how."""
    # The clock of the files' dates is a little behind.
    since = time.time() - 2.0
    room = {folder: _room(folder) for folder in folders}
    while True:
        began = time.monotonic()
        for folder, before in room.items():
            now = _room(folder)
            room[folder] = max(before, now)
            lost = before[0] - now[0]
            if lost <= most:
                continue
            # Others may have done that, too. Which files there are takes longer.
            if written(folder, since, most) > most:
                return f"it has written more than {most} bytes to {folder}"
            if now[1] < spare:
                return (
                    f"the disk of {folder} was nearly full, {lost} bytes since it began"
                )
        took = time.monotonic() - began
        select.select([], [], [], max(DISK_SECONDS, 10 * took))


def _room(folder: str) -> tuple[int, int]:
    """Bytes that are free, with A_FILE for each further file; those for everybody."""
    try:
        room = os.statvfs(folder)
    except OSError:
        return 0, 0
    size = room.f_frsize
    return room.f_bfree * size + room.f_ffree * A_FILE, room.f_bavail * size


def written(folder: str, since: float, most: int) -> int:
    """Bytes of the files in *folder* that were changed after *since*, until *most*.

    What cannot be looked at counts as more: it was hidden.
    """
    seen, total, todo = set[tuple[int, int]](), 0, [folder]
    found = _open_without_name(folder)
    while True:
        for each in found:
            if modes.S_ISDIR(each.status.st_mode):
                todo.append(each.path)
            key = (each.status.st_dev, each.status.st_ino)
            if each.status.st_ctime >= since and key not in seen:
                seen.add(key)
                total += max(each.status.st_blocks * 512, A_FILE)
        if not todo or total > most:
            return total
        try:
            found = _in_folder(todo.pop())
        except FileNotFoundError:
            found = []
        except OSError:
            return most + 1


class File(NamedTuple):
    """Where one was found, and what is known of it."""

    path: str
    status: os.stat_result


def _in_folder(folder: str) -> list[File]:
    found = list[File]()
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                found.append(File(entry.path, entry.stat(follow_symlinks=False)))
            except FileNotFoundError:
                pass  # it was deleted
    return found


def _open_without_name(folder: str) -> list[File]:
    """Files that were deleted, and that the command holds open."""
    held = list[File]()
    try:
        device = os.stat(folder).st_dev
    except OSError:
        return held
    for each in descendants(os.getpid()):
        for path in _paths(f"/proc/{each.pid}/fd"):
            try:
                status = os.stat(path)
            except OSError:
                continue  # it was closed
            kind = modes.S_ISREG(status.st_mode), status.st_nlink, status.st_dev
            if kind == (True, 0, device):
                held.append(File(path, status))
    return held


def _paths(folder: str) -> list[str]:
    try:
        return [f"{folder}/{name}" for name in os.listdir(folder)]
    except OSError:
        return []  # it has ended


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
        me = _stat(os.getpid())
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
            _signal_group(self._main, number)
            return
        for each in descendants(os.getpid()):
            if each.pid != self._main and _group(each.pid) == self._main:
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


def become(
    request: Mapping[str, Any], files: list[int], writes: int, cgroups: Sequence[str]
) -> NoReturn:
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
        for folder in cgroups:
            with open(f"{folder}/cgroup.procs", "w") as file:
                file.write("0")
        put("/proc/self/oom_score_adj", str(OOM_SCORE))
        os.nice(NICE)
        step = "its open files: "
        _open_files(request, files, above)
        step = "its working folder: "
        os.chdir(request["cwd"])
        step = "its limits: "
        for kind, most in request["limits"].items():
            limit(getattr(resource, kind), most + others_of(kind))
        step = ""
        os.execve(request["path"], request["argv"], request["env"])
    except Exception as error:
        words = str(error)
        if isinstance(error, OSError) and error.errno:
            words = os.strerror(error.errno)
        os.write(writes, f"{step}{words}".encode())
    finally:
        os._exit(127)


def others_of(kind: str) -> int:
    """What counts against a limit already: all processes of the user, for one.

    Those, too, that are over and that nobody has taken leave of yet.
    """
    if kind != "RLIMIT_NPROC" or not os.path.isdir("/proc/self"):
        return 0
    count = 0
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.stat(f"/proc/{name}").st_uid == os.getuid():
                count += len(os.listdir(f"/proc/{name}/task"))
        except OSError:
            pass  # it has ended
    return count


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
