"""The schema written out: the default file, the reference page, what holds right now."""

import json
import types
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_args, get_origin, get_type_hints

import attrs

from beamclaw.config.document import child
from beamclaw.config.loader import Loaded
from beamclaw.config.schema import (
    Config,
    HookConfig,
    ModelInfo,
    Range,
    SkillEntryConfig,
)
from beamclaw.config.structure import choice_word, keys_of
from beamclaw.contracts.secret import REDACTED, Secret
from beamclaw.values import frozen

# Beside the default file, and beside any other that its first line shall hold for.
SCHEMA_FILE = "beamclaw.schema.json"
HEADER = f"""\
# yaml-language-server: $schema={SCHEMA_FILE}
# BeamClaw's configuration: every key, with its default and what it is for.
#
# The node reads the file given by --config, else by BEAMCLAW_CONFIG, else beamclaw.yaml
# in the data folder, else none. Write down only what should differ from here. Inside of
# values ${{NAME}} is replaced by the environment variable of that name ($${{NAME}} is the
# text itself). `beamclaw config check` finds mistakes, `beamclaw config show` prints
# what holds and where it was set. null means: as if the line were not there. In any
# mapping `$include: FILE`, or a list of files, brings in what stands elsewhere in this
# folder. The first line tells editors which keys there are, from the file that
# `beamclaw config schema > {SCHEMA_FILE}` writes.
"""

# Keys under which names of a person's choice stand, with one that says what may be there.
EXAMPLES: Mapping[str, tuple[str, object]] = {
    "providers.demo.models": ("MODEL", ModelInfo()),
    "skills.entries": ("NAME", SkillEntryConfig()),
    "hooks.mappings": ("NAME", HookConfig()),
}


@frozen
class Key:
    """One key of the schema, with a value of it."""

    path: str
    name: str
    depth: int
    kind: str
    doc: str
    value: Any
    nested: bool


def keys(value: Any, path: str = "", depth: int = 0) -> Iterator[Key]:
    """Every key of *value* and below, in the order of the schema."""
    cls = cast("Any", type(value))
    hints = get_type_hints(cls, include_extras=True)
    for name, field in keys_of(cls).items():
        inner = getattr(value, name)
        at = child(path, name)
        doc = field.metadata.get("doc") or _summary(inner)
        nested = _nested(inner)
        entries = _entries(inner)
        key = Key(at, name, depth, words(hints[name]), doc, inner, nested)
        yield attrs.evolve(key, nested=nested or bool(entries))
        if nested:
            yield from keys(inner, at, depth + 1)
        for entry, entry_value in entries.items():
            entry_at = child(at, entry)
            line = Key(entry_at, entry, depth + 1, "", "", entry_value, nested=True)
            yield line
            yield from keys(entry_value, entry_at, depth + 2)


