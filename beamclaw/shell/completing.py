"""What may stand where the name of a process is begun: what the tree shows, and names."""
# ruff: noqa: ARG001 -- all methods have one signature

import heapq
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

import trio

import supervision
from beamclaw.shell.finding import NAMES_AT_ONCE, ROOT, at_path
from beamclaw.shell.request import Method, Node, Params, Send, flag, text
from beamclaw.shell.slices import Slices, pieces


async def complete(node: Node, params: Params, send: Send) -> object:
    """Words for processes that begin with ``text``, in order.

    Names and ids, and behind a stroke what stands below that in the tree. Not each of
    them is one process. With ``part``, ``names`` alone that have it anywhere, in either
    case, and how many are ``found``. ``shell.children`` of them at most.
    """
    await trio.lowlevel.checkpoint()
    typed = text(params, "text", "")
    if flag(params, "part"):
        return await _with_part(node, typed.casefold())
    slices = Slices(node.config.shell.slice_seconds)
    most, first = node.config.shell.children, list[str]()
    for words in _words(typed):
        some = (word for word in words if word.startswith(typed))
        first = heapq.nsmallest(most, {*first, *some})
        await slices.pause()
    return first


async def _with_part(node: Node, typed: str) -> Mapping[str, object]:
    slices = Slices(node.config.shell.slice_seconds)
    most, first, found = node.config.shell.children, list[str](), 0
    for piece in pieces(supervision.registered(), NAMES_AT_ONCE):
        some = [name for name in piece if typed in name.casefold()]
        found += len(some)
        # A short name is more of what was typed than a long one.
        first = heapq.nsmallest(
            most, [*first, *some], key=lambda name: (len(name), name)
        )
        await slices.pause()
    return {"names": first, "found": found}


def _words(typed: str) -> Iterator[Sequence[str]]:
    """All that may be meant, in pieces between which others may run."""
    yield [ROOT]
    for known in (supervision.registered(), supervision.ids()):
        yield from pieces(known, NAMES_AT_ONCE)
    above, stroke, _ = typed.rpartition("/")
    if stroke:
        yield from _below(above)


def _below(above: str) -> Iterator[list[str]]:
    for pid in _at(above):
        if pid is not None and supervision.whereis(pid) is not None:
            for _, child in islice(supervision.walk(pid, depth=1), 1, None):
                yield [f"{above}/{child.id}"]
        yield []


def _at(path: str) -> Iterator[supervision.Pid | None]:
    if path == ROOT:
        yield supervision.tree(depth=0).pid
    else:
        yield from at_path(path)


COMPLETING: Final[Mapping[str, Method]] = {"look.names": complete}
