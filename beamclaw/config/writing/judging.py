"""Whether a new configuration may take the place of the one that is there."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, cast

from beamclaw.config.document import Branch, Node, Scalar, child, parse
from beamclaw.config.including import INCLUDE, at_include, includes_of
from beamclaw.config.problems import Problem, Where
from beamclaw.config.secret_forms import places
from beamclaw.config.writing.documents import Order, Refusal
from beamclaw.config.writing.hiding import AS_WRITTEN, as_json, marked

# A file of this many bytes that loses more than half of them was most likely cut off.
SHRINK_FROM: Final = 512


def judge(order: Order, before: bytes | None, base: str | None, after: str) -> None:
    """Refuse what nobody can have meant.

    Args:
        order: What is wanted.
        before: The file as it is; None: there is none.
        base: The hash of it.
        after: The text that would be written.

    Raises:
        Refusal: With ``stale``, ``base_required``, ``redacted``, ``place``, ``included``
            or ``shrunk``.
    """
    judge_base(order, base)
    tree, _ = parse(after, "", AS_WRITTEN)
    there, _ = parse((before or b"").decode("utf-8-sig", "replace"), "", AS_WRITTEN)
    if order.far:
        _judge_places(tree, there)
    if order.how == "patch" or (order.how == "set" and not order.shrink):
        _judge_lost(tree, there)
    path = marked(tree)
    if path is not None:
        raise Refusal(
            "redacted",
            f"{path} holds the mark that stands for a hidden secret; write the secret, "
            "a variable as ${NAME}, or send a patch without that key",
        )
    size = len(after.encode())
    if (
        before is not None
        and order.how == "set"
        and not order.shrink
        and len(before) >= SHRINK_FROM
        and 2 * size < len(before)
    ):
        raise Refusal(
            "shrunk",
            f"the file would shrink from {len(before)} to {size} bytes; if that is "
            "meant, say so (--shrink), else something was cut off",
        )


def _judge_places(after: Branch, there: Branch) -> None:
    """A client may bring a secret, and nothing that has the node run or read something."""
    included = _includes(there)
    for path, named in _includes(after).items():
        if included.get(path) != named:
            raise Refusal(
                "place",
                f"{path} includes {', '.join(_list(named))}; which files are read is "
                "written on the machine of the node alone",
            )
    known = [as_json(each) for each in places(there)]
    for each in places(after):
        if as_json(each) not in known:
            raise Refusal(
                "place",
                f"{each.path} names a file, a command or a keyring's entry to read a "
                "secret from; that is written on the machine of the node alone "
                "(beamclaw config set)",
            )


def _judge_lost(after: Branch, there: Branch) -> None:
    """What is included goes by an editor, not by the way: nobody sees it in the file."""
    left = _includes(after)
    for path, named in _includes(there).items():
        gone = [name for name in _list(named) if name not in _list(left.get(path))]
        if gone:
            raise Refusal(
                "included",
                f"{path} would lose {', '.join(gone)}, and what stands there; if that "
                "is meant, take it out in the file itself, or send the whole file "
                "(beamclaw config apply --shrink)",
            )


def _includes(tree: Branch) -> dict[str, Any]:
    return {at_include(path): as_json(value) for path, value in includes_of(tree)}


def _list(named: Any) -> list[str]:
    """What one ``$include`` names; of what is no name nothing is read."""
    names = cast("list[Any]", named if isinstance(named, list) else [named])
    return [name for name in names if isinstance(name, str)]


def judge_parts(
    patch: Mapping[str, Any],
    replace: Collection[str],
    file: str,
    before: Branch,
    after: Branch,
) -> None:
    """Refuse a patch of what an included file says: no such file is written here.

    A key of the file itself that takes its place would hide it from whoever edits it.

    Args:
        patch: What is wanted, as it was read.
        replace: Its paths whose value stands for the whole.
        file: The one that is written, as positions name it.
        before: The configuration with what it includes.
        after: The same with the patch in it.

    Raises:
        Refusal: With ``included``.
    """
    for path in _changed(patch, "", frozenset(replace)):
        if path.rpartition(".")[2] == INCLUDE or path == INCLUDE:
            raise Refusal(
                "included",
                f"{path} is written in the file itself, or with the whole file "
                "(beamclaw config apply)",
            )
        places = (_foreign(tree, path, file) for tree in (before, after))
        where = next((place for place in places if place is not None), None)
        if where is not None:
            raise Refusal(
                "included",
                f"{path} stands in {where}, which is included; change it there: only "
                f"{file} is written by commands and clients",
            )


def _changed(value: Any, path: str, replace: frozenset[str]) -> Iterator[str]:
    """The paths of what *value* puts in the place of something."""
    if not isinstance(value, Mapping) or path in replace:
        yield path
        return
    for key, each in cast("Mapping[str, Any]", value).items():
        at = at_include(path) if key == INCLUDE else child(path, key)
        yield from _changed(each, at, replace)


def _foreign(node: Node, path: str, source: str) -> Where | None:
    """Where something at or below *path* stands that is not in *source*."""
    says = not (isinstance(node, Scalar) and node.null)
    if _within(node.path, path) and says and node.where.source != source:
        return node.where
    if isinstance(node, Scalar):
        return None
    below: Sequence[Node] = list(node.values() if isinstance(node, Branch) else node)
    found = (_foreign(each, path, source) for each in below)
    return next((where for where in found if where is not None), None)


def _within(inner: str, path: str) -> bool:
    return inner == path or inner.startswith((f"{path}.", f"{path}["))


def judge_base(order: Order, base: str | None) -> None:
    """Refuse an order that was made for another file.

    Raises:
        Refusal: With ``stale`` or ``base_required``.
    """
    if base is not None and order.base is None and order.must_say_base:
        raise Refusal(
            "base_required",
            "say which file this replaces: read it and send its hash along",
        )
    if order.base is not None and order.base != base:
        raise Refusal(
            "stale",
            "the file has changed since it was read; read it again and repeat the change",
        )


def fresh(after: Iterable[Problem], before: Iterable[Problem]) -> list[Problem]:
    """Warnings that were not there before: what a new file may not bring with it."""
    known = {(problem.path, problem.message) for problem in before}
    return [each for each in after if (each.path, each.message) not in known]


def issue(problem: Problem) -> Mapping[str, Any]:
    """A problem as clients are told."""
    return {
        "path": problem.path,
        "message": problem.message,
        "line": problem.where.line,
        "column": problem.where.column,
        "source": problem.where.source,
    }
