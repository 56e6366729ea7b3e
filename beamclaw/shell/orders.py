"""What a person typed as a message, a request or a new value, as what it stands for.

A message is a JSON value, or ``{"type": NAME, "fields": {...}}``: one of the node's own
messages, by the name of its class.
"""

import difflib
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

import attrs
from cattrs.errors import BaseValidationError

import supervision
from beamclaw.contracts.codec import converter
from beamclaw.shell.deeds import expression_of
from beamclaw.shell.request import Failed, Node, Params, text

_PLAIN: Final = (bool, int, float, str)
_CONTRACTS: Final = "beamclaw.contracts."


def message_of(params: Params) -> object:
    """The message in the parameter ``message``.

    Raises:
        Failed: There is no message of that name, or it does not take these fields.
    """
    given: Any = params.get("message")
    if not isinstance(given, dict):
        return given
    found = cast("Mapping[str, object]", given)
    return _made(found, _known(_messages()), "message")


def request_of(params: Params) -> supervision.Call[Any]:
    """The request in the parameter ``message``: always one of the node's own.

    Raises:
        Failed: See :func:`message_of`; or it is no request.
    """
    given: Any = params.get("message")
    if not isinstance(given, dict):
        raise Failed("params", "a call takes the name of a request, such as GetLimits")
    found = cast("Mapping[str, object]", given)
    return cast("supervision.Call[Any]", _made(found, _known(_requests()), "request"))


def _made(
    given: Mapping[str, object], known: Mapping[str, type[Any]], thing: str
) -> object:
    name, fields = given.get("type"), given.get("fields", {})
    cls = known.get(name) if isinstance(name, str) else None
    if cls is None:
        typed = str(name)[:100]
        close = difflib.get_close_matches(typed, known, n=3)
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        raise Failed("params", f"there is no {thing} {typed!r}{hint}")
    names = (
        {field.name for field in attrs.fields(cls)} if attrs.has(cls) else set[str]()
    )
    if not isinstance(fields, dict) or not set(cast("Any", fields)) <= names:
        has = ", ".join(sorted(names)) or "no fields"
        raise Failed("params", f"{name} has {has}")
    try:
        return cast("object", converter.structure(fields, cls))
    except (BaseValidationError, TypeError, ValueError, KeyError) as error:
        words = "; ".join(_words(error)) or type(error).__name__
        raise Failed("params", f"{name} cannot be made of that: {words}") from None


def _words(error: BaseException) -> Iterator[str]:
    if isinstance(error, BaseExceptionGroup):
        for inner in cast("BaseExceptionGroup[BaseException]", error).exceptions:
            yield from _words(inner)
    else:
        yield f"{type(error).__name__} {error}"[:200]


def _known(classes: Iterator[type[Any]]) -> dict[str, type[Any]]:
    return {cls.__name__: cls for cls in classes}


def _requests() -> Iterator[type[Any]]:
    for cls in _below(supervision.Call):
        if cls.__module__.startswith("beamclaw."):
            yield cls


def _below(cls: type[Any]) -> Iterator[type[Any]]:
    for each in cls.__subclasses__():
        yield each
        yield from _below(each)


def _messages() -> Iterator[type[Any]]:
    for name, module in tuple(sys.modules.items()):
        if name.startswith(_CONTRACTS):
            for cls in tuple(vars(module).values()):
                if isinstance(cls, type) and attrs.has(cls):
                    yield cls


@attrs.define
class Change:
    """Another value for one field of a state; *before* and *after* when it is done."""

    field: str
    value: object = None
    expression: str | None = None
    before: object = None
    after: object = None

    def apply(self, state: Any) -> Any:
        """The state with it: of a server or supervisor its fields, of a machine its data.

        Raises:
            Failed: There is no such field, or its value is not that plain.
        """
        if isinstance(state, tuple):
            name, data = cast("tuple[object, Mapping[str, object]]", state)
            return name, self._changed(data)
        return self._changed(cast("Mapping[str, object]", state))

    def _changed(self, fields: Mapping[str, object]) -> dict[str, object]:
        name = self.field if self.field in fields else f"_{self.field}"
        if name not in fields:
            close = difflib.get_close_matches(self.field, fields, n=3)
            hint = f"; did you mean {' or '.join(close)}?" if close else ""
            raise Failed("params", f"its state has no field {self.field!r}{hint}")
        self.before = fields[name]
        self.after = self._after(fields)
        return {**fields, name: self.after}

    def _after(self, fields: Mapping[str, object]) -> object:
        if self.expression is not None:
            # Whoever may run expressions may do everything; the configuration says so.
            known = {"state": dict(fields), "old": self.before}
            return eval(self.expression, known)  # noqa: S307
        return fitting(self.before, self.value)


def fitting(before: object, value: object) -> object:
    """*value*, where it is as plain as what it takes the place of.

    Raises:
        Failed: One of the two is not.
    """
    if before is not None and type(before) not in _PLAIN:
        raise Failed(
            "params",
            f"it holds a {type(before).__name__}; only texts, numbers, true, false and "
            "null can be replaced, unless shell.expressions allows Python",
        )
    if value is not None and type(value) not in _PLAIN:
        raise Failed("params", "the new value is a text, a number, true, false or null")
    if type(before) is float and type(value) is int:
        return float(value)
    if before is not None and type(value) is not type(before):
        raise Failed(
            "params",
            f"it holds a {type(before).__name__}, and that is a {type(value).__name__}",
        )
    return value


_NOT_ALLOWED: Final = (
    "Python expressions are not allowed; `shell: {expressions: socket}` in the "
    "configuration allows them to whoever can open the node's socket"
)
_NOT_OVER_GATEWAY: Final = (
    "Python expressions are not allowed over the gateway; `shell: {expressions: "
    "everywhere}` in the configuration allows them to whoever has operator.admin"
)


def allow_expressions(node: Node) -> None:
    """Return if whoever asks may run Python text in the node.

    Raises:
        Failed: The configuration does not say so.
    """
    match node.config.shell.expressions:
        case "everywhere":
            return
        case True | "socket" if not node.over_gateway:
            return
        case _:
            words = _NOT_OVER_GATEWAY if node.over_gateway else _NOT_ALLOWED
            raise Failed("refused", words)


def replaced(node: Node, params: Params) -> Change:
    """The change of ``field`` to ``value``, or to what ``expression`` makes of it.

    Raises:
        Failed: It is an expression, and these are not allowed.
    """
    field = text(params, "field")
    if params.get("expression") is None:
        return Change(field=field, value=params.get("value"))
    allow_expressions(node)
    return Change(field=field, expression=expression_of(text(params, "expression")))
