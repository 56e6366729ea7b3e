"""Commands: programs of the operating system, how one is started and what it came to.

No part of the node starts a program by itself: each has it done by the tenant's launcher,
which sees to it that nothing of a command stays behind, whatever dies. Whoever wants
a program's output and nothing else calls :func:`run`:

.. code-block:: python

    launch = Launch(argv=("/usr/bin/git", "status"), cwd="/srv/project", env={})
    ran = await run("default", launch, seconds=10.0)
    if ran.ended.code == 0: ...

The tools ``exec`` and ``process`` go through the same :func:`start`, and keep the command
when the call is over.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Literal, Protocol

import attrs

import supervision
from beamclaw.contracts import names
from beamclaw.contracts.points import point
from beamclaw.contracts.secret import Secret
from beamclaw.values import frozen

# Bytes that `run` takes of a program's output, if its caller does not say.
MOST_OUTPUT: Final = 1024 * 1024


@frozen(kw_only=True)
class Limits:
    """What the system does not let a command go beyond; None: whatever it lets anybody.

    Each holds for every process of the command by itself (``setrlimit``). What holds
    for all of them together is a cgroup's, see :attr:`Launch.cgroups`.

    Attributes:
        memory: Bytes of address space.
        processes: Processes and threads, beside those that the same user has already;
            does not bind root.
        cpu_seconds: Seconds of processor time.
        file_size: Bytes of the longest file it writes.
        open_files: Open files.
    """

    memory: int | None = None
    processes: int | None = None
    cpu_seconds: int | None = None
    file_size: int | None = None
    open_files: int | None = None


@frozen(kw_only=True)
class Cgroup:
    """A cgroup of one command: made before it begins, removed when all of it is gone.

    Attributes:
        folder: In which it is made.
        settings: What is written to its files first, by their names.
    """

    folder: str
    settings: Mapping[str, str]


@frozen(kw_only=True)
class Disk:
    """How much a command may add to the disk; beyond, it is ended.

    It is looked at several times a second, so it can be a little more. Longer than
    *most* no single file gets by :attr:`Limits.file_size`.

    Attributes:
        folders: Where it can write.
        most: Bytes that it may add in all of them. A file counts 4 KiB at least.
        spare: With fewer bytes left on the disk, and *most* gone since it began, it is
            ended also where nothing shows that it was this command.
    """

    folders: tuple[str, ...]
    most: int
    spare: int


@frozen
class Terminal:
    """A command's own terminal, of this size."""

    rows: int = 24
    columns: int = 80


def _names(variables: Mapping[str, str]) -> str:
    return repr(sorted(variables))


@frozen(kw_only=True)
class Launch:
    """One command, to be started as it stands here: no shell, no search for a program.

    Attributes:
        argv: The program, then its arguments.
        path: The file of the program, absolute; empty: the first of *argv* is that. They
            differ where a program goes by what it is called.
        cwd: Its working folder, absolute.
        env: Its environment, all of it.
        pty: Its terminal; None: it has pipes.
        limits: See :class:`Limits`.
        cgroups: See :class:`Cgroup`; in version 1 there is one for each resource.
        disk: See :class:`Disk`; None: as much as there is.
        seconds: After which it is ended, whatever its order says; None: never.
        guarded: Whether the program stands guard around the one that is meant. It ends
            with that; a signal goes past it.
        inherited: What it finds in its open files 3, 4 and so on, to be read.
        errors: Whether what it says on standard error is in its output, or lost.
    """

    argv: tuple[str, ...]
    cwd: str
    # Nobody reads in a log what is in them.
    env: Mapping[str, str] = attrs.field(repr=_names)
    path: str = ""
    pty: Terminal | None = None
    limits: Limits = Limits()
    cgroups: tuple[Cgroup, ...] = ()
    disk: Disk | None = None
    seconds: float | None = None
    guarded: bool = False
    inherited: tuple[bytes, ...] = attrs.field(default=(), repr=False)
    errors: Literal["joined", "dropped"] = "joined"


EndedBy = Literal["itself", "timeout", "order", "loss", "output", "start", "disk"]
"""Why a command is over.

``itself``: it has ended (or a signal that is not ours has ended it). ``timeout``: its time
was over. ``order``: somebody wanted it ended. ``loss``: who watches it for us was ended.
``output``: it has said more than was wanted. ``start``: it could not be started.
``disk``: it has filled the disk, see :class:`Disk`.
"""


@frozen(kw_only=True)
class Ended:
    """How a command came to its end; nothing that it has started is there any more.

    Attributes:
        by: See :data:`EndedBy`.
        code: Its exit code; None if it has none.
        signal: The signal that has ended it; None: none.
        left: How many processes it had left behind, which were ended then.
        stuck: How many of them could not be ended, since they belong to another user.
        words: Why, where that is not clear from the above.
        cpu_seconds: Processor time of its own process and those that it has waited for.
        memory: Bytes that the greatest of those had in memory.
        starved: How many of its processes the system has ended, since all of them
            together needed more memory than its cgroup has.
    """

    by: EndedBy
    code: int | None = None
    signal: int | None = None
    left: int = 0
    stuck: int = 0
    words: str = ""
    cpu_seconds: float = 0.0
    memory: int = 0
    starved: int = 0


@frozen
class Ran:
    """What a program came to, and all that it has said."""

    ended: Ended
    output: bytes


class CannotStart(Exception):  # noqa: N818 -- a situation
    """Raised where a command cannot be begun at the moment, in words."""


