"""Python expressions on the live node, where the configuration allows them.

One runs in the process of its request: it may wait, it ends with its connection, and what
it raises is its own. While it computes without waiting, nothing else in the node does.
"""

import ast
from collections.abc import Awaitable, Callable, Mapping
from inspect import CO_COROUTINE
from typing import Any, Final, cast

import trio

import supervision
from beamclaw.shell.deeds import deed, expression_of, told_of
from beamclaw.shell.finding import find
from beamclaw.shell.looking import of_person, shower
from beamclaw.shell.orders import allow_expressions
from beamclaw.shell.request import Failed, Method, Node, Params, Send, text


class _Output:
    """What was printed, up to a limit; the rest is counted."""

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._pieces: list[str] = []
        self.left_out = 0

    def print(self, *values: object, sep: str = " ", end: str = "\n") -> None:
        """The ``print`` of an expression."""
        text = sep.join(map(str, values)) + end
        kept = text[: self._left]
        self._pieces.append(kept)
        self._left -= len(kept)
        self.left_out += len(text) - len(kept)

    @property
    def text(self) -> str:
        return "".join(self._pieces)


async def evaluate(node: Node, params: Params, send: Send) -> object:
    """The value of ``expression``, which may ``await``; what it printed before.

    It sees ``supervision``, ``trio``, ``node`` (configuration, bus, outside), and
    ``find``, which gives the pid of whatever the other commands take as a process.
    """
    del send
    with deed(node, "eval", params, told_of(params.get("expression", ""))):
        of_person(node, "runs nothing in the node")
        return await _value(node, _compiled(node, text(params, "expression")))


async def _value(node: Node, code: Any) -> object:
    show = shower(node)
    output = _Output(node.config.shell.output)
    names: dict[str, Any] = {
        "supervision": supervision,
        "trio": trio,
        "node": node,
        "find": find,
        "print": output.print,
    }
    try:
        # Whoever may run expressions may do everything; the configuration says so.
        value: Any = eval(code, names)  # noqa: S307
        if code.co_flags & CO_COROUTINE:
            value = await cast("Awaitable[object]", value)
    except Exception as error:
        words = f"{type(error).__name__}: {show.words(error)}"
        raise Failed("raised", words) from error
    return {
        "value": show(value),
        "printed": show.redactor.scrub(output.text),
        "left_out": output.left_out,
    }


def _compiled(node: Node, expression: str) -> Any:
    allow_expressions(node)
    compiled: Callable[..., Any] = compile
    try:
        return compiled(
            expression_of(expression), "<shell>", "eval", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        )
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise Failed("params", f"{type(error).__name__}: {error}") from None


EXPRESSIONS: Final[Mapping[str, Method]] = {"eval": evaluate}
