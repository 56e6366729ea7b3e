"""From a type to JSON Schema, as plain as every provider takes it: nothing is a reference.

For the model an argument is in camel case, as OpenClaw's are: ``max_chars`` is shown as
``maxChars``.
"""

import types
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

import attrs
import cattrs

from beamclaw.arguments.docstring import parse
from beamclaw.config.schema import Range
from beamclaw.values import frozen

Schema = dict[str, Any]

_PLAIN: Mapping[Any, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
}
_LISTS = (list, tuple, Sequence)
_MAPPINGS = (dict, Mapping)


@frozen
class Length:
    """How long a text, or how many things in a list."""

    least: int = 0
    most: int | None = None


@frozen
class Null:
    """Null says something else here than leaving it out: that a value is taken away."""


def camel(name: str) -> str:
    """*name* as the model has it.

    >>> camel("max_chars")
    'maxChars'
    """
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def schema_of(kind: Any) -> Schema:
    """The schema of *kind*.

    Raises:
        TypeError: A model cannot be told of such a type.
    """
    if kind in _PLAIN:
        return {"type": _PLAIN[kind]}
    if kind is Any:
        return {}
    return object_of(kind) if attrs.has(kind) else _made_of(kind)


def _made_of(kind: Any) -> Schema:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        schema = _annotated(inner[0], inner[1:])
    elif origin is Literal and all(isinstance(each, str) for each in inner):
        schema = {"type": "string", "enum": list(inner)}
    elif origin in (Union, types.UnionType):
        schema = _union(inner)
    elif origin in _LISTS and _is_homogeneous(origin, inner):
        schema = {"type": "array", "items": schema_of(inner[0])}
    elif origin in _MAPPINGS and inner[0] is str:
        schema = {"type": "object", "additionalProperties": schema_of(inner[1])}
    else:
        msg = f"{kind!r} is no type of an argument: see docs/how-to/write-a-tool.md"
        raise TypeError(msg)
    return schema


def _is_homogeneous(origin: Any, inner: tuple[Any, ...]) -> bool:
    return origin is not tuple or (len(inner) == 2 and inner[1] is Ellipsis)  # noqa: PLR2004 -- tuple[X, ...]


def _union(members: tuple[Any, ...]) -> Schema:
    """What may be left out is said by not being required, not by null."""
    given = [schema_of(each) for each in members if each is not type(None)]
    return given[0] if len(given) == 1 else {"anyOf": given}


def _annotated(kind: Any, notes: tuple[Any, ...]) -> Schema:
    schema: Schema = schema_of(kind)
    for note in notes:
        match note:
            case str():
                schema["description"] = note
            case Range():
                least = "exclusiveMinimum" if note.above else "minimum"
                schema |= _said({least: note.least, "maximum": note.most})
            case Length():
                what = "Items" if schema["type"] == "array" else "Length"
                limits = {f"min{what}": note.least or None, f"max{what}": note.most}
                schema |= _said(limits)
            case Null():
                schema = {"anyOf": [schema, {"type": "null"}]}
            case _:
                msg = f"{note!r} says nothing of an argument"
                raise TypeError(msg)
    return schema


def _said(limits: Mapping[str, float | None]) -> Schema:
    return {name: limit for name, limit in limits.items() if limit is not None}


def fields_of(cls: type) -> dict[str, "attrs.Attribute[Any]"]:
    """The fields of *cls* by the names that the model has for them."""
    attrs.resolve_types(cls, include_extras=True)
    fields = cast("tuple[attrs.Attribute[Any], ...]", attrs.fields(cls))
    return {camel(field.name): field for field in fields if field.init}


def object_of(cls: type) -> Schema:
    """The schema of an attrs class; its docstring says what the fields mean."""
    said = parse(cls.__doc__).arguments
    properties: Schema = {}
    required: list[str] = []
    for name, field in fields_of(cls).items():
        shown = schema_of(field.type)
        if words := said.get(field.name):
            shown = {**shown, "description": words}
        if field.default is attrs.NOTHING:
            required.append(name)
        elif field.default is not None and not _is_factory(field.default):
            shown["default"] = _plain(field.default)
        properties[name] = shown
    schema: Schema = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    return schema | {"additionalProperties": False}


def _is_factory(default: Any) -> bool:
    return isinstance(default, attrs.Factory)  # pyright: ignore[reportArgumentType] -- a class at run time


def _plain(default: Any) -> Any:
    return cattrs.unstructure(default)
