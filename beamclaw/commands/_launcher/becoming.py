"""The command itself, between fork and exec: it becomes the program, within its limits."""

import fcntl
import os
import resource
import signal
import termios
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from .cgroups import put
from .settings import TAKE_FILES
from .signals import DEAF_TO

# The kernel, short of memory, takes commands before the node.
OOM_SCORE = 500
# And the node goes before commands where the processors are busy.
NICE = 10
# What Python, or we, have changed and a command must find as it is by default.
_AS_BEFORE = (*DEAF_TO, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD)


def become(
    request: Mapping[str, Any], files: list[int], writes: int, cgroups: Sequence[str]
) -> NoReturn:
    """Become the program; if that fails, say why on *writes* and end."""
    step = ""
    above = TAKE_FILES + len(request["inherited"])
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
