"""Which process a person means: by name, number, session, or the last part of a name."""

import difflib
import re
from itertools import islice
from typing import Final

import supervision
from beamclaw.contracts import keys, names
from beamclaw.shell.request import Failed, Params, text

ROOT: Final = "beamclaw"
# Letters of a name's part that is looked for in names: fewer stand in nearly all.
_TELLING: Final = 3
# Names that are compared with one that nobody has: comparing takes a while.
_COMPARED: Final = 1_000
_SUGGESTED: Final = 3
# Between the parts of a name, and those of a session's key.
_END: Final = re.compile("[/:]")


def find(typed: str) -> supervision.Pid:
    """The process that *typed* stands for.

    ``beamclaw`` is the root, and so is its id, ``<12>`` or ``12`` a number, ``main`` the
    session of that key, ``ledger`` what is called ``default/ledger``.

    Raises:
        Failed: There is none, or more than one; the words say what is like it.
    """
    given = typed.strip()
    root = supervision.tree(depth=0)
    found = supervision.whereis(given) or _numbered(given) or _session(given)
    if given == ROOT or (found is None and given == root.id):
        found = root.pid
    if found is not None:
        return found
    end = f"/{given}"
    ends = sorted(name for name in supervision.registered() if name.endswith(end))
    if len(ends) == 1:
        found = supervision.whereis(ends[0])
        if found is not None:
            return found
    raise Failed("noprocess", _nobody(given, ends))


def wanted(params: Params, name: str = "process") -> supervision.Pid:
    """The process that the parameter *name* stands for; see :func:`find`."""
    return find(text(params, name))


def name_of(info: supervision.ProcessInfo) -> str:
    """What people call a process: its name, else its id and number."""
    return info.name or f"{info.id} {info.pid}"


def _numbered(given: str) -> supervision.Pid | None:
    digits = given.removeprefix("<").removesuffix(">")
    # More digits than that have never been counted.
    if digits.isascii() and digits.isdigit() and len(digits) < 19:  # noqa: PLR2004
        return supervision.pid(int(digits))
    return None


def _session(given: str) -> supervision.Pid | None:
    try:
        key = str(keys.resolve(given, "main"))
    except keys.BadKey:
        return None
    return supervision.whereis(names.session(names.DEFAULT_TENANT, key))


def _nobody(given: str, ends: list[str]) -> str:
    words = f"there is no process {given[:200]!r}"
    if given.startswith("<") or given.isdigit():
        return f"{words}: it has ended, and what took its place has another number"
    close = ends[:_SUGGESTED] or _like(given)
    return f"{words}; did you mean {' or '.join(close)}?" if close else words


def _like(given: str) -> list[str]:
    known = supervision.registered()
    if len(given) >= _TELLING:
        inside = list(islice((name for name in known if given in name), _SUGGESTED))
        if inside:
            return inside
    # Of several with one end, the shortest.
    some = sorted(islice(known, _COMPARED), key=len, reverse=True)
    by_end = {_END.split(name)[-1]: name for name in some}
    close = difflib.get_close_matches(_END.split(given)[-1], by_end, n=_SUGGESTED)
    return [by_end[each] for each in close]
