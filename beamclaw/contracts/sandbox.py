"""Where a command runs: what it can see and reach, and how much it may use.

A command that a model wants is not the person's own. In a sandbox it finds the system's
programs, its workspace and nothing else: no home, no data folder of the node, no socket,
no device, no other process, and a network only where that is allowed. Beside that all of
it together has limits. What of this can be done depends on the machine, so the machine
is looked at (:class:`Machine`), and what cannot be done is said.
"""

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Final, Literal, Protocol

import supervision
from beamclaw.contracts import keys
from beamclaw.contracts.commands import Launch
from beamclaw.values import frozen

Mode = Literal["auto", "bubblewrap", "none"]
"""``bubblewrap``: in a sandbox, or not at all. ``none``: in none. ``auto``: in one where
that works; where it does not, without, but words of strangers need a person's consent."""

Trust = Literal["trusted", "untrusted"]
"""Whose words a command comes from: those of persons that the node is for, or others."""

Network = Literal["never", "trusted", "always"]
"""Which commands have the machine's network. There is nothing between all and none."""

Demand = Literal["never", "untrusted", "always"]
"""Which commands are refused where nothing limits all their processes together."""


class CannotIsolate(Exception):  # noqa: N818 -- a situation
    """Raised where a command may not run as it would have to, in words for the model."""


@frozen(kw_only=True)
class Need:
    """What one command needs.

    Attributes:
        trust: See :data:`Trust`, and :func:`trust_of`.
        writable: Folders that it may change: its workspace.
        readable: Files and folders that it may read, beside the system's.
        closed: What is hidden from it, wherever it lies: the node's own data.
        network: False: it has no network, whatever policy says.
        agreed: A person has agreed to this very command, so it runs also where it can
            not be isolated.
        ours: It is a program of our own that reads what strangers wrote: it is isolated
            as far as that works here, and never refused.
    """

    trust: Trust
    writable: tuple[str, ...] = ()
    readable: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()
    network: bool = True
    agreed: bool = False
    ours: bool = False


class Sandbox(Protocol):
    """Where the commands of an agent run."""

    async def wrap(self, launch: Launch, need: Need) -> Launch:
        """What is started in place of *launch*, with its limits. Nothing is done yet.

        Raises:
            CannotIsolate: It may not run on this machine, and what to do about it.
        """
        ...

    async def words(self, trust: Trust) -> str:
        """Where such a command would run, for the person who is asked to agree to it."""
        ...

    async def wants_consent(self, trust: Trust) -> bool:
        """Whether such a command runs only if a person has agreed to it."""
        ...

    async def search_path(self, path: str, trust: Trust) -> str:
        """Of the folders of a ``PATH`` those that such a command can see, in order."""
        ...


def trust_of(session_key: str, *, tainted: bool) -> Trust:
    """Whose words the turns of a session act upon.

    A sub-agent works by itself on what a model has written, and nobody looks on. Behind
    the ``user`` of a request are the people of some other program.
    """
    try:
        kind = keys.parse(session_key).kind
    except keys.BadKey:
        return "untrusted"
    return "untrusted" if tainted or kind not in _PERSONS else "trusted"


# Conversations of whoever was let in to lead them: at the node's terminal, or at the
# gateway with its token, or with a key or as a device that may write.
_PERSONS: Final = frozenset({"main", "http", "http-response", "dashboard", "named"})


# --- what is never put into a sandbox

