"""What a check has found."""

from typing import Literal

from beamclaw.values import frozen

Level = Literal["ok", "note", "warning", "error"]
"""``error``: the node does not start, loses something or lets in somebody. ``warning``: it
works, and will not always. ``note``: worth knowing."""


@frozen(kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: Its name, as ``space``.
        level: How bad it is.
        what: In a sentence.
        where: The file, key or process that it is about.
        advice: What to do; empty where there is nothing to do.
        repair: The name of the repair that does it, where there is one.
    """

    check: str
    level: Level
    what: str
    where: str = ""
    advice: str = ""
    repair: str = ""
