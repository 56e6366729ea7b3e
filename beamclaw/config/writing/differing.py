"""What is different between two configurations, key by key, secrets hidden."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

import attrs

from beamclaw.config.document import child
from beamclaw.config.reference import plain
from beamclaw.config.schema import Config
from beamclaw.config.structure import keys_of
from beamclaw.config.writing.documents import Change
from beamclaw.values import frozen


@frozen
class _Leaf:
    """A value, and whether it is one that nobody has to be told of."""

    value: Any
    usual: bool = False


_ABSENT = _Leaf(None)


def differences(before: Config, after: Config) -> tuple[Change, ...]:
    """Keys whose value is another one, in the order of the schema.

    Of an entry that comes or goes, a provider for example, only what is not the default.
    """
    was, now = dict(_leaves(before, "")), dict(_leaves(after, ""))
    changes: list[Change] = []
    for path in [*now, *(path for path in was if path not in now)]:
        old, new = was.get(path), now.get(path)
        if old is None or new is None:
            told = not (old or new or _ABSENT).usual
        else:
            told = old.value != new.value
        if told:
            values = ((each or _ABSENT).value for each in (old, new))
            changes.append(Change(path, *(plain(value) for value in values)))
    return tuple(changes)


def _leaves(value: Any, path: str) -> Iterator[tuple[str, _Leaf]]:
    for name, field in keys_of(value.__class__).items():
        at, inner = child(path, name), getattr(value, name)
        entries = _entries(inner)
        if _has_keys(inner):
            yield from _leaves(inner, at)
        elif entries:
            for entry, each in entries.items():
                yield child(at, entry), _Leaf({})
                yield from _leaves(each, child(at, entry))
        else:
            yield at, _Leaf(inner, usual=inner == _default(field))


def _entries(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        return {}
    entries = cast("Mapping[str, Any]", value)
    return entries if any(map(_has_keys, entries.values())) else {}


def _has_keys(value: object) -> bool:
    return attrs.has(type(value))


def _default(field: "attrs.Attribute[Any]") -> Any:
    default: Any = field.default
    return default.factory() if isinstance(default, attrs.Factory) else default  # pyright: ignore[reportArgumentType] -- a class at run time
