"""What a command finds in its environment.

Of the node's own variables only those come along that say who and where one is: keys and
tokens are in variables, too. What a model may add: `beamclaw.contracts.variables`.
"""

from collections.abc import Iterable, Mapping
from typing import Final

# Of the node's own; all names that begin with LC_, too.
INHERITED: Final = frozenset(
    {"HOME", "LANG", "LOGNAME", "PATH", "TMPDIR", "TZ", "USER"}
)
# For programs, and profiles of shells, that want to know.
MARKS: Final[Mapping[str, str]] = {"OPENCLAW_SHELL": "exec", "BEAMCLAW_SHELL": "exec"}
USUAL_PATH: Final = "/usr/local/bin:/usr/bin:/bin"


def inherited(own: Mapping[str, str], named: Iterable[str] = ()) -> dict[str, str]:
    """Of the node's *own* variables those that every command gets; *named* ones, too."""
    names = {*INHERITED, *named}
    found = {
        name: value
        for name, value in own.items()
        if name in names or name.startswith("LC_")
    }
    return found | {"PATH": search_path(own.get("PATH", ""))}


def search_path(path: str, closed: Iterable[str] = ()) -> str:
    """Where programs are looked for: whole paths only, none below one of *closed*.

    An empty one would be the working folder, where anybody may have put an ``ls``.
    """
    kept = [
        folder
        for folder in path.split(":")
        if folder.startswith("/")
        and not any(f"{folder}/".startswith(f"{each.rstrip('/')}/") for each in closed)
    ]
    return ":".join(kept) or USUAL_PATH
