"""Looking up the facts: reads, and changes nothing but a probe that it takes away."""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import attrs

from beamclaw.config.redactor import secrets_of
from beamclaw.config.schema import Config
from beamclaw.contracts.databases import databases_in
from beamclaw.contracts.secret import hideable
from beamclaw.contracts.store import DataFolderError
from beamclaw.contracts.surveys import questions_of
from beamclaw.databases import schema_of
from beamclaw.doctor.judging import Database, Folder, InstalledUnit, Part, Running
from beamclaw.sandbox import looking as sandbox
from beamclaw.service.unit import NAME as UNIT
from beamclaw.service.unit import STOP_BESIDE, Unit
from beamclaw.service.unit import folder as folder_of_units
from beamclaw.storage import (
    PUT_ASIDE,
    RESTORE,
    FolderLock,
    half_restored,
    probe,
    recognise,
    sqlite_version,
    survey,
)

_OTHERS: Final = 0o077
_WRITE: Final = 0o022
# What agents and people put there has the modes that they gave it.
_THEIRS: Final = frozenset({"workspace", "workspaces", "skills", RESTORE})
_ENOUGH: Final = 1000
# Seconds that a trial of bubblewrap gets.
_TRIAL: Final = 5.0
_LAUNCHER: Final = "beamclaw/commands/_launcher/__main__.py"


def versions() -> tuple[tuple[int, ...], str, tuple[int, ...], str]:
    """Of Python, Trio and SQLite, and the platform."""
    return sys.version_info[:3], version("trio"), sqlite_version(), sys.platform


# --- the folder


def folder(data: Path) -> Folder:
    """How the data folder lies there."""
    if not data.is_dir():
        return Folder(path=str(data), exists=False)
    room = os.statvfs(data)
    return Folder(
        path=str(data),
        owner=data.stat().st_uid,
        user=os.geteuid(),
        unwritable=probe(data) or "",
        kind=_kind(data),
        free=room.f_bavail * room.f_frsize,
        # Some file systems count none.
        files=room.f_favail if room.f_files else 10**9,
        used=sum((data / name).stat().st_size for name in databases_in(data)),
        open_to_others=open_to_others(data),
        leftovers=leftovers_in(data),
        interrupted=half_restored(data),
    )


def _kind(data: Path) -> str:
    """The file system that *data* is on; empty where the system does not tell."""
    best, kind = "", ""
    with suppress(OSError):
        for line in Path("/proc/self/mounts").read_text(errors="replace").splitlines():
            _, place, found, *_ = line.split(" ")
            place = place.encode().decode("unicode_escape", "replace")
            inside = data.resolve().is_relative_to(place)
            if inside and len(place) >= len(best):
                best, kind = place, found
    return kind


def open_to_others(data: Path) -> dict[str, int]:
    """What of the node's own files others may read or change, with its mode."""
    found: dict[str, int] = {}
    mode = data.stat().st_mode & 0o777
    if mode & _WRITE:  # to read the names of a shared folder is its owner's choice
        found["."] = mode
    for path in _own(data):
        with suppress(FileNotFoundError):  # a node is at work there
            mode = path.lstat().st_mode & 0o777
            if mode & _OTHERS:
                found[str(path.relative_to(data))] = mode
        if len(found) > _ENOUGH:
            break
    return found


def _own(data: Path) -> Iterator[Path]:
    """The node's own files and folders, without links."""
    for each in sorted(data.iterdir()):
        if each.name in _THEIRS or each.name.startswith(PUT_ASIDE):
            continue
        yield from _below(each)


def _below(path: Path) -> Iterator[Path]:
    if path.is_symlink():
        return
    yield path
    with suppress(FileNotFoundError):
        if path.is_dir():
            for each in sorted(path.iterdir()):
                yield from _below(each)


def parts_of(config: Config) -> list[Part]:
    """The files of the configuration, but for those of :func:`open_to_others`."""
    secrets = hideable(secrets_of(config))
    found: list[Part] = []
    for path in () if config.file is None else (config.file, *config.files):
        with suppress(OSError):
            if not _looked_at(path, config.data):
                mode = path.stat().st_mode & 0o777
                text = path.read_text(errors="replace")
                secret = any(each in text for each in secrets)
                found.append(Part(path=str(path), mode=mode, secret=secret))
    return found


def _looked_at(path: Path, data: Path) -> bool:
    if not path.is_relative_to(data) or path.is_symlink():
        return False
    return path.relative_to(data).parts[0] not in _THEIRS


def leftovers_in(data: Path) -> list[str]:
    """Files of processes that were killed while they made others."""
    found = [*data.glob(".probe-*"), *data.glob(".token.*"), *data.glob("node.sock")]
    for place in (data, *data.glob("tenants/*")):
        found += place.glob("*.db.new*")
    return sorted(str(path.relative_to(data)) for path in found)


