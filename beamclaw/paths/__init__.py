"""The one way from a path that somebody wrote to a file: every tool goes through it.

:class:`Roots` holds the folders that an agent may touch; :func:`find` walks to a place
inside them, name by name on open folders, so that no symbolic link leads out, not even
one that is put there meanwhile. Nothing else in the program opens a path that a model or
a stranger has written. Everything here blocks, and is called off the event loop.
"""

from beamclaw.paths.protected import protected
from beamclaw.paths.roots import NotThere, PathRefused, Place, Root, Roots
from beamclaw.paths.walk import Spot, find, folder_inside, open_below, where
from beamclaw.paths.written import Written, shown, written

__all__ = [
    "NotThere",
    "PathRefused",
    "Place",
    "Root",
    "Roots",
    "Spot",
    "Written",
    "find",
    "folder_inside",
    "open_below",
    "protected",
    "shown",
    "where",
    "written",
]
