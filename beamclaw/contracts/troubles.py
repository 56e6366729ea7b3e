"""What is wrong with parts of the node at the moment, in words for a person.

A table, as the registry is: whoever is in trouble writes it there before it dies of it,
and whoever has to say why the node is not ready reads it, without waiting for anybody.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import attrs

import supervision

STORAGE_FAILING: Final = "beamclaw.storage.failing"
STORAGE_RECOVERED: Final = "beamclaw.storage.recovered"


@attrs.define(eq=False)
class Troubles:
    """By the name of the process that has the trouble. Survives its death."""

    _words: dict[str, str] = attrs.field(factory=dict[str, str])

    def report(self, name: str, words: str) -> None:
        """*name* cannot do its work; an alarm, unless it has said the same before."""
        if self._words.get(name) != words:
            self._words[name] = words
            supervision.emit(STORAGE_FAILING, {}, {"name": name, "reason": words})

    def clear(self, name: str) -> None:
        """*name* works again."""
        if self._words.pop(name, None) is not None:
            supervision.emit(STORAGE_RECOVERED, {}, {"name": name})

    def of(self, name: str) -> str | None:
        """The trouble of *name*; None: it has none."""
        return self._words.get(name)

    def all(self) -> Mapping[str, str]:
        """Name to words."""
        return MappingProxyType(self._words)
