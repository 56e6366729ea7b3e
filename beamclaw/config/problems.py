"""What is wrong with a configuration: where, which key, and what would be right."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from beamclaw.values import frozen


@frozen
class Where:
    """A place in a file, or another source of values (a variable, an option)."""

    source: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        if self.line is None:
            return self.source
        return f"{self.source}:{self.line}:{self.column}"


@frozen
class Problem:
    """One thing to put right. *path* is the key, as ``gateway.port``; may be empty."""

    where: Where
    path: str
    message: str

    def __str__(self) -> str:
        return ": ".join(str(part) for part in (self.where, self.path) if str(part)) + (
            f": {self.message}"
        )


class ConfigError(Exception):
    """The configuration cannot be used; every reason found, in reading order.

    Attributes:
        files: Others that it is made of, or would be.
    """

    def __init__(
        self,
        problems: Sequence[Problem],
        warnings: Sequence[Problem] = (),
        files: Sequence[Path] = (),
    ) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)
        self.warnings = tuple(warnings)
        self.files = tuple(files)


NO_HOME: Final = (
    "begins with the home of somebody who is not here; write the whole path"
)


class Wrong(Exception):  # noqa: N818 -- travels inside the loader only
    """Carries one problem through cattrs."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def at_home(path: str) -> Path | None:
    """*path*, with the home that its ``~`` stands for; None: there is none, see `NO_HOME`."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return None
