"""What is wrong with parts of the node at the moment, in words for a person.

A table, as the registry is: whoever is in trouble writes it there before it dies of it,
and whoever has to say why the node is not ready reads it, without waiting for anybody.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import attrs

import supervision
from beamclaw.contracts.store import DataFolderError

STORAGE_FAILING: Final = "beamclaw.storage.failing"
STORAGE_RECOVERED: Final = "beamclaw.storage.recovered"


@attrs.define(eq=False)
class Troubles:
    """By the name of the process that has the trouble. Survives its death."""

    _words: dict[str, str] = attrs.field(factory=dict[str, str])
    _refused: dict[str, DataFolderError] = attrs.field(
        factory=dict[str, DataFolderError]
    )

    def report(self, name: str, words: str, error: Exception | None = None) -> None:
        """*name* cannot do its work; an alarm, unless it has said the same before."""
        if isinstance(error, DataFolderError):
            self._refused[name] = error
        if self._words.get(name) != words:
            self._words[name] = words
            supervision.emit(STORAGE_FAILING, {}, {"name": name, "reason": words})

    def clear(self, name: str) -> None:
        """*name* works again."""
        self._refused.pop(name, None)
        if self._words.pop(name, None) is not None:
            supervision.emit(STORAGE_RECOVERED, {}, {"name": name})

    def of(self, name: str) -> str | None:
        """The trouble of *name*; None: it has none."""
        return self._words.get(name)

    def refused(self) -> DataFolderError | None:
        """A file that could not be opened, with all its words; None: all could."""
        return next(iter(self._refused.values()), None)

    def all(self) -> Mapping[str, str]:
        """Name to words."""
        return MappingProxyType(self._words)
