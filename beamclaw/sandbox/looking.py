"""Looking at the machine: what is there. Whether it works is tried by starting it."""

import os
import platform
import shutil
import sys
from pathlib import Path
from typing import Final

from beamclaw.contracts.sandbox import Machine
from beamclaw.sandbox.cgroups import Tree

_LINUX_ONLY: Final = "it is there on Linux only"
_ABSENT: Final = "it is not installed (apt install bubblewrap)"
# Never from a folder that a command may write to.
_PLACES: Final = "/usr/bin:/bin:/usr/local/bin:/run/current-system/sw/bin"
_FOLDERS: Final = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")


def look(tree: Tree | None = None) -> Machine:
    """What the machine has, as far as that can be said without starting anything.

    Called off the event loop. Leftovers of dead nodes are removed.
    """
    if sys.platform != "linux":
        return Machine(why=_LINUX_ONLY, why_no_cgroups="this is not Linux")
    tree = tree or Tree()
    found = tree.find()
    tree.sweep(found)
    program = shutil.which("bwrap", path=_PLACES) or ""
    present = [path for path in map(Path, _FOLDERS) if path.is_dir()]
    return Machine(
        root=os.geteuid() == 0,
        bubblewrap=program,
        why="" if program else _ABSENT,
        links=tuple((str(p), str(p.readlink())) for p in present if p.is_symlink()),
        folders=tuple(str(p) for p in present if not p.is_symlink()),
        cgroups=found,
        why_no_cgroups="" if found else "no cgroup can be made here",
    )


def processor() -> str:
    """The kind of the machine's processor."""
    return platform.machine()
