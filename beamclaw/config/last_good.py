"""The file that could be used last, for a start with one that cannot.

It is kept in the data folder beside what was replaced, whole or not at all, whenever a node
has taken a file over: at a start, and when it changes.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from beamclaw.config.loader import Loaded, file_of, load_text
from beamclaw.config.writing import files
from beamclaw.contracts.shell import data_folder
from beamclaw.values import frozen

NAME: Final = "last-good.json"


@frozen(kw_only=True)
class Kept:
    """A file as it was.

    Attributes:
        file: Whose text it is.
        text: All of it.
        at: When it was first taken over, in seconds since the epoch.
    """

    file: Path
    text: str
    at: float


def keep(data: Path, kept: Kept) -> None:
    """Keep it, if it is not what is kept already; blocks on the disk.

    Raises:
        OSError: It cannot be written. What was kept before still is.
    """
    before = find(data)
    if before is not None and (before.file, before.text) == (kept.file, kept.text):
        return
    path = data / files.FOLDER / NAME
    if not path.parent.is_dir():
        files.make_folder(path.parent)
    plain = {"file": str(kept.file), "text": kept.text, "at": kept.at}
    files.replace(path, orjson.dumps(plain))


def find(data: Path) -> Kept | None:
    """What is kept in the data folder; None: nothing that can be read."""
    try:
        plain: Any = orjson.loads((data / files.FOLDER / NAME).read_bytes())
        return Kept(
            file=Path(plain["file"]), text=str(plain["text"]), at=float(plain["at"])
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def load_kept(
    variables: Mapping[str, str],
    *,
    file: str | Path | None = None,
    data: str | Path | None = None,
    options: Mapping[str, str] | None = None,
) -> tuple[Loaded, Kept] | None:
    """What a start would have taken when the file could be used; None: nobody knows.

    The arguments are those of :func:`~beamclaw.config.loader.load`.

    Raises:
        ConfigError: It cannot be used any more: what it leads to is gone.
    """
    folder = data_folder(variables, data)
    path, kept = file_of(variables, file, folder), find(folder)
    if path is None or kept is None or kept.file != path.absolute():
        return None
    loaded = load_text(kept.text, path, variables, folder=folder, options=options)
    return loaded, kept