# --- the node


def lock_of(data: Path) -> tuple[bool, str]:
    """Whether a process has the folder, and the pid it has given."""
    path = data / "node.lock"
    if not path.exists():
        return False, ""
    try:
        FolderLock(data).release()
    except DataFolderError:
        with suppress(OSError):
            return True, path.read_text(errors="replace").strip()
        return True, ""
    return False, ""


def running(data: Path, *, answers: bool, why: str) -> Running:
    """What of a node there is on *data*."""
    held, holder = (True, "") if answers else lock_of(data)
    if answers:
        with suppress(OSError):
            holder = (data / "node.lock").read_text(errors="replace").strip()
    return Running(held=held, holder=holder, answers=answers, why=why)


# --- databases


def database(data: Path, name: str) -> Database:
    """The database *name*, which no node has open."""
    path, schema = data / name, schema_of(name)
    refused = ""
    try:
        recognise(path, schema)
    except DataFolderError as error:
        refused = str(error).replace(str(path), name)
    try:
        found = survey(path, questions_of(name), alone=True)
    except DataFolderError as error:
        return Database(name=name, refused=refused or str(error))
    if refused and not found.damage:
        return Database(name=name, refused=refused)
    return _judged(name, attrs.asdict(found))


def database_of(name: str, plain: Mapping[str, Any]) -> Database:
    """The same, as a running node has told it."""
    return _judged(name, plain)


def _judged(name: str, plain: Mapping[str, Any]) -> Database:
    damage = tuple(plain["damage"])
    only_indexes = bool(damage) and all(
        "index" in line.lower() and "database disk image" not in line for line in damage
    )
    return Database(
        name=name,
        damage=damage,
        only_indexes=only_indexes,
        known=schema_of(name).version,
        version=plain["version"],
        dangling=plain["dangling"],
        counts=plain["counts"],
    )


# --- the machine


def bubblewrap() -> tuple[str, str]:
    """The program, and why it does not work; both empty: there is none."""
    program = sandbox.bubblewrap()
    if not program:
        return "", ""
    command = [program, "--unshare-all", "--ro-bind", "/", "/", "/bin/true"]
    try:
        tried = subprocess.run(  # noqa: S603 -- a program of the system
            command, capture_output=True, timeout=_TRIAL, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        return program, type(error).__name__
    said = tried.stderr.decode(errors="replace").strip().splitlines()
    return program, "" if tried.returncode == 0 else (said or ["it failed"])[0]


def strays() -> list[int]:
    """Launchers of commands whose node is gone, by pid: they ought to end with it."""
    found: list[int] = []
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):
            if place.stat().st_uid != os.geteuid():
                continue
            words = (place / "cmdline").read_bytes().split(b"\0")
            if not any(
                word.decode(errors="replace").endswith(_LAUNCHER) for word in words
            ):
                continue
            parent = _parent(int(place.name))
            if parent <= 1 or not _is_python(parent):
                found.append(int(place.name))
    return sorted(found)


def _parent(pid: int) -> int:
    text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    return int(text.rpartition(") ")[2].split()[1])


def _is_python(pid: int) -> bool:
    name = Path(f"/proc/{pid}/exe").readlink().name
    return name.startswith(("python", "pypy", "beamclaw"))


# --- the service


def units(variables: Mapping[str, str]) -> list[InstalledUnit]:
    """Those of this user and of the whole machine that are installed."""
    home = Path(variables.get("HOME") or Path.home())
    config = variables.get("XDG_CONFIG_HOME", "")
    places = [folder_of_units(home, config, system=each) for each in (False, True)]
    found: list[InstalledUnit] = []
    for path in (place / UNIT for place in places):
        with suppress(OSError):
            found.append(_unit(path, path.read_text(errors="replace")))
    return found


def _unit(path: Path, text: str) -> InstalledUnit:
    lines = (line.partition("=") for line in text.splitlines())
    settings = {name.strip(): value.strip() for name, _, value in lines}
    try:
        words = shlex.split(settings.get("ExecStart", ""))
    except ValueError:
        words = []
    words = [word.replace("%%", "%").replace("$$", "$") for word in words]
    program = words[0] if words else ""
    named = words[words.index("--data") + 1 :] if "--data" in words else []
    data, user = (named or [""])[0], settings.get("User")
    stop = settings.get("TimeoutStopSec", "")
    drain = float(stop) - STOP_BESIDE if stop.isdecimal() else 0.0
    ours = Unit(command=words, data=Path(data), user=user, drain=drain)
    return InstalledUnit(
        path=str(path),
        program=program,
        there=bool(program) and os.access(program, os.X_OK),
        data=data,
        current=ours.text() == text,
    )
