"""Commands: who is asked, where they run, how much of the machine each may use."""

from collections.abc import Mapping
from typing import Annotated

import attrs

from beamclaw.config.schema.fields import (
    ENDLESS,
    Count,
    Range,
    Seconds,
    Size,
    Wait,
    hidden,
    key,
    table,
)
from beamclaw.contracts.command_policy import AfterUntrusted
from beamclaw.contracts.command_policy import Mode as CommandMode
from beamclaw.contracts.sandbox import Demand, Mode, Network
from beamclaw.values import frozen


@frozen(kw_only=True)
class SandboxConfig:
    """Where commands run, and how much of the machine each may use."""

    mode: Mode = key(
        "auto",
        "Commands of persons' own words. bubblewrap: isolated, or not at all; none: as\n"
        "the node itself; auto: isolated where that works here, else as the node itself.",
    )
    untrusted: Mode = key(
        "auto",
        "The same where words of strangers are in the conversation, for sub-agents, and\n"
        "for requests with a user. auto: where isolation does not work, a person has to\n"
        "agree to each command.",
    )
    network: Network = key(
        "trusted",
        "Which isolated commands have the network of the machine, with all that listens\n"
        "on it for this machine only: never, always, or those of persons' own words.",
    )
    read: tuple[str, ...] = key(
        (), "Files and folders that isolated commands may read, beside the system's."
    )
    write: tuple[str, ...] = key(
        (), "Folders that they may change, beside the workspace."
    )
    memory: Size = key(4 * 1024**3, "Bytes of memory of one command.")
    processes: Count = key(512, "Processes and threads of one command.")
    cpu_seconds: Count = key(
        7_200, "Seconds of processor time that each process of a command may take."
    )
    seconds: Wait = key(
        0.0, "Seconds after which a command is ended, whatever its call says; 0: never."
    )
    disk: Size = key(
        4 * 1024**3,
        "Bytes that a command may add to its workspace, and of the longest file it\n"
        "writes; a file counts 4 KiB at least.",
    )
    disk_spare: Size = key(
        256 * 1024**2,
        "A command is ended as well when fewer bytes than this are left on the disk and\n"
        "more than disk have gone since it began.",
    )
    tmp: Size = key(256 * 1024**2, "Bytes of an isolated command's own /tmp.")
    open_files: Count = key(4_096, "Open files of each process of a command.")
    require_limits: Demand = key(
        "untrusted",
        "Which commands are refused where nothing can limit how many processes they\n"
        "start: if the node runs as root, and no cgroup can be made.",
    )


@frozen(kw_only=True)
class AgentSandboxConfig:
    """In place of tools.exec.sandbox, for one agent; null: as there."""

    mode: Mode | None = key(None, "Commands of persons' own words.")
    untrusted: Mode | None = key(None, "Those of others.")
    network: Network | None = key(None, "Which of them have the network.")
    read: tuple[str, ...] | None = key(None, "Folders that they may read.")
    write: tuple[str, ...] | None = key(None, "Folders that they may change.")
    memory: Size | None = key(None, "Bytes of memory.")
    processes: Count | None = key(None, "Processes.")
    cpu_seconds: Count | None = key(None, "Seconds of processor time.")
    seconds: Wait | None = key(None, "Seconds that one may take.")
    disk: Size | None = key(None, "Bytes that one may add to the disk.")
    disk_spare: Size | None = key(None, "Bytes that stay free on it.")
    tmp: Size | None = key(None, "Bytes of /tmp.")
    open_files: Count | None = key(None, "Open files.")
    require_limits: Demand | None = key(None, "Which commands have to be limited.")


@frozen(kw_only=True)
class ExecConfig:
    """Commands that agents run."""

    mode: CommandMode = key(
        "on-miss",
        "When a person is asked. off: never; on-miss: for each command that nothing\n"
        "allows; always: for every one.",
    )
    allow: tuple[str, ...] = key(
        (),
        "Commands that nobody is asked for, as /usr/bin/git log *: the path of a\n"
        "program, and its arguments. * is one that is no option and stays in the\n"
        "folder, ** at the end any number of them.",
    )
    after_untrusted: AfterUntrusted = key(
        "ask",
        "What becomes of a command that the agent wants after it has read text from\n"
        "outside. ask: a person is asked, whatever is allowed; allow: as before; deny.",
    )
    timeout_seconds: Wait = key(
        1_800.0,
        "Seconds after which a command is ended, if its call does not say; 0: never.",
    )
    yield_seconds: Wait = key(
        10.0,
        "Seconds after which a command that is not over goes on in the background, if\n"
        "its call does not say.",
    )
    kill_seconds: Wait = key(
        5.0, "Seconds that a command gets to end in order, before it is ended by force."
    )
    max_running: Count = key(64, "Commands at once; one more is refused.")
    output_chars: Count = key(
        200_000, "Characters of a command's output that are kept: its end."
    )
    keep_finished: Annotated[int, Range(0, ENDLESS)] = key(
        50, "Commands in the background that can be looked at when they are over."
    )
    keep_seconds: Seconds = key(1_800.0, "Seconds for which they can.")
    notify_on_exit: bool = key(
        True,  # noqa: FBT003 -- the default
        "Whether the agent is told when a command in the background is over.",
    )
    env: Mapping[str, str] = table(
        "Variables that all commands get, beside the few that they have anyway.",
        repr=hidden,
    )
    pass_env: tuple[str, ...] = key(
        (),
        "Names of the node's own variables that commands get, too. Its keys and tokens\n"
        "are in such variables: name what agents may know.",
    )
    sandbox: SandboxConfig = attrs.field(factory=SandboxConfig)
