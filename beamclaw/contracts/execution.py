"""A command as a person agrees to it, and whether it only carries something else out."""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Final

import attrs

from beamclaw.contracts.approvals import digest_of
from beamclaw.contracts.command_text import line
from beamclaw.values import frozen


@frozen(kw_only=True)
class Execution:
    """A command, with all that makes it this one.

    Attributes:
        tool: Which tool starts it.
        path: Of the program; absolute, and no link is left in it.
        argv: What the program is given, its own name first.
        folder: Where it works; absolute, and no link is left in it.
        environment: What is set for it beside what every command gets.
        given: Names of the variables that it gets for skills, each with its skill.
        contents: The hash of each file whose words it carries out (a script, and the
            program itself where it is one or where the agent may write it), by resolved
            path.
        shell: Why a shell has to read it; empty: none does.
        where: In which sandbox, in words; empty: in none.
        shown: How it was written; empty: its words as a line.
    """

    path: str
    argv: tuple[str, ...]
    folder: str
    tool: str = "exec"
    environment: Mapping[str, str] = attrs.field(factory=dict[str, str])
    given: tuple[tuple[str, str], ...] = ()
    contents: Mapping[str, str] = attrs.field(factory=dict[str, str])
    shell: str = ""
    where: str = ""
    shown: str = ""

    @property
    def digest(self) -> str:
        """Of everything in it that counts."""
        facts = attrs.asdict(self)
        del facts["tool"], facts["shown"]
        if not self.given:
            # What was agreed to before there were any stays agreed to.
            del facts["given"]
        return digest_of(self.tool, facts)

    @property
    def text(self) -> str:
        """How it reads."""
        return self.shown or line(self.argv)


# Whatever they are given.
_CARRIERS: Final = frozenset(
    """
    ansible apt at awk babashka batch bwrap bun busybox cargo cc ch-run chpst chroot clang
    cmake cpulimit crontab csh cpio dash dbus-run-session deno doas docker dpkg
    ed elixir emacs env erl ex expect firejail fish flock g++ gawk gcc gdb gradle go
    ionice irb java jq julia jshell just ksh ld.so less ltrace lua luajit m4 make man mawk
    meson mksh more mosh mvn nawk nc ncat newgrp nice ninja nix node nodejs nohup npm npx
    nsenter numactl ocaml octave parallel perf perl php pip pipx pnpm podman poetry prlimit
    proot pwsh py3 python qemu rake rbash rlwrap rsync ruby runc runcon runuser rustc scala
    scons scp screen script sed setarch setpriv setsid sftp sh socat sqlite3 ssh ssh-agent
    sshpass start-stop-daemon stdbuf strace su sudo systemd-run taskset tclsh tcsh tee
    time timeout tmux toybox tsx unshare uv uvx valgrind vi view vim watch wish
    xargs xdg-open xvfb-run yarn zsh bash ash
    """.split()  # noqa: SIM905 -- read as a list, not as a column
)
# python3.12, ld-linux-x86-64.so.2, gcc-13, perl5.36, x86_64-linux-gnu-gcc-13.
_VERSION: Final = re.compile(r"[-.]?\d[\d.]*$")
_LOADER: Final = re.compile(r"ld(-linux|-musl)?[-\w]*\.so(\.\d+)*$")
# Of programs that are harmless without: an option, up to its value.
_CARRYING: Final[Mapping[str, tuple[str, ...]]] = {
    "find": ("-exec", "-execdir", "-ok", "-okdir", "-delete", "-fprint", "-fls"),
    "fd": ("-x", "-X", "--exec"),
    "fdfind": ("-x", "-X", "--exec"),
    "rg": ("--pre", "--hostname-bin"),
    "git": ("-c", "-C", "--c", "--exec", "--git-dir", "--work-tree", "--upload-pack"),
    "tar": ("-I", "-F", "--to-c", "--checkpoint-a", "--use-c", "--rsh-c", "--rmt-c"),
    "sort": ("-o", "-T", "--comp", "--out"),
    "split": ("--fi",),
    "zip": ("-T", "--unzip", "-TT"),
    "curl": ("-K", "--conf", "-o", "-O", "--out", "-T", "--upl"),
    "wget": ("-e", "--exec", "--use-askpass", "-O", "-i", "--post-f", "--body-f"),
}
_GIT_CARRIES: Final = frozenset(
    """
    am bisect commit config credential difftool filter-branch gui hook mergetool rebase
    send-email submodule web--browse worktree
    """.split()  # noqa: SIM905 -- as above
)


def carries(execution: Execution) -> str:
    """What else the command could carry out, in words; empty: nothing that is seen.

    >>> carries(Execution(path="/usr/bin/env", argv=("env", "ls"), folder="/"))
    'env carries something else out'
    """
    if execution.shell:
        return f"a shell has to read it: it has {execution.shell}"
    if execution.contents:
        scripts = ", ".join(sorted(execution.contents))
        return f"it does what a file says: {scripts}"
    arguments = execution.argv[1:]
    if any(argument.startswith("@") for argument in arguments):
        return "a file has the rest of its arguments"
    found = (_by_name(name, arguments) for name in _names(execution))
    return next(filter(None, found), "")


def _by_name(name: str, arguments: tuple[str, ...]) -> str:
    if name in _CARRIERS or _LOADER.fullmatch(name):
        return f"{name} carries something else out"
    for argument in arguments:
        if _is_of(argument, _CARRYING.get(name, ())):
            return f"{name} {argument} carries something else out, or writes it"
    if name == "git" and not _GIT_CARRIES.isdisjoint(arguments[:1]):
        return f"git {arguments[0]} carries something else out"
    return ""


def _is_of(argument: str, options: Iterable[str]) -> bool:
    """Whether it is one of *options*, also shortened, or with its value in one word."""
    if not argument.startswith("-"):
        return False
    word = argument.partition("=")[0]
    return any(
        word.startswith(option)
        or (option.startswith("--") and len(word) > _DASHES and option.startswith(word))
        for option in options
    )


_DASHES: Final = 2


def _names(execution: Execution) -> Collection[str]:
    """What the program may be called: as it is found, and as it is told it is."""
    found: set[str] = set()
    for path in (execution.path, execution.argv[0]):
        name = path.rpartition("/")[2].lower()
        short = _VERSION.sub("", name)
        found |= {name, short, short.rpartition("-")[2]}
    return sorted(found)
