"""Every key of the configuration that takes a secret, found in the schema itself."""

from collections.abc import Iterator, Sequence
from typing import Any

from beamclaw.config.json_schema import EVERY, inner_of, is_secret, json_schema

Path = tuple[str, ...]


def secret_paths() -> Sequence[Path]:
    """Their paths; ``*`` is a name of a person's choice."""
    return sorted(_paths(json_schema(), ()))


def _paths(schema: Any, path: Path) -> Iterator[Path]:
    if is_secret(schema):
        yield path
        return
    for name, inner in inner_of(schema).items():
        yield from _paths(inner, (*path, name))


def put(path: Path, value: Any, name: str = "SOME_TOKEN") -> dict[str, Any]:
    """A configuration with *value* at *path*, and what has to stand beside it.

    The *name* sounds like a secret's: of the variables that all commands get, those alone
    are kept out of sight.
    """
    config: Any = value
    for step in reversed(path):
        config = {name if step == EVERY else step: config}
    for provider in config.get("providers", {}).values():
        provider["api"] = "openai"
    return config
