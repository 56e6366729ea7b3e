"""A path as a model or a person wrote it: which are refused, and why, before any look.

A path is taken as it stands: nothing is expanded, decoded or guessed. What would mean
another file to a shell, a browser or another system is refused in words, because whoever
wrote it meant that other file.
"""

import re
import unicodedata
from collections.abc import Callable
from typing import Final

from beamclaw.contracts.tools import ToolFailed
from beamclaw.values import frozen

# What the kernel takes of a path, and of one name.
MAX_BYTES: Final = 4096
MAX_NAME_BYTES: Final = 255
# Names in one path. Deeper ones can be made, but not opened in one go.
MAX_NAMES: Final = 128

# Characters of a path in a message.
_SHOWN = 120
# Joiners are letters' business in Persian, in Indian scripts and in emoji; all else of
# their kind turns text round or cannot be seen.
_JOINERS = frozenset("\u200c\u200d")
_STROKES = frozenset("/\\")
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|file:", re.IGNORECASE)
_DRIVE = re.compile(r"[A-Za-z]:(?:[\\/]|$)")
# Escapes of what means something in a path; %C0 and %C1 begin an overlong form of it.
_ESCAPE = re.compile(
    r"%(?:[01][0-9a-f]|2[ef5]|5c|7[ef]|c[01]|u[0-9a-f]{4})", re.IGNORECASE
)


class PathRefused(ToolFailed):
    """A path leads, or might lead, to where the tools do not go; in words."""


@frozen
class Written:
    """A path whose text is in order.

    Attributes:
        absolute: It begins at the top of the file system.
        parts: The names in it; ``..`` stands for itself, ``.`` is left out.
        folder: It says by a stroke at its end that a folder is meant.
    """

    absolute: bool
    parts: tuple[str, ...]
    folder: bool = False


def shown(text: str) -> str:
    """*text* in quotes for a message: short, and without characters that do things."""
    return repr(text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…")


def written(text: str) -> Written:
    """What *text* says.

    Raises:
        PathRefused: It says something else to somebody, or nothing.
    """
    for refused, why in _RULES:
        if refused(text):
            raise PathRefused(f"the path {shown(text)} {why}")
    parts = tuple(part for part in text.split("/") if part not in {"", "."})
    for part in parts:
        for refused, why in _NAME_RULES:
            if refused(part):
                raise PathRefused(f"the name {shown(part)} in a path {why}")
    if len(parts) > MAX_NAMES:
        raise PathRefused(
            f"the path {shown(text)} has {len(parts)} names; at most {MAX_NAMES} are "
            "followed"
        )
    return Written(text.startswith("/"), parts, folder=text.endswith(("/", "/.")))


def _hidden(text: str) -> bool:
    return any(
        unicodedata.category(each) in _HIDDEN and each not in _JOINERS for each in text
    )


def _disguised(part: str) -> bool:
    """It is another path where Unicode is normalised."""
    plain = unicodedata.normalize("NFKC", part)
    return plain != part and (plain in {".", ".."} or not _STROKES.isdisjoint(plain))


_Rule = tuple[Callable[[str], object], str]

# The first that applies is told.
_RULES: Final[tuple[_Rule, ...]] = (
    (lambda text: not text.strip(), "is empty; name a file or folder"),
    (lambda text: "\0" in text, "has a NUL character in it"),
    (
        lambda text: any(unicodedata.category(each) == "Cs" for each in text),
        "is not valid Unicode",
    ),
    (_hidden, "has characters that cannot be seen, or that turn text round"),
    (
        lambda text: len(text.encode("utf-8", "replace")) > MAX_BYTES,
        f"is longer than {MAX_BYTES:,} bytes",
    ),
    (
        lambda text: text.startswith(("\\\\", "//")),
        "names another machine; only files of this one are reached",
    ),
    (_SCHEME.match, "is a URL; write the path of a file"),
    (_DRIVE.match, "has a drive letter; write it from the workspace, with /"),
    (lambda text: "\\" in text, "has a backslash in it; write / between names"),
    (
        lambda text: text.startswith("~"),
        "begins with ~, which is not expanded; write it from the workspace",
    ),
    (
        _ESCAPE.search,
        "has characters written with %; nothing is decoded, write them as they are",
    ),
)

_NAME_RULES: Final[tuple[_Rule, ...]] = (
    (
        lambda part: len(part.encode()) > MAX_NAME_BYTES,
        f"is longer than {MAX_NAME_BYTES} bytes",
    ),
    (_disguised, "has characters that stand for / or .. elsewhere"),
)