def _entries(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        return {}
    entries = cast("Mapping[str, Any]", value)
    return {k: v for k, v in entries.items() if _nested(v)}


def _nested(value: object) -> bool:
    return attrs.has(cast("Any", type(value)))


def _summary(value: object) -> str:
    return (type(value).__doc__ or "").partition("\n")[0]


def words(kind: Any) -> str:
    """A type of the schema in words."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is types.UnionType or (arguments and type(None) in arguments):
        rest = [a for a in arguments if a is not type(None)]
        lists = ", or a list of them" if len(rest) > 1 else ""
        return f"{words(rest[0])}{lists}, or null"
    if origin is Annotated:
        number = "whole number" if arguments[0] is int else "number"
        return f"{number} {cast('Range', arguments[1])}"
    if origin is Literal:
        return " or ".join(f"`{choice_word(choice)}`" for choice in arguments)
    if origin is tuple:
        texts = get_args(kind)[0] in {str, Path, Secret}
        return "list of texts" if texts else "list of whole numbers"
    if attrs.has(kind):
        return "keys"
    plain = {
        str: "text",
        bool: "`true` or `false`",
        Secret: "text, secret",
        Path: "path",
    }
    return plain.get(kind, "names with values")


def plain(value: Any) -> Any:
    """*value* as JSON has it, without secrets."""
    if isinstance(value, Secret):
        return REDACTED
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple):
        return [plain(item) for item in cast("tuple[Any, ...]", value)]
    if isinstance(value, Mapping):
        items = cast("Mapping[str, Any]", value).items()
        return {k: REDACTED if isinstance(v, str) else plain(v) for k, v in items}
    cls = cast("Any", type(value))
    if attrs.has(cls):
        return {name: plain(getattr(value, name)) for name in keys_of(cls)}
    return value


def _yaml(value: Any) -> str:
    """A value in one line of YAML: JSON is YAML, and plain words need no quotes."""
    shown = plain(value)
    if isinstance(shown, str) and shown.replace("_", "").isalpha():
        return shown
    return json.dumps(shown, ensure_ascii=False)


def default_file() -> str:
    """The text of ``config/beamclaw.yaml``."""
    lines = [HEADER]
    for key in keys(Config()):
        indent = "  " * key.depth
        if key.depth == 0 and not lines[-1].endswith("\n"):
            lines.append("")
        lines += [f"{indent}# {line}" for line in key.doc.splitlines()]
        lines.append(
            f"{indent}{key.name}:{'' if key.nested else ' ' + _yaml(key.value)}"
        )
    return "\n".join(lines) + "\n"


def effective(loaded: Loaded) -> str:
    """What holds, as YAML, each value with where it was set."""
    lines = [f"# data folder: {loaded.config.data}"]
    lines.append(f"# file: {loaded.file or 'none'}")
    lines += [f"# included: {file}" for file in loaded.included]
    lines.append(f"# model: {loaded.config.chosen.model}, {loaded.config.chosen.why}")
    for key in keys(loaded.config):
        indent = "  " * key.depth
        if key.nested:
            lines.append(f"{indent}{key.name}:")
            continue
        origin = loaded.origins.get(key.path, "default")
        lines.append(f"{indent}{key.name}: {_yaml(key.value)}  # {origin}")
    return "\n".join(lines) + "\n"


def effective_values(loaded: Loaded) -> dict[str, Any]:
    """The same for programs: each path with value and origin."""
    values = {
        key.path: {
            "value": plain(key.value),
            "from": loaded.origins.get(key.path, "default"),
        }
        for key in keys(loaded.config)
        if not key.nested
    }
    return {
        "data": str(loaded.config.data),
        "file": None if loaded.file is None else str(loaded.file),
        "included": [str(file) for file in loaded.included],
        "model": loaded.config.chosen.model,
        "why": loaded.config.chosen.why,
        "values": values,
    }


def page(holds: Callable[[str], str]) -> str:
    """The table of the reference page; *holds* says of a key when a change of it does."""
    lines = [
        "| key | value | default | a change holds | |",
        "| --- | --- | --- | --- | --- |",
    ]
    names = {"providers.demo": "providers.NAME", "agents.main": "agents.ID"}
    for key in keys(Config()):
        path = key.path
        for example, general in names.items():
            path = path.replace(example, general)
        if key.path in names:
            continue
        default = "" if key.nested else f"`{_yaml(key.value)}`"
        if key.path == "providers.demo.api":
            default = "the name"
        doc = " ".join(key.doc.split())
        lines.append(
            f"| `{path}` | {key.kind} | {default} | {holds(key.path)} | {doc} |"
        )
        if key.path in EXAMPLES:
            name, value = EXAMPLES[key.path]
            lines += _rows_of(value, f"{path}.{name}", holds(key.path))
    return "\n".join(lines) + "\n"


def _rows_of(value: object, path: str, holds: str) -> Iterator[str]:
    for key in keys(value, path):
        doc = " ".join(key.doc.split())
        default = f"`{_yaml(key.value)}`"
        yield f"| `{key.path}` | {key.kind} | {default} | {holds} | {doc} |"
