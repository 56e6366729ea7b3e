"""The arguments of bubblewrap: everything that a command finds, one by one.

Nothing is there that does not stand here: the list is of what is allowed, never of what
is not. The order counts: what is deeper is mounted later, so that a workspace may lie in
a folder that is hidden, and a hidden folder in a workspace.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import attrs

from beamclaw.contracts.commands import Launch
from beamclaw.contracts.sandbox import CannotIsolate, Machine
from beamclaw.values import frozen

# Of the system's settings, what programs need to find names, languages and certificates.
# Not passwords, keys of the machine, or what services are set to.
SETTINGS: Final = tuple(
    f"/etc/{name}"
    for name in """
    alternatives bash.bashrc bash_completion.d ca-certificates crypto-policies debian_version
    dictionaries-common fonts group host.conf hosts inputrc issue java ld.so.cache ld.so.conf
    ld.so.conf.d locale.alias locale.conf localtime login.defs magic mime.types networks
    nsswitch.conf os-release papersize passwd perl php pki profile profile.d protocols
    python3 resolv.conf rpc services shells ssl/certs ssl/openssl.cnf terminfo texmf timezone
    vimrc xdg
    """.split()  # noqa: SIM905 -- read as a list, not as a column
)
# Where some systems have their programs.
STORES: Final = ("/nix/store", "/run/current-system/sw", "/gnu/store")
# Of the kernel's files those that a program of root could change, though it may nothing
# else; and those that say something of the machine. They may be missing.
FIXED: Final = ("/proc/sys", "/proc/fs", "/proc/sysrq-trigger", "/proc/acpi")
BLANK: Final = ("/proc/mtrr", "/proc/timer_list", "/proc/keys", "/proc/key-users")
HOME: Final = "/tmp"  # noqa: S108 -- its own one
# They name sockets, or folders that are not there.
_DROPPED: Final = (
    *("SSH_AUTH_SOCK", "SSH_AGENT_PID", "GPG_AGENT_INFO", "DISPLAY", "WAYLAND_DISPLAY"),
    *("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "DOCKER_HOST", "XAUTHORITY"),
)
# Bytes of shared memory, which programs want some of.
_SHARED: Final = 64 * 1024 * 1024


@frozen(kw_only=True)
class View:
    """What a command sees and reaches.

    Attributes:
        writable: Folders, absolute and without links; *readable* and *hidden* as well.
        hidden_files: Files in whose place it finds an empty one.
        network: Whether it has the machine's network.
        temporary: Bytes of its ``/tmp``.
    """

    writable: tuple[str, ...] = ()
    readable: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    hidden_files: tuple[str, ...] = ()
    network: bool = False
    temporary: int = 256 * 1024 * 1024


def wrapped(
    launch: Launch, program: str, view: View, machine: Machine, seccomp: bytes
) -> Launch:
    """*launch* inside bubblewrap, where it begins *program*.

    What bubblewrap itself is told, the environment among it, comes in a file without a
    name: nobody can read it in a list of processes, and nothing of the command's
    environment is there for bubblewrap, which runs outside.

    Raises:
        CannotIsolate: Something in it cannot be told.
    """
    first = 3 + len(launch.inherited)
    inherited = [*launch.inherited]
    told = [*_arguments(view, machine, launch)]
    if seccomp and machine.filtered:
        told += ["--seccomp", str(first + 1)]
    if any("\0" in each for each in told):  # behind it would stand another argument
        raise CannotIsolate("a path or a variable of the command contains a NUL")
    inherited.append(b"".join(os.fsencode(each) + b"\0" for each in told))
    if seccomp and machine.filtered:
        inherited.append(seccomp)
    return attrs.evolve(
        launch,
        argv=(
            *(machine.bubblewrap, "--args", str(first)),
            *("--", program, *launch.argv[1:]),
        ),
        path="",
        cwd="/",
        env={},
        inherited=tuple(inherited),
        guarded=True,
    )


def _arguments(view: View, machine: Machine, launch: Launch) -> Iterator[str]:
    yield from ("--unshare-all", "--die-with-parent", "--cap-drop", "ALL")
    yield from machine.options
    if view.network:
        yield "--share-net"
    yield from _system(machine)
    yield from _kernel()
    yield from ("--size", str(view.temporary), "--perms", "1777", "--tmpfs", "/tmp")  # noqa: S108 -- its own one
    yield from _mounts(view)
    # What is left to write to is the workspace, and what has a size.
    for path in (*view.hidden, "/dev", "/"):
        yield from ("--remount-ro", path)
    yield from ("--chdir", launch.cwd, "--clearenv")
    for name, value in environment(launch.env, view).items():
        yield from ("--setenv", name, value)


def environment(env: Mapping[str, str], view: View) -> dict[str, str]:
    """What it finds in its environment there: a home that it has, for one."""
    kept = {name: value for name, value in env.items() if name not in _DROPPED}
    home = kept.get("HOME", "")
    seen = any(home == each or home.startswith(f"{each}/") for each in view.writable)
    return {**kept, "HOME": home if seen else HOME, "TMPDIR": HOME}


def _system(machine: Machine) -> Iterator[str]:
    for folder in machine.folders:
        yield from ("--ro-bind", folder, folder)
    for path, target in machine.links:
        yield from ("--symlink", target, path)
    for path in (*SETTINGS, *STORES):
        yield from ("--ro-bind-try", path, path)


def _kernel() -> Iterator[str]:
    yield from ("--proc", "/proc")
    for path in FIXED:
        yield from ("--ro-bind-try", path, path)
    for path in BLANK:
        yield from ("--ro-bind-try", "/dev/null", path)
    yield from ("--dev", "/dev", "--size", str(_SHARED), "--tmpfs", "/dev/shm")  # noqa: S108 -- its own one


def _mounts(view: View) -> Iterator[str]:
    """What is deeper comes later; of two for one place, what hides it, then the workspace."""
    ordered: list[tuple[int, int, tuple[str, ...]]] = [
        *_each(0, view.readable, ("--ro-bind", None, None)),
        *_each(1, view.hidden, ("--perms", "0555", "--tmpfs", None)),
        *_each(1, view.hidden_files, ("--ro-bind", "/dev/null", None)),
        *_each(2, view.writable, ("--bind", None, None)),
    ]
    for _, _, words in sorted(ordered):
        yield from words


def _each(
    order: int, paths: Iterable[str], words: Iterable[str | None]
) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    for path in paths:
        filled = tuple(path if word is None else word for word in words)
        yield path.rstrip("/").count("/"), order, filled
