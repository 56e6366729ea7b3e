"""What packages of others bring: looked up by name when somebody asks, loaded even later.

A package says so by entry points, see ``docs/how-to/write-a-tool.md``. Nothing is
imported by asking for the names.
"""

from collections.abc import Mapping
from typing import Final

from beamclaw.values import frozen

TOOLS: Final = "beamclaw.tools"
PROVIDERS: Final = "beamclaw.providers"
FAILED: Final = "beamclaw.plugin.failed"


class CannotLoad(Exception):  # noqa: N818 -- a situation
    """What a package brings cannot be used; in words for whoever has installed it."""


@frozen(kw_only=True)
class Fault:
    """Something that a package brings cannot be used.

    Attributes:
        name: Of its entry point.
        words: For who has installed it.
    """

    name: str
    package: str
    words: str


@frozen
class Found:
    """An entry point: its *name*, and of which *package*."""

    group: str
    name: str
    package: str
    value: str

    def load(self) -> object:
        """What it stands for; its package is imported now.

        Raises:
            CannotLoad: Importing it failed, by whatever exception.
        """
        # Whoever has no such package does not wait for this to be imported.
        from importlib.metadata import EntryPoint  # noqa: PLC0415

        try:
            return EntryPoint(self.name, self.value, self.group).load()
        # Somebody else's package: anything may happen, it may try to end the program.
        except (Exception, SystemExit) as error:
            words = f"{self.value} of the package {self.package} cannot be imported"
            raise CannotLoad(f"{words}: {type(error).__name__}: {error}") from error


def found(group: str) -> Mapping[str, tuple[Found, ...]]:
    """The entry points of a group by their names, of which more than one is a mistake."""
    from importlib.metadata import entry_points  # noqa: PLC0415

    all_: dict[str, tuple[Found, ...]] = {}
    for each in sorted(entry_points(group=group), key=lambda point: point.name):
        package = each.dist.name if each.dist is not None else "?"
        one = Found(group, each.name, package, each.value)
        # The same twice: its folder is on the path twice.
        if one not in all_.get(each.name, ()):
            all_[each.name] = (*all_.get(each.name, ()), one)
    return all_
