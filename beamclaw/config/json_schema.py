"""The configuration as JSON Schema: for editors, and for programs that draw forms of it.

Made from the classes of the schema, like the default file and the reference page. Editors
have a file before them, which may include others; forms are of all of it together. What
is read is the file with its variables replaced: ``port: ${PORT}`` is right there, and a
text for whoever looks at it as JSON.
"""

import re
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, Union, cast, get_args, get_origin
from typing import get_type_hints as hints_of

import attrs

from beamclaw.config.including import INCLUDE
from beamclaw.config.reference import plain
from beamclaw.config.schema import ENDLESS, Config, Range
from beamclaw.config.structure import keys_of
from beamclaw.contracts.secret import Secret

Schema = dict[str, Any]
DIALECT: Final = "http://json-schema.org/draft-07/schema#"
EVERY: Final = "*"
"""In a path: whatever name a person has chosen, or any place of a list."""


def _form(required: str, **properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": [required],
        "additionalProperties": False,
    }


_TEXT: Final[Schema] = {"type": "string", "minLength": 1}
# What :mod:`beamclaw.config.secret_forms` reads.
_SECRET_FORMS: Final[Sequence[Schema]] = (
    _form("env", env=_TEXT),
    _form("file", file=_TEXT),
    _form(
        "command",
        command={"type": "array", "items": _TEXT, "minItems": 1},
        seconds={"type": "number", "exclusiveMinimum": 0},
    ),
    _form("keyring", keyring={"type": "string", "pattern": "^[^-].*/.+$"}),
    _form("source", source={"const": "env"}, provider=_TEXT, id=_TEXT),
)
_INCLUDED: Final[Schema] = {
    "description": (
        "Files that have what belongs here, relative to this one, each laid over those "
        "before it; the keys beside this one go before all of them."
    ),
    "anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1}],
}
_PLAIN: Final[Mapping[Any, str]] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
}


def json_schema() -> Schema:
    """The schema of the whole configuration, for programs that draw forms of it."""
    return {"$schema": DIALECT, "title": "BeamClaw's configuration"} | _keys(Config)


def file_schema() -> Schema:
    """The schema of the file, for editors: any mapping may be in others, by ``$include``."""
    return _including(json_schema())


def _including(schema: Schema) -> Schema:
    made = dict(schema)
    if "anyOf" in schema:
        forms = [_including(each) for each in schema["anyOf"]]
        if any("required" in each for each in forms):
            forms.append(_form(INCLUDE, **{INCLUDE: _INCLUDED}))
        made["anyOf"] = forms
    if "items" in schema:
        made["items"] = _including(schema["items"])
    if "object" not in schema.get("type", ()) or "required" in schema:
        return made
    inner = schema.get("properties", {}).items()
    made["properties"] = {name: _including(each) for name, each in inner} | {
        INCLUDE: _INCLUDED
    }
    others: Schema | bool = schema["additionalProperties"]
    if not isinstance(others, bool):
        made["additionalProperties"] = _including(others)
    return made


def hints(schema: Schema) -> dict[str, dict[str, Any]]:
    """What a form says of each key, by its path: what it is for, and what is secret."""
    return dict(_hints(schema, ""))


def lookup(schema: Schema, path: str) -> Schema | None:
    """The part of *schema* at *path* (``agents.*.model``); None: there is none.

    A name of a person's choice stands for itself or is ``*``; the path ``.`` is all of it.
    """
    found = schema
    for step in steps(path):
        inner = inner_of(found)
        below = inner.get(step) or inner.get(EVERY)
        if below is None:
            return None
        found = below
    return found


def steps(path: str) -> list[str]:
    """The names in *path*, with dots, slashes or brackets between them.

    >>> steps("providers.local[0]/api")
    ['providers', 'local', '0', 'api']
    """
    return [step for step in re.split(r"[./\[\]]+", path) if step]


