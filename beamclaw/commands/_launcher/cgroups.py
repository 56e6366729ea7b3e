"""The cgroups of one command: how they are called, what they tell, how they are ended."""

import os
import select
import signal

from .processes import Process, stat_of, tell


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
        stat = stat_of(pid)
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


def put(path: str, text: str) -> None:
    """Write to a file of the kernel, where there is one."""
    try:
        with open(path, "w") as file:
            file.write(text)
    except OSError:
        pass
