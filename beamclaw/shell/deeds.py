"""What is told of those who take hold of a process, or look inside one.

A deed is told twice: before anything of it happens, and when it is over, however that
came about. So one that nobody waits for any more, and one that has ended the node, have
left a trace as well. Both rows have the same ``deed``.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Final

import trio

import supervision
from beamclaw.config.redactor import redactor
from beamclaw.shell.request import Failed, Node, Params

STEERED: Final = "beamclaw.shell.steered"
LOOKED: Final = "beamclaw.shell.looked"

# Characters of an expression: as many as the audit log writes whole.
EXPRESSION: Final = 10_000
# Of a name that somebody typed; none of ours is that long.
_TYPED: Final = 200
# Of what went wrong.
_WORDS: Final = 1_000

# An outcome, in words.
Tell = Callable[[str], None]


@contextmanager
def deed(node: Node, action: str, params: Params, what: str = "") -> Generator[None]:
    """Tell of *action* on the process of *params*, which is what happens inside."""
    number, process = node.outside.new_id(), _typed(params)

    def tell(outcome: str) -> None:
        supervision.emit(
            STEERED,
            {},
            {
                "deed": number,
                "action": action,
                "process": process,
                "what": what,
                "outcome": outcome,
                "uid": None if node.peer is None else node.peer.uid,
                "pid": None if node.peer is None else node.peer.pid,
                "by": node.by,
            },
        )

    with _told(node, tell):
        yield


@contextmanager
def look(node: Node, action: str, params: Params) -> Generator[None]:
    """The same for looks that show what a process has in it, and change nothing."""
    number, process = node.outside.new_id(), _typed(params)

    def tell(outcome: str) -> None:
        supervision.emit(
            LOOKED,
            {},
            {
                "deed": number,
                "action": action,
                "process": process,
                "outcome": outcome,
                "uid": None if node.peer is None else node.peer.uid,
                "pid": None if node.peer is None else node.peer.pid,
                "by": node.by,
            },
        )

    with _told(node, tell):
        yield


@contextmanager
def _told(node: Node, tell: Tell) -> Generator[None]:
    tell("begun")
    try:
        yield
    except BaseException as error:
        tell(redactor(node.config).scrub(_outcome(error))[:_WORDS])
        raise
    tell("done")


def _outcome(error: BaseException) -> str:
    match error:
        case trio.Cancelled():
            return "broken off"
        case Failed(code="raised"):
            return f"raised: {error}"
        case Failed():
            return f"refused: {error}"
        case _:
            # Its words may be code of others; the log has it as a crash.
            return f"raised: {type(error).__name__}"


def expression_of(given: str) -> str:
    """*given* without the blanks around it.

    Raises:
        Failed: It is longer than what is told of one.
    """
    found = given.strip()
    if len(found) > EXPRESSION:
        raise Failed(
            "params",
            f"an expression has at most {EXPRESSION:,} characters, as all of it is "
            f"written to the audit log; this one has {len(found):,}: put what is long "
            "into a module, and call that",
        )
    return found


def told_of(given: object) -> str:
    """An expression as it is told, whether it may run or not."""
    found = given.strip() if isinstance(given, str) else repr(given)
    if len(found) <= EXPRESSION:
        return found
    return f"{found[:EXPRESSION]}… ({len(found):,} characters)"


def name_told(given: object) -> str:
    """A name that somebody typed, as it is told."""
    found = given if isinstance(given, str) else repr(given)
    return found if len(found) <= _TYPED else f"{found[:_TYPED]}…"


def _typed(params: Params) -> str:
    given: Any = params.get("process", "")
    return name_told(given)
