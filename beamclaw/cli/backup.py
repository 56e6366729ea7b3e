"""``beamclaw backup`` and ``beamclaw restore``."""

import argparse
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Final

from beamclaw import __version__
from beamclaw.backup import (
    BackupRefused,
    LeftOut,
    Manifest,
    is_kept,
    look,
    pack,
    restore,
)
from beamclaw.cli.client import Client, Gone, NoNode, Refused, connect
from beamclaw.cli.configured import configured
from beamclaw.cli.output import CommandError, counted, result, result_json, tell
from beamclaw.cli.question import visible
from beamclaw.cli.typed import command
from beamclaw.config.loader import file_of
from beamclaw.config.problems import ConfigError
from beamclaw.contracts.databases import NODE, databases_in
from beamclaw.contracts.shell import data_folder
from beamclaw.contracts.store import DataFolderError
from beamclaw.databases import schema_of
from beamclaw.storage import FolderLock, copy_database, recognise

_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB")
_STEP: Final = 1000


def run(options: argparse.Namespace) -> int:
    """Write a backup of the data folder."""
    data = data_folder(os.environ, options.data)
    now = time.time()  # noqa: TID251 -- a command is outside
    to = Path(options.file or f"beamclaw-{_stamp(now)}.backup")
    if not (data / NODE).exists():
        raise CommandError(
            f"there is nothing to keep in {data}: no node ever ran on it"
        )
    with _in_words(), _copying(data) as databases:
        manifest = pack(data, to, databases, version=str(__version__), at=now)
    outside = _outside(data, options)
    if options.json:
        left_out = [*manifest.left_out, *outside]
        result_json({"file": str(to.absolute()), **_plain(manifest, left_out)})
        return 0
    result(f"{to}: {_summary(manifest)}")
    for each in manifest.left_out:
        _tell_left_out(each)
    for each in outside:
        _tell_left_out(each, "; keep a copy of it, too")
    tell("it holds the token and all conversations: keep it as you keep those")
    return 0


def restored(options: argparse.Namespace) -> int:
    """Look at a backup, or put it in the place of the data folder."""
    file = Path(options.file)
    if options.check:
        with _in_words():
            _list(look(file), options)
        return 0
    data = data_folder(os.environ, options.data)
    stamp = _stamp(time.time())  # noqa: TID251 -- a command is outside
    with _in_words():
        done = restore(file, data, force=options.force, stamp=stamp)
    if options.json:
        aside = None if done.aside is None else str(done.aside)
        result_json({"data": str(data), "aside": aside, **_plain(done.manifest)})
        return 0
    result(f"{data}: {_summary(done.manifest)}")
    if done.aside is not None:
        tell(f"what was there before is in {done.aside}")
    tell(f"start it with: {command('run', data)}")
    return 0


# --- the databases


@contextmanager
def _copying(data: Path) -> Generator["partial[dict[str, int]]"]:
    """What copies the databases: the node, or this process where there is none."""
    try:
        client = connect(data)
    except NoNode:
        # Nobody else may begin to use the folder meanwhile.
        lock = FolderLock(data)
        try:
            yield partial(_copies, data, None)
        finally:
            lock.release()
        return
    with client:
        yield partial(_copies, data, client)


def _copies(data: Path, client: Client | None, folder: Path) -> dict[str, int]:
    versions: dict[str, int] = {}
    for name in databases_in(data):
        to = (folder / name).absolute()
        to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        schema = schema_of(name)
        if client is None:
            recognise(data / name, schema)
            copy_database(data / name, to, alone=True)
        else:
            client.request("backup.copy", {"name": name, "to": str(to)})
        version = recognise(to, schema)
        assert version is not None
        versions[name] = version
    return versions


@contextmanager
def _in_words() -> Generator[None]:
    try:
        yield
    except (BackupRefused, DataFolderError) as error:
        raise CommandError(str(error)) from None
    except Gone:
        raise CommandError("the node stopped in this moment; try again") from None
    except Refused as error:
        raise CommandError(f"the node made no copy of its databases: {error}") from None


def _outside(data: Path, options: argparse.Namespace) -> list[LeftOut]:
    """What the node uses and has not in its folder, as far as can be told."""
    places: list[tuple[Path | None, str]] = []
    try:
        config = configured(options)
    except ConfigError as error:
        # It may be what somebody wants to go back to.
        file, files = file_of(os.environ, options.config, data), error.files
    else:
        file, files = config.file, config.files
        places = [
            (agent.workspace, f"where the agent {name} works")
            for name, agent in config.agents.items()
        ]
    parts = [(each, "the configuration leads to it") for each in files]
    return [
        LeftOut(str(path), what)
        for path, what in [(file, "the configuration"), *parts, *places]
        if path is not None and not _is_in(data, path)
    ]


def _is_in(data: Path, path: Path) -> bool:
    """Whether a backup of *data* has *path*, or tells itself why not."""
    whole, inner = os.path.abspath(data), os.path.abspath(path)  # noqa: PTH100 -- resolve() would follow a link
    if not Path(inner).is_relative_to(whole):
        return False
    return inner == whole or is_kept(PurePosixPath(os.path.relpath(inner, whole)))


# --- words


def _list(manifest: Manifest, options: argparse.Namespace) -> None:
    if options.json:
        rows = [{"name": each.name, "size": each.size} for each in manifest.entries]
        result_json({**_plain(manifest), "entries": rows})
        return
    for entry in manifest.entries:
        result(f"{_size(entry.size):>9}  {entry.name}")
    for each in manifest.left_out:
        _tell_left_out(each)
    tell(f"whole: {_summary(manifest)}")


def _tell_left_out(each: LeftOut, more: str = "") -> None:
    # An agent may have chosen the name, and a terminal obeys what stands in it.
    tell(f"not in it: {visible(each.name)} ({visible(each.why)}){more}")


def _plain(
    manifest: Manifest, left_out: list[LeftOut] | None = None
) -> dict[str, object]:
    rest = manifest.left_out if left_out is None else left_out
    return {
        "made_at": manifest.made_at,
        "version": manifest.version,
        "schemas": dict(manifest.schemas),
        "files": len(manifest.entries),
        "bytes": sum(entry.size for entry in manifest.entries),
        "left_out": [{"name": each.name, "why": each.why} for each in rest],
    }


def _summary(manifest: Manifest) -> str:
    made = datetime.fromtimestamp(manifest.made_at, UTC).astimezone()
    size = _size(sum(entry.size for entry in manifest.entries))
    files = counted(len(manifest.entries), "file")
    return f"{files}, {size}, of {made:%Y-%m-%d %H:%M:%S} by {manifest.version}"


def _size(number: float) -> str:
    unit = 0
    while number >= _STEP and unit + 1 < len(_UNITS):
        number, unit = number / _STEP, unit + 1
    return (
        f"{number:.0f} {_UNITS[unit]}" if unit == 0 else f"{number:.1f} {_UNITS[unit]}"
    )


def _stamp(now: float) -> str:
    return f"{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%SZ}"
