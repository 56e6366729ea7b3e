"""What has crashed: of each name how often, and the last ones.

A supervisor counts the restarts of its children. What it does not restart (a session,
a turn, a tool call) is begun anew by others, as a new child under the same name, and
whoever looks at that one wants to know of those before it.
"""

from collections import OrderedDict, deque
from typing import Final

import attrs

import supervision
from beamclaw.contracts.logs import NAME
from beamclaw.values import frozen

EVENT: Final = "supervision.process.crash"
# Names that are remembered, and of all crashes the last ones.
NAMES: Final = 1_000
LATEST: Final = 32


@frozen
class Crash:
    """One of them.

    Attributes:
        number: It was the first, the second ... since the node is up.
        at: When, on ``trio.current_time()``.
        name: The registered name, or the id of a child without one.
        pid: Who it was.
        times: How often one of that name has crashed, with this time.
    """

    number: int
    at: float
    name: str
    pid: str
    reason: supervision.ExitReason
    times: int


@attrs.define
class Crashes:
    """What is remembered of them, the value of the registered name of the log.

    Attributes:
        count: All crashes.
        latest: The last ones, the oldest first.
    """

    count: int = 0
    latest: deque[Crash] = attrs.field(
        init=False, factory=lambda: deque[Crash](maxlen=LATEST)
    )
    _last: OrderedDict[str, Crash] = attrs.field(
        init=False, factory=OrderedDict[str, Crash]
    )

    def note(
        self, at: float, name: str, pid: str, reason: supervision.ExitReason
    ) -> None:
        """One more."""
        before = self._last.pop(name, None)
        self.count += 1
        times = 1 if before is None else before.times + 1
        crash = Crash(self.count, at, name, pid, reason, times)
        self.latest.append(crash)
        self._last[name] = crash
        if len(self._last) > NAMES:
            self._last.popitem(last=False)

    def of(self, name: str | None) -> Crash | None:
        """The last one of whoever had this name."""
        return None if name is None or not self._last else self._last.get(name)


def crashes() -> Crashes:
    """Those of this node since its log was begun."""
    entry = supervision.lookup(NAME)
    found = None if entry is None else entry.value
    return found if isinstance(found, Crashes) else Crashes()
