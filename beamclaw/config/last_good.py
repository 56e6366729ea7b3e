"""The file that could be used last, for a start with one that cannot.

With it is kept what it included: those files may be others by then, or gone. It is kept in
the data folder beside what was replaced, whole or not at all, whenever a node has taken a
file over: at a start, and when it changes.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import attrs
import orjson

from beamclaw.config.include_files import texts_of
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
        included: The texts of what it included, by their absolute names.
    """

    file: Path
    text: str
    at: float
    included: Mapping[Path, str] = attrs.field(factory=dict[Path, str])

    def says(self, other: "Kept") -> bool:
        """Whether the other one says the same."""
        mine = (self.file, self.text, self.included)
        return mine == (other.file, other.text, other.included)


def keep(data: Path, kept: Kept) -> None:
    """Keep it, if it is not what is kept already; blocks on the disk.

    Raises:
        OSError: It cannot be written. What was kept before still is.
    """
    before = find(data)
    if before is not None and before.says(kept):
        return
    path = data / files.FOLDER / NAME
    if not path.parent.is_dir():
        files.make_folder(path.parent)
    plain = {
        "file": str(kept.file),
        "text": kept.text,
        "at": kept.at,
        "included": {str(file): text for file, text in kept.included.items()},
    }
    files.replace(path, orjson.dumps(plain))


def find(data: Path) -> Kept | None:
    """What is kept in the data folder; None: nothing that can be read."""
    try:
        plain: Any = orjson.loads((data / files.FOLDER / NAME).read_bytes())
        # One that an earlier release has kept includes nothing.
        included = dict(plain.get("included", {})).items()
        return Kept(
            file=Path(plain["file"]),
            text=str(plain["text"]),
            at=float(plain["at"]),
            included={Path(file): str(text) for file, text in included},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
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
    loaded = load_text(
        kept.text,
        path,
        variables,
        folder=folder,
        options=options,
        read=texts_of(kept.included),
    )
    return loaded, kept
