"""Edits of the configuration's file: a right and a wrong value for every key there is.

Made from the schema, so that a new key is edited by itself. A value that the schema does
not tell how to choose, a path or the name of another part, stands in a table here; a text
without an entry there gets some words.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import yaml

from beamclaw.config.json_schema import (
    EVERY,
    Schema,
    inner_of,
    is_secret,
    json_schema,
)

Document = dict[str, Any]
# Names of a person's choice, where a part has to be there, or may not be the one in use.
NAMES: Mapping[str, str] = {"providers": "spare", "agents": "second", "models": "some"}
NAME = "thing"
BY_PROVIDER = "demo"
SECRET = "secret-of-an-edit-with-forty-characters-"
# What is told of the schema's path; {folder} is one that is there.
VALUES: Mapping[str, Any] = {
    "providers.*.api": "openai",
    "providers.*.base_url": "http://127.0.0.1:9/v1",
    "providers.*.script": "{folder}/script.yaml",
    "agents.*.model": "demo/other",
    "agents.*.fallbacks": ["demo/another"],
    "agents.*.embeddings": "demo/vectors",
    "agents.*.subagents.allow_agents": ["main"],
    "agents.*.hand_over": ["main"],
    "agents.*.workspace": "{folder}/workspace",
    "gateway.host": "127.0.0.2",
    "gateway.auth.proxy.scopes": ["operator.read"],
    "gateway.trusted_proxies": ["10.0.0.5"],
    "gateway.hosts": ["example.org"],
    "gateway.origins": ["https://example.org"],
    "gateway.control_ui.root": "{folder}",
    "gateway.control_ui.base_path": "/page",
    "gateway.control_ui.host": "127.0.0.3",
    "gateway.control_ui.port": 0,
    "hooks.agents": ["main"],
    "hooks.mappings.*.agent": "main",
    "hooks.mappings.*.session": "hook:thing",
    "limits.day.unpriced": "refuse",  # what is written takes the place of the default
    "sessions.time_zone": "Europe/Berlin",
    "skills.load.extra_dirs": ["{folder}"],
    "telemetry.otlp.endpoint": "http://127.0.0.1:9",
    "tools.exec.allow": ["/bin/true"],
    "tools.exec.sandbox.read": ["{folder}"],
    "tools.exec.sandbox.write": ["{folder}"],
    "agents.*.sandbox.read": ["{folder}"],
    "agents.*.sandbox.write": ["{folder}"],
    "tools.sessions.agent_to_agent": ["main"],
    "tools.web.private_networks": ["10.0.0.0/8"],
    "tools.web.ports": [8080],
    # A node that says less is not understood by whoever looks at what it says.
    "logging.level": "debug",
    # Of the modes that let somebody in, one that needs nobody beside.
    "gateway.auth.mode": "password",
}
# What has to stand beside a key.
BESIDE: Mapping[str, Document] = {
    "gateway.auth.mode": {"gateway": {"auth": {"password": SECRET}}},
    "hooks.enabled": {"hooks": {"token": SECRET}},
    "hooks.mappings": {"hooks": {"mappings": {NAME: {"message": "words"}}}},
    "providers": {"providers": {"spare": {"api": "demo"}}},
    "providers.*.api": {"providers": {"spare": {"api_key": SECRET}}},
}
# Factors of a number's default: what does not fit any more is tried the other way.
_FACTORS = (1.5, 2, 3, 0.5)
_FREE = 1_000_000_000


@attrs.frozen
class Key:
    """A key whose value can be edited.

    Attributes:
        schema_path: As the schema has it, with ``*`` for names of a person's choice.
        path: The same with names.
        schema: What describes its value.
    """

    schema_path: str
    path: str
    schema: Schema

    @property
    def is_number(self) -> bool:
        return not {"integer", "number"}.isdisjoint(_types(self.schema))


@attrs.frozen
class Edit:
    """One edit: what the file says after it, all of it.

    Attributes:
        right: Whether the file can be used.
    """

    key: Key
    right: bool
    document: Document

    @property
    def text(self) -> str:
        """The file."""
        return yaml.safe_dump(self.document, sort_keys=False)

    @property
    def line(self) -> int:
        """In which line of it the key's value stands."""
        node: Any = yaml.compose(self.text)
        for step in self.key.path.split("."):
            node = {key.value: value for key, value in node.value}[step]
        return node.start_mark.line + 1


