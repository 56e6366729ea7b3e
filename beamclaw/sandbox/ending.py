"""How far the end of a command reaches on a machine, decided from what its system has.

What a command has put aside (``setsid``, a second fork) is ended only where orphans come
to the launcher, can be listed, and are met by a signal that no other process can get. If
one of these is not there, the process group of a command is all that is ended.
"""

from typing import Final

from beamclaw.values import frozen


@frozen(kw_only=True)
class System:
    """What the system has.

    Attributes:
        linux: Whether it is one; elsewhere the launcher tries nothing of this.
        proc: Processes are listed in ``/proc``.
        subreaper: Orphans can be had (``PR_SET_CHILD_SUBREAPER``).
        pidfd: There are handles of processes, for signals to them and no others.
    """

    linux: bool = True
    proc: bool = True
    subreaper: bool = True
    pidfd: bool = True


# The first that is missing is said.
_NEEDED: Final = (
    ("linux", "this is not Linux"),
    ("proc", "/proc is not there"),
    ("subreaper", "this kernel hands orphans to nobody but init (no subreapers)"),
    ("pidfd", "this kernel has no handles of processes (no pidfd)"),
)


def why_group_only(system: System) -> str:
    """Why no more than the group of a command is ended; empty: all of it is."""
    return next((why for name, why in _NEEDED if not getattr(system, name)), "")


def sentence(why: str, *, bubblewrap: bool) -> str:
    """What a person is told of it; empty: there is nothing to tell."""
    if not why:
        return ""
    which = "of a command that is not isolated" if bubblewrap else "of a command"
    return (
        f"{which}, only the process group is ended, and what leaves that (setsid) "
        f"goes on when the command, its session or the node is gone: {why}"
    )
