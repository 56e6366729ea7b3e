"""What the writer is asked and what it answers."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import attrs

from beamclaw.values import frozen

How = Literal["set", "patch", "rollback"]


class Refusal(Exception):  # noqa: N818 -- an answer, in words
    """The file was left as it is; *code* for programs, the message for a person.

    Attributes:
        code: ``base_required`` (the hash of what is replaced has to be said),
            ``stale`` (somebody else has written meanwhile), ``redacted``, ``shrunk``,
            ``place`` (a secret would be read from a place that somebody far away has
            named), ``included`` (what would change stands in an included file, which
            nobody writes here), ``invalid``, ``unreadable`` (a patch that cannot be read), ``unknown``
            (no such entry of the history), ``disk``.
        issues: With ``invalid``: each problem, as ``{"path", "message", ...}``.
    """

    def __init__(
        self, code: str, message: str, issues: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        super().__init__(message)
        self.code = code
        self.issues = tuple(issues)


@frozen
class Change:
    """One key that is different; a value is as JSON has it, a secret is hidden.

    Attributes:
        before: None where the key was not there.
    """

    path: str
    before: Any
    after: Any


@frozen(kw_only=True)
class Document:
    """The file as it stands, without its secrets.

    Attributes:
        path: Where it is, or would be written.
        text: None if it cannot be read as YAML at all: nobody knows then what of it is
            secret.
        hash: Of the bytes of the file, as SHA-256 in hexadecimal, and of those that it
            includes; None without a file.
        parsed: What is written in it, with each ``$include`` as it stands there; *values*:
            what holds with it, defaults and environment added, or None when it cannot be
            used.
        included: The files that it includes, found or not, by their absolute names.
        waiting: What is different from what the node runs by, and holds at the next
            start.
    """

    path: str
    exists: bool
    text: str | None
    hash: str | None
    parsed: Mapping[str, Any]
    values: Mapping[str, Any] | None
    included: Sequence[str] = ()
    issues: Sequence[Mapping[str, Any]] = ()
    warnings: Sequence[Mapping[str, Any]] = ()
    waiting: Sequence[Change] = ()

    @property
    def valid(self) -> bool:
        """Whether a node would start with it."""
        return self.values is not None


@frozen(kw_only=True)
class Order:
    """A change that somebody wants.

    Attributes:
        text: The whole new file (``set``), or a part of it (``patch``) in YAML, JSON or
            JSON5, in which ``null`` takes a key away.
        base: The hash of the file that the order was made for.
        must_say_base: Refuse without *base* where there is a file.
        replace: Paths whose value in a patch stands for the whole, keys that are not in
            it are gone.
        shrink: Losing more than half of the file, or an ``$include``, is meant.
        entry: With ``rollback``: which entry of the history.
        by: Who, for the history.
        far: They are not on this machine, or need not be: they name no file, no command
            and no entry of the keyring that the file does not name already.
        dry: Judge only.
    """

    how: How = "set"
    text: str = ""
    base: str | None = None
    must_say_base: bool = False
    replace: tuple[str, ...] = ()
    shrink: bool = False
    entry: int = 0
    by: str = ""
    note: str = ""
    far: bool = False
    dry: bool = False


@frozen(kw_only=True)
class Written:
    """What came of it.

    Attributes:
        changes: What the file says otherwise than what holds; empty if nothing.
        entry: Where the file that was replaced is kept; None without one.
        left: Those of *changes* that hold at the next start only; all of them where no
            node runs.
        trouble: Why a running node could not take it over, in words.
    """

    path: str
    hash: str
    changes: Sequence[Change]
    warnings: Sequence[Mapping[str, Any]] = ()
    entry: int | None = None
    left: Sequence[Change] = ()
    trouble: str = ""


@frozen(kw_only=True)
class Entry:
    """A file that was replaced.

    Attributes:
        at: When, in seconds since the epoch.
        how: By what kind of order, and *by* whom.
        hash: Of the file that is kept here; *next*: of what took its place.
        text: Of the file. Never shown as it is.
    """

    number: int
    at: float
    how: str
    by: str
    note: str
    hash: str
    next: str
    text: str = attrs.field(repr=False, default="")

    @property
    def shown(self) -> dict[str, Any]:
        """It without the text, which holds secrets."""
        return {k: v for k, v in attrs.asdict(self).items() if k != "text"}
