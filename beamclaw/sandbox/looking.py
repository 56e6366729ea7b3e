"""Looking at the machine: what is there. Whether it works is tried by starting it."""

import ctypes
import os
import platform
import shutil
import sys
from pathlib import Path
from typing import Final

from beamclaw.contracts.sandbox import Machine
from beamclaw.sandbox.cgroups import Tree
from beamclaw.sandbox.ending import System, why_group_only

_LINUX_ONLY: Final = "it is there on Linux only"
_ABSENT: Final = "it is not installed (apt install bubblewrap)"
# Never from a folder that a command may write to.
_PLACES: Final = "/usr/bin:/bin:/usr/local/bin:/run/current-system/sw/bin"
_GET_CHILD_SUBREAPER: Final = 37
_FOLDERS: Final = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")


def bubblewrap() -> str:
    """The program that isolates, where a system keeps its own; empty: there is none."""
    return shutil.which("bwrap", path=_PLACES) or ""


def look(tree: Tree | None = None) -> Machine:
    """What the machine has, as far as that can be said without starting anything.

    Called off the event loop. Leftovers of dead nodes are removed.
    """
    if sys.platform != "linux":
        return Machine(
            root=os.geteuid() == 0,
            why=_LINUX_ONLY,
            why_no_cgroups="this is not Linux",
            group_only=why_group_only(System(linux=False)),
        )
    tree = tree or Tree()
    found = tree.find()
    tree.sweep(found)
    program = bubblewrap()
    present = [path for path in map(Path, _FOLDERS) if path.is_dir()]
    return Machine(
        root=os.geteuid() == 0,
        bubblewrap=program,
        why="" if program else _ABSENT,
        links=tuple((str(p), str(p.readlink())) for p in present if p.is_symlink()),
        folders=tuple(str(p) for p in present if not p.is_symlink()),
        cgroups=found,
        why_no_cgroups="" if found else "no cgroup can be made here",
        group_only=why_group_only(system()),
    )


def system() -> System:
    """What this Linux has of what the launcher needs to end all of a command."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    found = ctypes.c_int()
    return System(
        proc=Path("/proc/self").is_dir(),
        subreaper=prctl(_GET_CHILD_SUBREAPER, ctypes.byref(found), 0, 0, 0) == 0,
        pidfd=_has_handles(),
    )


def _has_handles() -> bool:
    try:
        handle = os.pidfd_open(os.getpid())
    except (AttributeError, OSError):
        return False
    os.close(handle)
    return True


def processor() -> str:
    """The kind of the machine's processor."""
    return platform.machine()
