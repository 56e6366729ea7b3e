"""The files at the top of a workspace: made once, read when they have changed, set by clients.

Everything here blocks, and is done in a thread. What is read is read inside the
workspace, through no link that leads out: what stands in these files goes to a model,
and an agent in a sandbox may have put a link there.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Final

from beamclaw.contracts.points import point
from beamclaw.paths import NotThere, PathRefused, Roots, Spot, find
from beamclaw.skills.prompt import FILES, Content

_SEEDS: Final = Path(__file__).parent / "seed"
# Those that a new workspace begins with. The first is for a new one alone: it is the
# first to be there, so that one that was begun is known from one that was used.
_BOOTSTRAP: Final = "BOOTSTRAP.md"
_KEPT: Final = ("AGENTS.md", "SOUL.md", "IDENTITY.md", "USER.md")
# In a workspace that has got its files; a person may have deleted them since.
MARKER: Final = ".beamclaw/seeded"
# More than this of a file nobody is told, so no more is read.
MOST_BYTES: Final = 1 << 20
# A process that is killed leaves its thread at work while its successor begins another:
# with drafts of the same names, one would give its name to what the other has half written.
_SEEDING: Final = Lock()


def seed(workspace: Path) -> bool:
    """Give a new workspace its first files; False: it has had them before.

    A file that is there stays as it is. Killed in the middle, it is gone on with the
    next time.

    Raises:
        OSError: It cannot be written.
    """
    with _SEEDING:
        return _seed(workspace)


def _seed(workspace: Path) -> bool:
    marker = workspace / MARKER
    if marker.exists():
        return False
    for folder in (workspace, workspace / "memory", marker.parent):
        with point("workspace.folder"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = not any((workspace / name).exists() for name in _KEPT)
    for name in ((_BOOTSTRAP,) if new else ()) + _KEPT:
        _write(workspace / name, (_SEEDS / name).read_bytes())
    _write(marker, b"The files of this workspace were made once.\n")
    return True


def _write(path: Path, body: bytes) -> None:
    """Make the file whole, unless there is one."""
    if path.exists() or path.is_symlink():
        return
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.open(draft, flags, 0o600)
    try:
        os.write(file, body)
        with point("workspace.sync"):
            os.fsync(file)
    finally:
        os.close(file)
    with point("workspace.seed"), suppress(FileExistsError):
        # A link, as that replaces nothing that came meanwhile.
        os.link(draft, path)
    draft.unlink()


def contents(workspace: Path, closed: tuple[Path, ...]) -> Iterator[Content]:
    """What stands in each of the files, in the order in which they are told."""
    roots = Roots(workspace, closed=closed)
    for rule in FILES:
        yield _content(roots, rule.name)


def _content(roots: Roots, name: str) -> Content:
    try:
        raw, size = read_inside(roots, name, MOST_BYTES)
    except NotThere:
        return Content(name, None)
    except (PathRefused, OSError) as error:
        return Content(name, None, trouble=str(error))
    text = raw.decode("utf-8", "replace").removeprefix("\ufeff")
    text = text.replace("\r\n", "\n").replace("\0", "\ufffd")
    return Content(name, text, chars=size if size > len(raw) else len(text))


def read_inside(roots: Roots, path: str, most: int) -> tuple[bytes, int]:
    """The first *most* bytes of a file inside *roots*, and how many it has.

    Raises:
        NotThere: There is no such file.
        PathRefused: It is none, or leads out.
        OSError: It cannot be read.
    """
    with find(roots, path) as spot:
        file = spot.open_file()
        with os.fdopen(file, "rb") as reader:
            return reader.read(most), os.fstat(file).st_size


# --- written by a client


class NotWritten(Exception):  # noqa: N818 -- a situation
    """The file cannot be that, in words."""


def put(roots: Roots, name: str, text: str, most: int) -> None:
    """Put *text* into a file at the top of the workspace: whole, or not at all.

    Raises:
        NotWritten: None of the files is called so, or it is too much.
        PathRefused: There is something else in its place, or it leads out.
        OSError: It cannot be written.
    """
    names = [rule.name for rule in FILES]
    if name not in names:
        raise NotWritten(
            f"unsupported file {name[:100]!r}; there are {', '.join(names)}"
        )
    body = text.encode()
    if len(body) > most:
        raise NotWritten(
            f"{name} would have {len(body):,} bytes; at most {most:,} are taken "
            "(workspace.set_bytes)"
        )
    with _SEEDING, find(roots, name, make=True) as spot:
        spot.require_writable()
        # One of a write that was cut by a death is taken away by the next.
        draft = f".{spot.name}.set"
        with suppress(FileNotFoundError):
            os.unlink(draft, dir_fd=spot.folder)
        try:
            _draft(spot, draft, body)
            with point("workspace.replace"):
                os.rename(
                    draft, spot.name, src_dir_fd=spot.folder, dst_dir_fd=spot.folder
                )
        except OSError:
            with suppress(FileNotFoundError):
                os.unlink(draft, dir_fd=spot.folder)
            raise
        with point("workspace.sync-folder"):
            os.fsync(spot.folder)


def _draft(spot: Spot, name: str, body: bytes) -> None:
    """Write *body* beside *spot*, and out; with the modes of what it is to replace."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    opened = os.open(name, flags, 0o600, dir_fd=spot.folder)
    with os.fdopen(opened, "wb") as file:
        file.write(body)
        file.flush()
        if spot.status is not None:
            os.fchmod(opened, stat.S_IMODE(spot.status.st_mode) & 0o777)
        with point("workspace.write"):
            os.fsync(opened)
