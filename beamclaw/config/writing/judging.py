"""Whether a new configuration may take the place of the one that is there."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from beamclaw.config.document import Branch, parse
from beamclaw.config.problems import Problem
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
        Refusal: With ``stale``, ``base_required``, ``redacted``, ``place`` or ``shrunk``.
    """
    judge_base(order, base)
    tree, _ = parse(after, "", AS_WRITTEN)
    if order.far:
        _judge_places(tree, b"" if before is None else before)
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


def _judge_places(after: Branch, before: bytes) -> None:
    """A client may bring a secret, and nothing that has the node run or read something."""
    there, _ = parse(before.decode("utf-8-sig", "replace"), "", AS_WRITTEN)
    known = [as_json(each) for each in places(there)]
    for each in places(after):
        if as_json(each) not in known:
            raise Refusal(
                "place",
                f"{each.path} names a file, a command or a keyring's entry to read a "
                "secret from; that is written on the machine of the node alone "
                "(beamclaw config set)",
            )


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
