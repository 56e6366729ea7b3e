"""Keeps the configuration's secrets out of whatever is shown."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, cast

import attrs

from beamclaw.config.schema import Config
from beamclaw.config.structure import keys_of
from beamclaw.contracts.secret import REDACTED, Secret, hideable
from beamclaw.contracts.spellings import any_of

# Configurations whose secrets are kept out of sight, the latest ones.
REMEMBERED: Final = 16
TELLING: Final = re.compile(
    r"(?:api|access|private|auth)?[-_]?(?:key|token|secret|passw(?:or)?d|credential)s?$",
    re.IGNORECASE,
)
"""Names that sound like a secret's."""
# Variables that all commands get: paths and languages most of them, and whoever takes
# those out of every line takes all sense out of it.
_SEEN_BY_AGENTS: Final = frozenset({"tools.exec.env"})


class Redactor:
    """Takes secrets out of text, whoever put them there, and however they are written."""

    def __init__(self, secrets: tuple[Secret, ...] = ()) -> None:
        self._pattern = any_of(hideable(secrets))

    def scrub(self, text: str) -> str:
        """*text* with each secret replaced."""
        if self._pattern is None:
            return text
        return self._pattern.sub(REDACTED, text)


class Following(Redactor):
    """Knows the secrets of the configuration that is in force, and of those before it.

    Args:
        find: Gives the one that knows those of today; the same until they change.
    """

    def __init__(self, find: Callable[[], Redactor]) -> None:
        super().__init__()
        self._find = find
        # A key that was replaced may still be spoken of.
        self._known: tuple[Redactor, ...] = ()

    def scrub(self, text: str) -> str:
        """See :class:`Redactor`."""
        now = self._find()
        if now not in self._known:
            self._known = (now, *self._known)[:REMEMBERED]
        for each in self._known:
            text = each.scrub(text)
        return text


def redactor(config: Config) -> Redactor:
    """Knows every secret of *config*."""
    return Redactor(tuple(secrets_of(config)))


def secrets_of(config: Config) -> list[Secret]:
    """Every secret of the configuration, for whoever has to keep them out of sight.

    Whatever has the type of one, wherever it stands; and of texts under names of a
    person's choice all: a header may be a key, nobody can tell by its name.
    """
    return [secret for secret in _secrets(config, "") if secret]


def _secrets(value: Any, path: str) -> Iterator[Secret]:
    cls: Any = value.__class__
    if cls is Secret:
        yield value
    elif cls is tuple:
        for each in value:
            yield from _secrets(each, path)
    elif isinstance(value, Mapping):
        yield from _in_table(cast("Mapping[str, Any]", value), path)
    elif attrs.has(cls):  # of a text it is the type that says what it is
        for name in keys_of(cls):
            at = f"{path}.{name}" if path else name
            yield from _secrets(getattr(value, name), at)


def _in_table(table: Mapping[str, Any], path: str) -> Iterator[Secret]:
    for name, value in table.items():
        if not isinstance(value, str):
            yield from _secrets(value, path)
        elif path not in _SEEN_BY_AGENTS or TELLING.search(name):
            yield Secret(value)