def every_key() -> Sequence[Key]:
    """All of them; a list, or a table of secrets, counts as one."""
    return [*_keys(json_schema(), (), ())]


def _keys(schema: Schema, at: tuple[str, ...], named: tuple[str, ...]) -> Iterator[Key]:
    inner = {} if "array" in _types(schema) or is_secret(schema) else inner_of(schema)
    if at and not inner:
        yield Key(".".join(at), ".".join(named), schema)
    for name, below in inner.items():
        chosen = _name(at[-1]) if name == EVERY else name
        yield from _keys(below, (*at, name), (*named, chosen))


def _name(table: str) -> str:
    return BY_PROVIDER if table == "by_provider" else NAMES.get(table, NAME)


def _types(schema: Schema) -> tuple[str, ...]:
    given = schema.get("type", ())
    return (given,) if isinstance(given, str) else tuple(given)


def one_holds_other(one: str, other: str) -> bool:
    """Whether of two paths one is the other, or lies below it."""
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")


def keys_in_use(**names: str) -> Iterator[Key]:
    """Numbers of parts that a turn goes by: ``providers="fake"``."""
    for key in every_key():
        table, _, rest = key.schema_path.partition(".*.")
        if table in names and key.is_number and key.schema.get("default"):
            yield attrs.evolve(key, path=f"{table}.{names[table]}.{rest}")


def edit(key: Key, base: Document, folder: Path, *, right: bool, number: int) -> Edit:
    """What comes of *base*; *number* is another one for each edit, and chooses."""
    rng = random.Random(f"{key.path} {number}")
    document = _laid_over({}, base)
    for path, beside in BESIDE.items():
        if f"{key.schema_path}.".startswith(f"{path}."):
            document = _laid_over(document, beside)
    value = right_value(key, rng, folder) if right else wrong_value(key, rng, number)
    for step in reversed(key.path.split(".")):
        value = {step: value}
    return Edit(key, right, _laid_over(document, value))


def _laid_over(one: Document, other: Mapping[str, Any]) -> Document:
    made = dict(one)
    for name, value in other.items():
        below = made.get(name)
        table = below if isinstance(below, dict) else {}
        made[name] = _laid_over(table, value) if isinstance(value, Mapping) else value
    return made


def right_value(key: Key, rng: random.Random, folder: Path) -> Any:
    """One that can be used, and is not what there is without it."""
    if key.schema_path in VALUES:
        return _filled(VALUES[key.schema_path], folder)
    schema, types = key.schema, _types(key.schema)
    if is_secret(schema):
        return SECRET
    if "enum" in schema:
        default = schema.get("default")
        return rng.choice([x for x in schema["enum"] if x not in (None, default)])
    if "boolean" in types:
        return not schema.get("default", False)
    if "array" in types:
        return ["words"]
    return _number(schema, rng) if key.is_number else "words"


def _filled(value: Any, folder: Path) -> Any:
    if isinstance(value, list):
        return [_filled(each, folder) for each in value]
    return value.replace("{folder}", str(folder)) if isinstance(value, str) else value


def _number(schema: Schema, rng: random.Random) -> float:
    default, whole = schema.get("default"), "integer" in _types(schema)
    most = schema.get("maximum", _FREE * _FREE)
    if not default:
        return min(_FREE, most)
    first = rng.choice(_FACTORS[:3])
    found = [default * factor for factor in (first, *_FACTORS)]
    found = [round(each) for each in found] if whole else found
    return next(each for each in found if each <= most and each != default)


def wrong_value(key: Key, rng: random.Random, number: int) -> Any:
    """One that cannot be used."""
    schema = key.schema
    if key.is_number:
        outside = [
            *([schema["minimum"] - 1] if "minimum" in schema else ()),
            *([schema["exclusiveMinimum"]] if "exclusiveMinimum" in schema else ()),
            *([schema["maximum"] + 1] if "maximum" in schema else ()),
        ]
        return rng.choice([f"many {number}", True, [number], *outside])
    if is_secret(schema) or "array" in _types(schema):
        return {"strange": number}
    if "enum" in schema or "boolean" in _types(schema):
        return rng.choice([f"nonsense {number}", [number], number])
    return rng.choice([[number], {"strange": number}])
