"""From the text of a command to the one program, folder and environment that it means.

Everything here looks at files, and is called off the event loop. What it finds is what a
person agrees to, and what is started: the same value says both.
"""

import hashlib
import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import attrs

from beamclaw.commands import environment
from beamclaw.config.redactor import TELLING
from beamclaw.contracts.command_text import NeedsShell, NotACommand, parse
from beamclaw.contracts.commands import Launch, Terminal
from beamclaw.contracts.execution import Execution, carries
from beamclaw.contracts.points import point
from beamclaw.contracts.secret import Secret
from beamclaw.contracts.variables import refusal
from beamclaw.paths import PathRefused, Roots, folder_inside
from beamclaw.values import frozen

SHELL: Final = "/bin/sh"
# Of the files that a command carries out: how many are looked into, and how far.
MOST_FILES: Final = 16
MOST_BYTES: Final = 8 * 1024 * 1024
# Characters of a command.
MOST_TEXT: Final = 32_768


NOTHING: Final[Mapping[str, tuple[str, Secret]]] = {}


class NotResolved(Exception):  # noqa: N818 -- a situation
    """Nothing can be started for this text; in words for the model."""


@frozen
class Wanted:
    """A command as a model asks for it."""

    command: str
    workdir: str | None = None
    env: Mapping[str, str] = attrs.field(factory=dict[str, str])
    pty: bool = False


@frozen
class Resolved:
    """The same, as it is agreed to and started."""

    execution: Execution
    launch: Launch
    # What is in its environment, and nobody is to see.
    secrets: tuple[Secret, ...] = ()


def resolve(
    wanted: Wanted,
    roots: Roots,
    base: Mapping[str, str],
    where: str = "",
    given: Mapping[str, tuple[str, Secret]] = NOTHING,
) -> Resolved:
    """What *wanted* means at this moment.

    Args:
        wanted: What a model asks for.
        roots: Where it may work.
        base: The environment that all commands get.
        where: In which sandbox, in words; empty: in none.
        given: Variables for skills: of which one, and the value. What every command has
            anyway, and what the model sets, goes before.

    Raises:
        NotResolved: There is no such program or folder, or it may not be.
    """
    if len(wanted.command) > MOST_TEXT:
        raise NotResolved(f"a command has at most {MOST_TEXT} characters")
    why = refusal(wanted.env)
    if why is not None:
        raise NotResolved(why)
    with point("workspace.make"):
        roots.workspace.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        parsed = parse(wanted.command)
        folder = str(folder_inside(roots, wanted.workdir).path.resolve(strict=True))
    except (NotACommand, PathRefused, OSError) as error:
        raise NotResolved(str(error)) from None
    env = dict(base)
    closed = [str(path) for path in roots.workspace.paths()]
    env["PATH"] = environment.search_path(env.get("PATH", ""), closed)
    if isinstance(parsed, NeedsShell):
        argv, shell = (SHELL, "-c", wanted.command), parsed.why
    else:
        argv, shell = parsed.argv, ""
    path = _program(argv[0], folder, env["PATH"])
    taken = {*env, *wanted.env, *environment.MARKS}
    added = {
        name: each
        for name, each in given.items()
        if name not in taken and refusal({name: each[1].reveal()}) is None
    }
    execution = Execution(
        path=path,
        argv=argv,
        folder=folder,
        environment=dict(wanted.env),
        given=tuple((name, skill) for name, (skill, _) in sorted(added.items())),
        shell=shell,
        where=where,
        shown=wanted.command,
    )
    execution = attrs.evolve(execution, contents=_contents(execution))
    # Here they leave their type: they go out, into the command.
    env |= {name: value.reveal() for name, (_, value) in added.items()}
    env |= {**wanted.env, **environment.MARKS, "PWD": folder}
    env["TERM"] = "xterm-256color" if wanted.pty else "dumb"
    launch = Launch(
        argv=argv,
        path=path,
        cwd=folder,
        env=env,
        pty=Terminal() if wanted.pty else None,
    )
    # A key that all commands get is one, whoever prints its variables.
    keys = (Secret(value) for name, value in base.items() if TELLING.search(name))
    skills = (value for _, value in added.values())
    return Resolved(execution, launch, (*skills, *keys))


def _program(name: str, folder: str, path: str) -> str:
    """The file of the program, with no link left in its path."""
    if "/" in name:
        found = str(Path(folder, name))
    else:
        found = shutil.which(name, path=path) or ""
    if not found:
        raise NotResolved(f"there is no program {name!r}")
    real = os.path.realpath(found)
    if not Path(real).is_file():
        raise NotResolved(f"there is no program at {name}")
    if not os.access(real, os.X_OK):
        raise NotResolved(f"{name} is no program: it may not be carried out")
    return real


def _contents(execution: Execution) -> dict[str, str]:
    """The hashes of the files whose words are carried out.

    The program, unless it was found where programs are: there an agent writes nothing.
    If the program carries something else out, its arguments that are files. What a shell
    has to read is looked through for names of programs and scripts.
    """
    files = list[str]()
    if execution.shell:
        files += _scripts(execution)
    elif "/" in execution.argv[0]:
        files.append(execution.path)
    if not execution.shell and carries(execution):
        files += [str(Path(execution.folder, each)) for each in execution.argv[1:]]
    found: dict[str, str] = {}
    for file in files:
        real = os.path.realpath(file)
        if real not in found and (hashed := _hash(real)):
            found[real] = hashed
            if len(found) == MOST_FILES:
                break
    return found


_WORD: Final = re.compile(r"""[^\s|&;<>()$`'"={}]+""")
_READS: Final = (".", "source")


def _scripts(execution: Execution) -> Iterator[str]:
    """Files that a line for a shell may carry out: programs, and what is read by one.

    Its words are only looked at, not understood: one too many does no harm. Data is left
    out, which may change for good reasons while a person thinks.
    """
    before = ""
    for word in _WORD.findall(execution.argv[-1]):
        file = Path(execution.folder, word)
        read = before in _READS or (
            before and carries(Execution(path=before, argv=(before,), folder="/"))
        )
        if read or ("/" in word and os.access(file, os.X_OK)):
            yield str(file)
        # Options stand between an interpreter and its script.
        before = before if word.startswith("-") else word


def _hash(path: str) -> str:
    """Of a regular file that is not too long; else nothing."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except (OSError, ValueError):
        return ""
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            return ""
        if status.st_size > MOST_BYTES:  # when it was written, and how long it is
            return f"{status.st_size}-{status.st_mtime_ns}-{status.st_ino}"
        with os.fdopen(file, "rb", closefd=False) as reader:
            return hashlib.file_digest(reader, "sha256").hexdigest()
    except OSError:
        return ""
    finally:
        os.close(file)
