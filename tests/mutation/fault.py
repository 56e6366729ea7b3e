"""What a fault is, and how it is put into the sources."""

from pathlib import Path

import attrs

ROOT = Path(__file__).parents[2]
PACKAGE = "supervision"


class Stale(Exception):
    """The text of a fault is not in the sources, or not only once."""


@attrs.frozen
class Fault:
    """One change that makes one promise untrue.

    Attributes:
        id: Names it on the command line.
        file: The file of the package that it changes.
        old: What stands there; exactly once.
        new: What stands there afterwards.
        breaks: What goes wrong, in one line.
        items: The items of ``docs/reference/otp.md`` that are untrue then. At least one
            test of each has to be red.
        by_erlang: Whether the comparison with Erlang has to find it, too.
    """

    id: str
    file: str
    old: str
    new: str
    breaks: str
    items: tuple[str, ...] = ()
    by_erlang: bool = attrs.field(default=False, kw_only=True)


def faulty(fault: Fault, source: str) -> str:
    """Put *fault* into the text of its file.

    Raises:
        Stale: The text to change does not occur exactly once.
    """
    times = source.count(fault.old)
    if times != 1:
        raise Stale(
            f"the fault {fault.id!r} is stale: its old text occurs {times} times in "
            f"{PACKAGE}/{fault.file}, and has to occur once. Whoever changed that code "
            "gives the fault in tests/mutation/faults/ the text of today, so that it "
            f"still does this: {fault.breaks}\n--- its old text:\n{fault.old}",
        )
    return source.replace(fault.old, fault.new)


def put_into(fault: Fault, folder: Path) -> None:
    """Change the file of *fault* in *folder*, which holds a copy of the package."""
    path = folder / PACKAGE / fault.file
    text = faulty(fault, path.read_text())
    path.unlink()
    path.write_text(text)
