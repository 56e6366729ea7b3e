"""What a command can do with the configuration file of a running node."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

import attrs

import supervision
from beamclaw.config.server import NAME, GetChanges, GetDocument, GetHistory, Write
from beamclaw.config.writing.documents import Order, Refusal
from beamclaw.shell.request import Failed, Method, Node, Params, Send, flag, in_words
from beamclaw.shell.request import text as text_of

T = TypeVar("T")
_HOWS: Final = ("set", "patch", "rollback")


async def document(node: Node, params: Params, send: Send) -> object:
    """The file as it stands, secrets hidden, and what of it holds at the next start."""
    del params, send
    return _shown(await _ask(node, GetDocument()))


async def write(node: Node, params: Params, send: Send) -> object:
    """Change it: ``how``, ``text`` or ``entry``, ``base``, ``replace``, ``shrink``, ``dry``."""
    del send
    if node.inner:
        raise Failed(
            "refused",
            "a command of an agent may not change the configuration; a person does, at "
            "a terminal of their own",
        )
    return _shown(await _ask(node, Write(_order(params))))


async def history(node: Node, params: Params, send: Send) -> object:
    """The files that were replaced, the newest first."""
    del params, send
    return [entry.shown for entry in await _ask(node, GetHistory())]


async def changes(node: Node, params: Params, send: Send) -> object:
    """What the file said otherwise in ``entry``, before it was replaced."""
    del send
    found = await _ask(node, GetChanges(_number(params, "entry")))
    return [attrs.asdict(change) for change in found]


async def _ask(node: Node, request: supervision.Call[T]) -> T:
    try:
        with in_words():
            return await node.bus.call(NAME, request, timeout=None)
    except Refusal as refusal:
        raise Failed(refusal.code, str(refusal)) from None


def _order(params: Params) -> Order:
    how = text_of(params, "how", "patch")
    if how not in _HOWS:
        raise Failed("params", f"how is one of {', '.join(_HOWS)}, not {how!r}")
    replace: Any = params.get("replace", [])
    if not isinstance(replace, list) or not all(isinstance(x, str) for x in replace):  # pyright: ignore[reportUnknownVariableType] -- JSON
        raise Failed("params", "replace has to be a list of paths")
    return Order(
        how=how,
        text=text_of(params, "text", ""),
        base=text_of(params, "base", "") or None,
        replace=tuple(replace),  # pyright: ignore[reportUnknownArgumentType] -- looked at above
        shrink=flag(params, "shrink"),
        entry=_number(params, "entry") if how == "rollback" else 0,
        by=text_of(params, "by", "a command"),
        note=text_of(params, "note", ""),
        dry=flag(params, "dry"),
    )


def _number(params: Params, name: str) -> int:
    value = params.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise Failed("params", f"{name} has to be the number of an entry")
    return value


def _shown(value: Any) -> dict[str, Any]:
    return attrs.asdict(value)


CONFIG_METHODS: Final[Mapping[str, Method]] = {
    "config": document,
    "config.write": write,
    "config.history": history,
    "config.changes": changes,
}
