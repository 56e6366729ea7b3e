"""Which process a person means: by name, number, session, or as it stands in the tree.

A word that may stand for several is refused, also where one of them has it as its whole
name: in the tree others are shown with that word, and to end the wrong one is worse than
to be asked again. A whole path, a number, and nearly always a name, is one process.
"""

import difflib
import re
from collections.abc import Generator, Iterator, Sequence
from itertools import chain, islice
from typing import Final

import supervision
from beamclaw.contracts import keys, names
from beamclaw.shell.request import Failed, Node, Params, text
from beamclaw.shell.slices import Slices, pieces

ROOT: Final = "beamclaw"
# Letters of a name's part that is looked for in names: fewer stand in nearly all.
_TELLING: Final = 3
# Names, and ids, that are compared with one that nobody has: comparing takes a while.
_COMPARED: Final = 500
_SUGGESTED: Final = 3
# Processes that are told of a word that may stand for more.
_TOLD: Final = 6
# Names that are looked through in one step.
NAMES_AT_ONCE: Final = 1_000
# Between the parts of a name, and those of a session's key.
_END: Final = re.compile("[/:]")

# Looks in steps, between which others may run.
Search = Generator[None, None, supervision.Pid]


def find(typed: str) -> supervision.Pid:
    """The process that *typed* stands for.

    ``beamclaw`` is the root, and so is its id, ``<12>`` or ``12`` a number, ``main`` the
    session of that key, ``ledger`` what is called ``default/ledger``, and ``runs/turns``
    what stands there in the tree.

    Raises:
        Failed: There is none, or more than one; the words say what is like it, or how
            each of them is written.
    """
    search = _search(typed.strip())
    while True:
        try:
            next(search)
        except StopIteration as end:
            return end.value


async def wanted(
    node: Node, params: Params, name: str = "process", default: str | None = None
) -> supervision.Pid:
    """The process that the parameter *name* stands for; see :func:`find`.

    Others run meanwhile: there may be very many to look through.
    """
    search = _search(text(params, name, default).strip())
    slices = Slices(node.config.shell.slice_seconds)
    while True:
        try:
            next(search)
        except StopIteration as end:
            return end.value
        await slices.pause()


def name_of(info: supervision.ProcessInfo) -> str:
    """What people call a process: its name, else its id and number."""
    return info.name or f"{info.id} {info.pid}"


def path_of(pid: supervision.Pid) -> str:
    """Where it stands in the tree, as that is drawn; empty for one that is in none."""
    path = supervision.path(pid)
    return "/".join((ROOT, *path[1:])) if path else ""


def _search(given: str) -> Search:
    certain = supervision.tree(depth=0).pid if given == ROOT else _numbered(given)
    if certain is not None:
        return certain
    meant = yield from _meant(given)
    if not meant:
        raise Failed("noprocess", (yield from _nobody(given)))
    if len(meant) > 1:
        raise Failed("ambiguous", _several(given, meant))
    return meant[0]


def _numbered(given: str) -> supervision.Pid | None:
    digits = given.removeprefix("<").removesuffix(">")
    # More digits than that have never been counted.
    if digits.isascii() and digits.isdigit() and len(digits) < 19:  # noqa: PLR2004
        return supervision.pid(int(digits))
    return None


def _meant(given: str) -> Generator[None, None, list[supervision.Pid]]:
    """All that *given* may stand for, by name first; of very many a few."""
    root = supervision.tree(depth=0)
    named = [supervision.whereis(given), _session(given)]
    if named == [None, None]:
        named = yield from _by_end(given)
    if given == root.id:
        named.append(root.pid)
    found = {pid: None for pid in named if pid is not None}
    for pid in at_path(given):
        if pid is not None:
            found[pid] = None
        if len(found) > _TOLD:
            break
        yield
    return list(found)


def _session(given: str) -> supervision.Pid | None:
    try:
        key = str(keys.resolve(given, "main"))
    except keys.BadKey:
        return None
    return supervision.whereis(names.session(names.DEFAULT_TENANT, key))


def _by_end(given: str) -> Generator[None, None, list[supervision.Pid | None]]:
    """Those whose registered name ends so."""
    end, found = f"/{given}", list[str]()
    for piece in pieces(supervision.registered(), NAMES_AT_ONCE):
        found += (name for name in piece if name.endswith(end))
        if len(found) > _TOLD:
            break
        yield
    return [supervision.whereis(name) for name in sorted(found)]


def at_path(given: str) -> Iterator[supervision.Pid | None]:
    """Those whose path in the tree ends so; ``None`` between two steps."""
    end = f"/{given}"
    yield None
    for pid in supervision.identified(*_ends(given)):
        yield pid if f"/{path_of(pid)}".endswith(end) else None


def _ends(given: str) -> Iterator[str]:
    """The ids that the last of a path may be: an id may have a stroke in it."""
    parts = given.split("/")
    return ("/".join(parts[at:]) for at in range(len(parts)))


def _several(given: str, meant: Sequence[supervision.Pid]) -> str:
    told = [_told(pid) for pid in meant[:_TOLD]]
    more = ", and there are more" if len(meant) > _TOLD else ""
    return (
        f"{given[:200]!r} may be {' or '.join(told)}{more}; write it in full, as here, or "
        "its number"
    )


def _told(pid: supervision.Pid) -> str:
    """How a process is written so that no other one is meant, and what it is called."""
    info, path = supervision.info(pid, depth=0), path_of(pid)
    name = None if info is None else info.name
    words = f"{path} {pid}".lstrip()
    if name is None or (path and f"/{path}".endswith(f"/{name}")):
        return words
    return f"{words} (registered as {name})"


def _nobody(given: str) -> Generator[None, None, str]:
    words = f"there is no process {given[:200]!r}"
    if given.startswith("<") or given.isdigit():
        return f"{words}: it has ended, and what took its place has another number"
    close = yield from _like(given)
    return f"{words}; did you mean {' or '.join(close)}?" if close else words


def _like(given: str) -> Generator[None, None, list[str]]:
    known = supervision.registered()
    yield
    ids = supervision.ids()
    yield
    if len(given) >= _TELLING:
        inside = list[str]()
        for piece in chain(pieces(known, NAMES_AT_ONCE), pieces(ids, NAMES_AT_ONCE)):
            some = (name for name in piece if given in name)
            inside = list(dict.fromkeys([*inside, *some]))
            if len(inside) >= _SUGGESTED:
                break
            yield
        if inside:
            return inside[:_SUGGESTED]
    # Of several names with one end, the shortest; an id where no name ends so.
    some = sorted(islice(known, _COMPARED), key=len, reverse=True)
    by_end = {_END.split(each)[-1]: each for each in (*islice(ids, _COMPARED), *some)}
    yield
    close = difflib.get_close_matches(_END.split(given)[-1], by_end, n=_SUGGESTED)
    return [by_end[each] for each in close]
