"""Files that say who an agent is and what it does: written on purpose or not at all.

What stands in them comes into every later conversation, or is run by a program that
comes by. A stranger's text that gets there stays, so whoever writes there after reading
one asks a person first.
"""

import unicodedata
from collections.abc import Sequence
from typing import Final

# At the top of a workspace; what ends with a stroke is a folder with all that is in it.
PROTECTED: Final = (
    "AGENTS.md",
    "SOUL.md",
    "USER.md",
    "IDENTITY.md",
    "TOOLS.md",
    "HEARTBEAT.md",
    "BOOTSTRAP.md",
    "MEMORY.md",
    "memory/",
    "skills/",
    # Programs that git runs, and the settings that name some.
    ".git/hooks/",
    ".git/config",
)


def protected(parts: Sequence[str]) -> str | None:
    """Which of :data:`PROTECTED` the place at *parts* of a workspace is or lies in.

    It counts as one of them when a file system or a program that takes letters for the
    same might think so: upper and lower case, composed and decomposed letters, wide and
    narrow forms, characters that cannot be seen.

    >>> protected(["agents.MD"])
    'AGENTS.md'
    >>> protected(["skills", "csv", "SKILL.md"])
    'skills/'
    >>> protected(["notes", "AGENTS.md"]) is None
    True
    """
    folded = [_folded(part) for part in parts]
    return next((name for name, key in _KEYS if folded[: len(key)] == key), None)


def _folded(name: str) -> str:
    plain = unicodedata.normalize("NFKC", name)
    seen = "".join(each for each in plain if unicodedata.category(each) != "Cf")
    # Folding may decompose, and composing once more is what makes two spellings one.
    return unicodedata.normalize("NFKC", seen.casefold()).rstrip(" .")


_KEYS: Final = tuple(
    (name, [_folded(part) for part in name.rstrip("/").split("/")])
    for name in PROTECTED
)
