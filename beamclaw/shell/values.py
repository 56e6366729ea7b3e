"""Values of a running node in a few characters, without secrets: decisions without I/O.

Whoever looks in may meet anything: a transcript of megabytes, a value that contains
itself, a class whose ``repr`` fails. So only what is shown is looked at, and only of
types that are known is the text their own.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from itertools import islice
from pathlib import PurePath
from types import MappingProxyType
from typing import Any, Final, cast

import attrs

import supervision
from beamclaw.config.redactor import Redactor
from beamclaw.contracts.secret import REDACTED, Secret
from beamclaw.values import frozen

# A longer text is looked through for secrets no further than this.
_LOOKED_THROUGH: Final = 100_000
# Bits of a number that is written out.
_MOST_BITS: Final = 4_096
# Characters of a whole value, in those of one text.
_TIMES: Final = 20
_PLAIN: Final = (
    Enum,
    PurePath,
    supervision.Pid,
    supervision.Ref,
)
_BRACKETS: Final[Mapping[type[Any], str]] = {
    list: "[]",
    tuple: "()",
    set: "{}",
    frozenset: "{}",
    deque: "[]",
}


class Shown(str):
    """A text that is a value already shown."""

    __slots__ = ()


@frozen(kw_only=True)
class Shower:
    """Shows values: *items* of each collection, *text* characters, *depth* levels."""

    redactor: Redactor = attrs.field(factory=Redactor)
    items: int = 20
    text: int = 500
    depth: int = 4

    def __call__(self, value: object) -> Shown:
        """*value* in one line."""
        if isinstance(value, Shown):
            return value
        return Shown(self._cut(self._show(value, self.depth), _TIMES * self.text))

    def words(self, value: object) -> str:
        """The ``str`` of *value*, cut and without secrets."""
        try:
            text = str(value)
        except Exception as error:  # noqa: BLE001 -- foreign code
            text = f"<no words: {type(error).__name__}>"
        return self._cut(self._scrub(text), self.text)

    def _scrub(self, text: str) -> str:
        # Before it is cut: half of a secret is not recognised.
        return self.redactor.scrub(text[:_LOOKED_THROUGH])

    def _cut(self, text: str, most: int) -> str:
        return text if len(text) <= most else f"{text[:most]}…"

    def _show(self, value: object, depth: int) -> str:  # noqa: PLR0911 -- a table
        match value:
            case None | bool() | float() | Secret():
                return repr(value)
            case int():
                bits = value.bit_length()
                return repr(value) if bits <= _MOST_BITS else f"<int of {bits} bits>"
            case str():
                return self._text(value, "characters")
            case bytes() | bytearray():
                return (
                    f"b{self._text(value[:_LOOKED_THROUGH].decode('latin-1'), 'bytes')}"
                )
            case dict() | MappingProxyType():
                table = cast("Mapping[object, object]", value)
                return self._table(table, depth)
            case _ if type(value) in _BRACKETS:
                found = cast("deque[object]", value)
                left, right = _BRACKETS[type(value)]
                shown = (self._show(each, depth - 1) for each in found)
                return f"{left}{self._several(shown, len(found), depth)}{right}"
            case _ if attrs.has(type(value)):
                return self._fields(value, depth)
            case BaseException():
                return f"{type(value).__name__}({self.words(value)})"
            case _:
                return self._other(value)

    def _text(self, text: str, unit: str) -> str:
        scrubbed = self._scrub(text)
        if len(scrubbed) <= self.text and len(text) <= _LOOKED_THROUGH:
            return repr(scrubbed)
        return f"{scrubbed[: self.text]!r}… ({len(text)} {unit})"

    def _table(self, table: Mapping[object, object], depth: int) -> str:
        shown = (
            f"{self._show(key, depth - 1)}: {self._show(value, depth - 1)}"
            for key, value in table.items()
        )
        return f"{{{self._several(shown, len(table), depth)}}}"

    def _fields(self, value: Any, depth: int) -> str:
        fields = [
            field
            for field in attrs.fields(cast("type[Any]", type(value)))
            if field.repr
        ]
        shown = (
            f"{field.name}={self._field(value, field, depth - 1)}" for field in fields
        )
        return f"{type(value).__name__}({self._several(shown, len(fields), depth)})"

    def _field(self, value: Any, field: Any, depth: int) -> str:
        if callable(field.repr):  # it hides something
            return REDACTED
        return self._show(getattr(value, field.name, None), depth)

    def _several(self, shown: Iterable[str], count: int, depth: int) -> str:
        if not count:
            return ""
        if depth <= 0:
            return "…"
        found: list[str] = list(islice(_until_changed(shown), self.items))
        if count > len(found):
            found.append(f"… {count - len(found)} more")
        return ", ".join(found)

    def _other(self, value: object) -> str:
        cls = type(value)
        own = isinstance(value, (*_PLAIN, type)) or cls.__module__ == "builtins"
        if not own or cls.__repr__ is object.__repr__:
            return f"<{cls.__module__}.{cls.__qualname__}>"
        try:
            return self._cut(self._scrub(repr(value)), self.text)
        except Exception as error:  # noqa: BLE001 -- foreign code
            return f"<{cls.__qualname__} that cannot be shown: {type(error).__name__}>"


def _until_changed(shown: Iterable[str]) -> Iterator[str]:
    """What is shown of a collection that changes while it is read, as far as it goes."""
    try:
        yield from shown
    except RuntimeError:
        return
