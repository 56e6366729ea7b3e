"""Who was restarted while something happened, and who was not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import attrs

from supervision._introspect import ProcessInfo, tree
from supervision._pid import Dest, Pid

_RUNS: Final = frozenset({"running", "waiting"})


@attrs.frozen
class Change:
    """One process of a tree, before and after.

    Attributes:
        path: The ids from the child of the root down to it, joined by slashes. Of
            children of one supervisor with the same id the second is ``id[2]``.
        before: What it was, or ``None`` if there was no such child.
        after: What it is, or ``None`` if there is no such child any more.
    """

    path: str
    before: ProcessInfo | None
    after: ProcessInfo | None

    @property
    def restarted(self) -> bool:
        """Whether it ran before, and another process runs in its place."""
        return (
            self.before is not None
            and self.before.pid is not None
            and self.after is not None
            and self.after.status in _RUNS
            and self.after.pid is not self.before.pid
        )

    @property
    def unchanged(self) -> bool:
        """Whether it is the same process as before, or as little of one."""
        return (
            self.before is not None
            and self.after is not None
            and self.after.pid is self.before.pid
            and (self.after.pid is not None or self.after.status == self.before.status)
        )

    def __str__(self) -> str:
        if self.unchanged:
            what = "unchanged"
        elif self.restarted:
            what = "restarted"
        elif self.before is None:
            what = "new"
        elif self.after is None:
            what = "gone"
        else:
            what = f"now {self.after.status}"
        reason = None if self.after is None else self.after.last_reason
        if what != "unchanged" and reason is not None:
            what += f", it ended with: {reason}"
        return f"{self.path} {_pid(self.before)} -> {_pid(self.after)}: {what}"


def _pid(info: ProcessInfo | None) -> Pid | str:
    return "-" if info is None or info.pid is None else info.pid


class Watched:
    """What has become of the processes of a tree since the block began.

    Inside the block that is up to now; behind it, up to the block's end. A process is
    named by its path, by its id or by its registered name, whichever is unique.
    """

    def __init__(self, root: Dest | None) -> None:
        self._root = tree(root).pid
        self._before = self._now()
        self._after: Mapping[str, ProcessInfo] | None = None

    def _now(self) -> dict[str, ProcessInfo]:
        root = self._root
        if root is None or root.process is None:
            return {}
        return dict(_below(tree(root), ""))

    def close(self) -> None:
        """Go on with the tree as it is now."""
        self._after = self._now()

    def changes(self) -> list[Change]:
        """Every process of the tree, then and now."""
        before = self._before
        after = self._now() if self._after is None else self._after
        paths = [*before, *(path for path in after if path not in before)]
        return [Change(path, before.get(path), after.get(path)) for path in paths]

    def restarted(self) -> list[str]:
        """The paths of those that were restarted."""
        return [change.path for change in self.changes() if change.restarted]

    def assert_restarted(self, *who: str, only: bool = False) -> None:
        """Assert that each of *who* ran before, and that another one runs in its place.

        Args:
            who: Paths, ids or names.
            only: Also assert that everybody else is unchanged.
        """
        changes = self.changes()
        meant = [_find(changes, each) for each in who]
        wrong = [change for change in meant if not change.restarted]
        if wrong:
            _fail("was not restarted", wrong, changes)
        if only:
            others = [change for change in changes if change not in meant]
            wrong = [change for change in others if not change.unchanged]
            if wrong:
                _fail("has changed, too", wrong, changes)

    def assert_unchanged(self, *who: str) -> None:
        """Assert that each of *who*, or everybody when none is given, is as before."""
        changes = self.changes()
        meant = [_find(changes, each) for each in who] if who else changes
        wrong = [change for change in meant if not change.unchanged]
        if wrong:
            _fail("has changed", wrong, changes)


def _fail(what: str, wrong: list[Change], changes: list[Change]) -> None:
    who = ", ".join(change.path for change in wrong)
    lines = "\n".join(f"  {change}" for change in changes)
    raise AssertionError(f"{what}: {who}\n{lines}")


def _below(info: ProcessInfo, above: str) -> Iterator[tuple[str, ProcessInfo]]:
    seen: Counter[str] = Counter()
    for child in info.children:
        seen[child.id] += 1
        number = seen[child.id]
        path = f"{above}{child.id}" + (f"[{number}]" if number > 1 else "")
        yield path, child
        yield from _below(child, f"{path}/")


def _find(changes: list[Change], who: str) -> Change:
    found = [change for change in changes if change.path == who]
    found = found or [change for change in changes if _goes_by(change, who)]
    if len(found) == 1:
        return found[0]
    paths = ", ".join(change.path for change in found or changes)
    raise AssertionError(
        f"{who!r} may be any of: {paths}"
        if found
        else f"there is no {who!r}, there is: {paths}",
    )


def _goes_by(change: Change, who: str) -> bool:
    return any(
        info is not None and who in (info.id, info.name)
        for info in (change.before, change.after)
    )


@contextmanager
def watching(root: Dest | None = None) -> Generator[Watched]:
    """Note who is restarted, and who is not, while a block runs.

    Args:
        root: A supervisor; the root of the tree that was opened first when ``None``.

    Yields:
        What to ask, in the block or behind it: it does not wait, so have the tree settle
        first.

    Raises:
        NoProcess: There is no such process.
        NoRuntime: No supervisor is open.
    """
    found = Watched(root)
    try:
        yield found
    finally:
        found.close()