def inner_of(schema: Schema) -> dict[str, Schema]:
    """What stands directly below: by key, or under ``*``."""
    named = cast("dict[str, Schema]", schema.get("properties", {}))
    for word in ("additionalProperties", "items"):
        if isinstance(schema.get(word), dict):
            return {**named, EVERY: cast("Schema", schema[word])}
    return named


def is_secret(schema: Schema) -> bool:
    """Whether it, or one of several of it, is never shown."""
    return bool(schema.get("writeOnly"))


def _hints(schema: Schema, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, inner in inner_of(schema).items():
        at = f"{path}.{name}" if path else name
        if hint := hint_of(inner):
            yield at, hint
        yield from _hints(inner, at)


def hint_of(schema: Schema) -> dict[str, Any]:
    """What a form says of one key."""
    given: dict[str, Any] = {
        "help": schema.get("description"),
        "sensitive": is_secret(schema) or None,
    }
    return {name: value for name, value in given.items() if value}


def _keys(cls: Any) -> Schema:
    kinds = hints_of(cls, include_extras=True)
    properties = {
        name: _key(kinds[name], field) for name, field in keys_of(cls).items()
    }
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }


def _key(kind: Any, field: "attrs.Attribute[Any]") -> Schema:
    schema = _of(kind)
    doc = field.metadata.get("doc") or _summary(kind)
    if doc:
        schema["description"] = " ".join(doc.split())
    default = field.default
    factory = isinstance(default, attrs.Factory)  # pyright: ignore[reportArgumentType] -- a class at run time
    if not factory and default is not attrs.NOTHING and default is not None:
        schema["default"] = plain(default)
    return schema


def _summary(kind: Any) -> str:
    return (kind.__doc__ or "").partition("\n")[0] if attrs.has(kind) else ""


def _of(kind: Any) -> Schema:
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        schema = _union(inner)
    elif origin is Annotated:
        schema = _number(inner[0], inner[1])
    elif origin is Literal:
        schema = _choice(inner)
    elif origin is tuple:
        schema = {"type": "array", "items": _of(inner[0])}
    elif origin is Mapping:
        # Texts under names of a person's choice are headers and variables, which are
        # shown to nobody (:func:`~beamclaw.config.reference.plain`).
        value = _of(Secret if inner[1] is str else inner[1])
        schema = {"type": "object", "additionalProperties": value}
    elif attrs.has(kind):
        schema = _keys(kind)
    elif kind is Secret:
        schema = {"anyOf": [{"type": "string"}, *_SECRET_FORMS], "writeOnly": True}
    else:
        schema = {"type": _PLAIN.get(kind, "string")}
    return schema


def _choice(values: tuple[str | bool, ...]) -> Schema:
    kinds = list(dict.fromkeys(_PLAIN[type(value)] for value in values))
    return {"type": kinds[0] if len(kinds) == 1 else kinds, "enum": list(values)}


def _union(members: tuple[Any, ...]) -> Schema:
    given = [_of(each) for each in members if each is not type(None)]
    schema: Schema = given[0]
    if len(given) > 1:
        schema = {"anyOf": given}
        if any(is_secret(each) for each in given):
            schema["writeOnly"] = True
    return schema if len(given) == len(members) else _or_null(schema)


def _or_null(schema: Schema) -> Schema:
    """Null stands for a line that is not there."""
    if "anyOf" in schema:
        return {**schema, "anyOf": [*schema["anyOf"], {"type": "null"}]}
    if "enum" in schema:
        schema = {**schema, "enum": [*schema["enum"], None]}
    return {**schema, "type": [schema["type"], "null"]}


def _number(kind: Any, limits: Range) -> Schema:
    least = "exclusiveMinimum" if limits.above else "minimum"
    schema: Schema = {"type": _PLAIN[kind], least: limits.least}
    if limits.most is not None and limits.most < ENDLESS:
        schema["maximum"] = limits.most
    return schema
