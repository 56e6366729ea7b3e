"""What ``beamclaw doctor --repair`` can put right: each has a name, and is asked for."""

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from beamclaw.config.token import FILE_NAME
from beamclaw.contracts.databases import databases_in
from beamclaw.contracts.store import DataFolderError
from beamclaw.doctor.looking import leftovers_in, open_to_others
from beamclaw.storage import FolderLock, reindex, why
from beamclaw.values import frozen


class CannotRepair(Exception):  # noqa: N818 -- a situation
    """It was not done; the message says why."""


@frozen(kw_only=True)
class Repair:
    """One of them.

    Attributes:
        words: What it does, as a person is asked for it.
        alone: Whether no node may run meanwhile.
        run: Does it; what was done.
    """

    words: str
    alone: bool
    run: Callable[[Path], list[str]]


def repair(name: str, data: Path) -> list[str]:
    """Do it; what was done, a line for each thing.

    Raises:
        CannotRepair: A node runs, or the system does not let us.
    """
    chosen = REPAIRS[name]
    lock = None
    try:
        if chosen.alone:
            lock = FolderLock(data)
        return chosen.run(data)
    except DataFolderError as error:
        raise CannotRepair(str(error)) from None
    except OSError as error:
        raise CannotRepair(f"{error.filename}: {why(error)}") from error
    finally:
        if lock is not None:
            lock.release()


def _modes(data: Path) -> list[str]:
    done: list[str] = []
    for name in sorted(open_to_others(data)):
        path = data / name
        mode = stat.S_IMODE(path.lstat().st_mode) & 0o700
        path.chmod(mode, follow_symlinks=os.chmod not in os.supports_follow_symlinks)
        done.append(f"{path}: now {mode:o}")
    return done


def _leftovers(data: Path) -> list[str]:
    done: list[str] = []
    for name in leftovers_in(data):
        (data / name).unlink(missing_ok=True)
        done.append(f"{data / name}: removed")
    return done


def _token(data: Path) -> list[str]:
    path = data / FILE_NAME
    path.unlink(missing_ok=True)
    return [f"{path}: removed"]


def _indexes(data: Path) -> list[str]:
    done: list[str] = []
    for name in databases_in(data):
        reindex(data / name)
        done.append(f"{data / name}: its indexes are made anew")
    return done


REPAIRS: Final[Mapping[str, Repair]] = {
    "modes": Repair(
        words="let only their owner read the files of the data folder",
        alone=False,
        run=_modes,
    ),
    "leftovers": Repair(
        words="remove what killed processes have left in the data folder",
        alone=True,
        run=_leftovers,
    ),
    "token": Repair(
        words="delete the file that ought to have a token; the next start makes one",
        alone=True,
        run=_token,
    ),
    "indexes": Repair(
        words="make the indexes of the databases anew, from their tables",
        alone=True,
        run=_indexes,
    ),
}
