"""What a key of the configuration is made of: default, comment, kind and limits."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import attrs

from beamclaw.contracts.secret import REDACTED
from beamclaw.values import frozen

# More than this is not meant by any number here; said only to whoever tries.
ENDLESS: Final = 1_000_000_000
# The same for memory and disks.
MOST_BYTES: Final = 2**50


@frozen
class Range:
    """Limits of a number. *above* excludes the least value itself."""

    least: float
    most: float | None = None
    above: bool = False

    def admits(self, number: float) -> bool:
        """Whether *number* lies within; a NaN never does."""
        if not (number > self.least if self.above else number >= self.least):
            return False
        return self.most is None or number <= self.most

    def __str__(self) -> str:
        if self.most is not None and self.most < ENDLESS:
            return f"from {self.least:.15g} to {self.most:.15g}"
        word = "above" if self.above else "of at least"
        return f"{word} {self.least:.15g}"


Port = Annotated[int, Range(0, 65535)]
Count = Annotated[int, Range(1, ENDLESS)]
Size = Annotated[int, Range(1, MOST_BYTES)]
Seconds = Annotated[float, Range(0, ENDLESS, above=True)]
Wait = Annotated[float, Range(0, ENDLESS)]
Share = Annotated[float, Range(0, 1, above=True)]
Temperature = Annotated[float, Range(0, 2)]


def key(default: Any, doc: str, **options: Any) -> Any:
    """A key with its default and the comment that people read."""
    return attrs.field(default=default, metadata={"doc": doc}, **options)


def table(doc: str, **options: Any) -> Any:
    """A key that maps names of the person's choice."""
    factory = options.pop("factory", dict)
    return attrs.field(factory=factory, metadata={"doc": doc}, **options)


def hidden(values: Mapping[str, str]) -> str:
    """How a table looks whose values nobody may see: its names."""
    return repr(dict.fromkeys(values, REDACTED))