# --- what the tenant's launcher understands


@frozen(kw_only=True)
class StartCommand(supervision.Call["supervision.Pid"]):
    """Begin a command in a process of its own, registered as `names.command`.

    It is ended when *owner* dies, unless it was left alone before (`LeaveAlone`).

    Attributes:
        id: No other command's.
        owner: For whom it works.
        seconds: After which it is ended; None: never.
        data: What it reads from standard input.
        eof: Whether that ends with *data*; if not, more can be written.
        most: Bytes of its output that are kept; with None, the tail of the text of it
            is, as the configuration has it.
        scope: The key of the session that may look at it and use it.
        title: How it reads, for lists.
        carries: Why what it is given to read has to be agreed to, as a command has;
            empty: it need not.
        secrets: What it was given to know: nothing that is kept of its output has them.

    Raises:
        CannotStart: There are too many.
    """

    id: str
    launch: Launch
    owner: supervision.Pid
    seconds: float | None
    data: bytes = b""
    eof: bool = True
    most: int | None = None
    scope: str = ""
    title: str = ""
    carries: str = ""
    secrets: tuple[Secret, ...] = ()


@frozen
class EndCommandsOf:
    """Cast to the launcher: nobody can look at the commands of a session any more.

    Attributes:
        scope: As in :class:`StartCommand`.
    """

    scope: str


@frozen
class AwaitEnd(supervision.Call[Ran]):
    """The reply comes when the command is over; then its process is, too.

    Only where `StartCommand.most` was given.
    """


@frozen
class StopCommand(supervision.Call[bool]):
    """End it for a person, with all that it has started; False: it was over before.

    The reply comes at once: how it ends its session is told.
    """


async def start(tenant: str, order: StartCommand) -> supervision.Pid:
    """Begin a command; see :class:`StartCommand`.

    Raises:
        CannotStart: It was not begun, and why.
    """
    door = names.of_tenant(tenant, "launcher")
    try:
        return await supervision.call(door, order, timeout=None)
    except supervision.CallFailed:
        raise CannotStart(
            "commands cannot be started at the moment: try again in a while"
        ) from None


def end_commands_of(tenant: str, scope: str) -> None:
    """Have the commands of a session ended that is deleted; nobody waits for that.

    The ledger calls this: who deletes a session may die over it. Should the ledger die
    before, it is who tells of commands that calls it, which starts anew with the ledger.
    It is lost with the launcher's process only, whose end is that of all commands.
    """
    with point("command.unread"):
        supervision.cast(names.of_tenant(tenant, "launcher"), EndCommandsOf(scope))


async def run(
    tenant: str,
    launch: Launch,
    *,
    id: str,  # noqa: A002 -- what a child is called
    seconds: float,
    data: bytes = b"",
    most: int = MOST_OUTPUT,
) -> Ran:
    """Run a program to its end. Called by a process; when that dies, it is ended.

    Args:
        tenant: Whose launcher.
        launch: The program.
        id: No other command's: the key of a tool's order, for example.
        seconds: After which it is ended.
        data: What it reads from standard input.
        most: Bytes of its output; with one more it is ended.

    Raises:
        CannotStart: It was not begun, and why.
    """
    order = StartCommand(
        id=id,
        launch=launch,
        owner=supervision.self_pid(),
        seconds=seconds,
        data=data,
        most=most,
    )
    pid = await start(tenant, order)
    try:
        return await supervision.call(pid, AwaitEnd(), timeout=None)
    except supervision.CallFailed:
        return Ran(Ended(by="loss", words="the process that held it has died"), b"")
    finally:
        with point("command.drop"):
            supervision.exit(pid, supervision.SHUTDOWN)


# --- the seam: what starts programs. A test has a launcher without any.


class Watched(Protocol):
    """One command at the seam. Who holds it closes it, which ends the command."""

    async def read(self, most: int) -> bytes:
        """Up to *most* bytes of output; empty: there will be no more."""
        ...

    async def write(self, data: bytes) -> None:
        """To its standard input, all of it; waits while it does not read.

        Raises:
            BrokenPipeError: It does not read any more.
        """
        ...

    async def end_input(self) -> None:
        """It will read no more than was written; with a terminal, end of file is sent.

        Raises:
            BrokenPipeError: It does not read any more.
        """
        ...

    async def wait_begun(self) -> int:
        """Its number in the system.

        Raises:
            CannotStart: It could not be started.
        """
        ...

    async def wait_ended(self) -> Ended:
        """How it came to its end; called once, after `wait_begun`."""
        ...

    def signal(self, number: int) -> None:
        """Send a signal to its own process and those of its group."""
        ...

    def end(self, seconds: float) -> None:
        """End all that it has started, by force after *seconds*."""
        ...

    def close(self) -> None:
        """Let go of it; if it is not over, it is ended."""
        ...


class Launcher(Protocol):
    """What starts programs, while it lives."""

    async def launch(self, launch: Launch, kill_seconds: float) -> Watched:
        """Begin a command. What it leaves behind is ended, by force after *kill_seconds*.

        Raises:
            CannotStart: The launcher is not there any more.
        """
        ...

    async def wait_lost(self) -> str:
        """Returns when it has died, with how."""
        ...

    def close(self) -> None:
        """End it, with all commands."""
        ...


OpenLauncher = Callable[[], Awaitable[Launcher]]
"""Starts a launcher."""