# With all that is in them. What they hold is no file, or speaks for the whole machine.
_NEVER: Final = ("/proc", "/sys", "/dev", "/run", "/var/run", "/boot")
# Of services, of which some speak for the machine; a workspace may lie there.
_SERVICES: Final = ("/var/lib",)
# What the sandbox has itself, of the system's.
SYSTEM: Final = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64")
# Below a home: hidden wherever they would be seen.
SECRETS: Final = (
    *(".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".netrc", ".pgpass"),
    *(".config/gcloud", ".config/gh", ".local/share/keyrings", ".git-credentials"),
    *(".password-store", ".mozilla", ".config/google-chrome", ".config/chromium"),
)


def refusal(path: str, home: str, *, writable: bool, own: bool = False) -> str | None:
    """Why a folder is not put into a sandbox; None: it is.

    Args:
        path: The folder, absolute, without links.
        home: The home of the person whom the node works for.
        writable: Whether it could be changed there.
        own: It is the workspace, which may be a home, since secrets are hidden in it.

    >>> refusal("/var/run/docker.sock", "/srv/me", writable=False)
    '/var/run/docker.sock is of the machine: it is not put into a sandbox'
    >>> refusal("/srv/me", "/srv/me", writable=False)
    '/srv/me is a home or has it inside: name the folders in it that are needed'
    >>> refusal("/srv/me/data", "/srv/me", writable=True) is None
    True
    """
    if not path.startswith("/") or ".." in PurePosixPath(path).parts or "\0" in path:
        return f"{path!r} is not an absolute path"
    never = _NEVER if own else (*_NEVER, *_SERVICES)
    if _inside(path, never) or any(
        _inside(each, (path,)) for each in (*_NEVER, *_SERVICES)
    ):
        return f"{path} is of the machine: it is not put into a sandbox"
    if writable and _inside(path, (*SYSTEM, "/etc")):
        return f"{path} is of the system: nothing is written there"
    if _inside(path, secrets_of(home)):
        return f"{path} holds what speaks for you: it is not put into a sandbox"
    if not own and _inside(home, (path,)):
        return (
            f"{path} is a home or has it inside: name the folders in it that are needed"
        )
    return None


def secrets_of(home: str) -> tuple[str, ...]:
    """What is hidden of a home."""
    return tuple(f"{home.rstrip('/')}/{name}" for name in SECRETS)


def _inside(path: str, folders: Iterable[str]) -> bool:
    return any(
        path == folder or path.startswith(f"{folder.rstrip('/')}/")
        for folder in folders
    )


# --- the machine


@frozen(kw_only=True)
class Hierarchy:
    """A place where cgroups can be made.

    Attributes:
        folder: There.
        version: Of cgroups.
        controllers: What is bound by one: of ``memory``, ``pids``, ``cpu``.
        files: Names of the files that one has.
    """

    folder: str
    version: Literal[1, 2]
    controllers: frozenset[str]
    files: frozenset[str] = frozenset()


@frozen(kw_only=True)
class Machine:
    """What can be isolated and bound here.

    Attributes:
        root: Whether the node is run by root, whom the number of processes does not bind.
        bubblewrap: The program, where it works; else empty, and *why* says why.
        options: Further ones that it understands here.
        filtered: Whether calls of the system can be filtered.
        links: Folders of the system that are links, with where they lead; *folders*: those
            that are none.
        cgroups: Where they can be made; if nowhere, *why_no_cgroups* says why.
        group_only: Why only the process group of a command can be ended here; empty: all
            that it has started can.
    """

    root: bool = False
    bubblewrap: str = ""
    why: str = ""
    options: tuple[str, ...] = ()
    filtered: bool = False
    links: tuple[tuple[str, str], ...] = ()
    folders: tuple[str, ...] = ()
    cgroups: tuple[Hierarchy, ...] = ()
    why_no_cgroups: str = ""
    group_only: str = ""

    @property
    def controllers(self) -> frozenset[str]:
        """What can be bound for all processes of a command together."""
        return frozenset[str]().union(*(each.controllers for each in self.cgroups))

    @property
    def bounds_all(self) -> bool:
        """Whether a command can neither take all memory nor all processes."""
        return self.controllers >= {"memory", "pids"} or not self.root


@frozen
class GetMachine(supervision.Call[Machine]):
    """To the tenant's sandbox: what works here; it is tried once."""


@frozen
class LookAtMachine:
    """Cast to it: try now, so that what does not work is said at the start."""


@frozen(kw_only=True)
class Isolation:
    """How commands run here, in words.

    Attributes:
        trusted: Those of a person's own words; *untrusted*: others.
        limits: What holds for all processes of one.
        missing: What cannot be done on this machine.
    """

    trusted: str
    untrusted: str
    limits: str
    missing: tuple[str, ...] = ()


@frozen
class GetIsolation(supervision.Call[Isolation]):
    """To the tenant's sandbox, for whoever looks; nothing is tried for it."""


# Emitted when the machine was looked at and cannot do what policy would have.
SANDBOX_MISSING: Final = "beamclaw.sandbox.missing"
SANDBOX_READY: Final = "beamclaw.sandbox.ready"
