"""The folders that an agent may touch, and where in them something is."""

from pathlib import Path

import attrs

from beamclaw.paths.protected import protected
from beamclaw.paths.written import PathRefused
from beamclaw.values import frozen

__all__ = ["NotThere", "PathRefused", "Place", "Root", "Roots"]


class NotThere(PathRefused):
    """There is nothing at the path."""


@frozen
class Root:
    """A folder with all that is in it.

    Attributes:
        path: Where it is, absolute. It is trusted: links on the way *to* it are followed.
        writable: Whether files in it may be written.
        name: What it is called in messages.
    """

    path: Path = attrs.field(converter=Path.absolute)
    writable: bool = False
    name: str = "folder"

    def paths(self) -> tuple[Path, ...]:
        """How absolute paths into it may begin: as it is called, and as it really is."""
        real = self.path.resolve()
        return (self.path,) if real == self.path else (self.path, real)


@frozen
class Roots:
    """All folders of an agent.

    Attributes:
        workspace: Where relative paths begin; writable.
        others: Further ones, whose files are named by absolute paths.
        closed: Files and folders that are never opened, wherever they lie: the node's
            own data, which a workspace may well contain.
    """

    workspace: Root = attrs.field(
        converter=lambda given: (
            given
            if isinstance(given, Root)
            else Root(given, writable=True, name="workspace")
        )
    )
    others: tuple[Root, ...] = ()
    closed: tuple[Path, ...] = ()

    def at(self, path: str) -> tuple[Root, tuple[str, ...]] | None:
        """The root that the absolute *path* begins with, and the rest; the longest."""
        best: tuple[int, Root, tuple[str, ...]] | None = None
        names = tuple(name for name in path.split("/") if name not in {"", "."})
        for root in (self.workspace, *self.others):
            for top in root.paths():
                own = top.parts[1:]
                if names[: len(own)] == own and (best is None or len(own) > best[0]):
                    best = len(own), root, names[len(own) :]
        return None if best is None else best[1:]


@frozen
class Place:
    """Where something is, or could be: no link stands between root and it.

    Attributes:
        parts: The names from the root to it; none: the root itself.
    """

    root: Root
    parts: tuple[str, ...]

    @property
    def path(self) -> Path:
        """Where it is, absolute."""
        return self.root.path.joinpath(*self.parts)

    @property
    def protected(self) -> str | None:
        """See :func:`beamclaw.paths.protected`; None outside a workspace."""
        return protected(self.parts) if self.root.writable else None

    def require_writable(self) -> None:
        """Refuse a place in a root that is read only.

        Raises:
            PathRefused: It is in one.
        """
        if not self.root.writable:
            raise PathRefused(f"{self} is in a {self.root.name} that is read only")

    def __str__(self) -> str:
        """As the model writes it."""
        inside = "/".join(self.parts) or "."
        return inside if self.root.writable else str(self.path)
