"""The mailbox of a process with a `MailboxLimit`: two lanes, and counts of what was dropped.

Which message goes where is decided in ``_mailbox_limit``. A process without a limit has
a plain `Mailbox`, and pays nothing for this one.

Signals have a lane of their own, which is emptied first: else the order to stop would
wait for as many messages as there may be, and data could delay what is meant to end it.
So what one sender sends arrives in its order within each lane, but a signal may overtake
the messages before it, a `Down` those of the process that has ended. (Erlang has the same
since OTP 28, as priority messages, for those who ask for it.)
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Final, cast

import trio

from ._errors import Overloaded
from ._life import Process
from ._mailbox import Mailbox, Predicate
from ._mailbox_limit import Kind, MailboxLimit, admit
from ._reasons import Crash
from ._signals import From, Signal
from ._telemetry import OVERLOADED, emit

# The fewest seconds between two events of one mailbox.
_REPORT_EVERY: Final = 1.0


class LimitedMailbox(Mailbox):
    """The messages of one process, oldest first; signals before everything else."""

    # The deque that this is stays empty: what waits is in the lanes.
    __slots__ = (
        "_messages",
        "_owner",
        "_reported_at",
        "_seen_messages",
        "_seen_signals",
        "_signals",
        "_unreported",
        "dropped",
        "limit",
    )

    def __init__(self, owner: Process, limit: MailboxLimit) -> None:
        super().__init__()
        self._owner = owner
        self.limit: MailboxLimit = limit
        # Messages that were dropped and calls that were refused.
        self.dropped: int = 0
        self._unreported = 0
        self._reported_at = -float("inf")
        self._signals = Mailbox()
        self._messages = Mailbox()
        # Invariant: how many of each lane were there at the last mark and still are.
        self._seen_signals = 0
        self._seen_messages = 0

    def __len__(self) -> int:
        return len(self._signals) + len(self._messages)

    def __iter__(self) -> Iterator[object]:
        return chain(self._signals, self._messages)

    # --- in

    def append(self, message: object) -> None:
        """Put *message* in, or do with it what the limit says."""
        if isinstance(message, Signal):
            self._signals.append(message)
            return
        kind: Kind = "call" if isinstance(message, From) else "message"
        verdict = admit(self.limit, kind, len(self._messages))
        if verdict == "keep":
            self._messages.append(message)
            return
        self.dropped += 1
        self._unreported += 1
        if verdict == "evict":
            self._evict()
            self._messages.append(message)
        elif verdict == "refuse" and isinstance(message, From):
            message.refuse(self._overloaded())
        elif verdict == "end":
            self._owner.end(Crash(self._overloaded()))
        self._report()

    def _evict(self) -> None:
        oldest = self._messages.popleft()
        self._seen_messages = max(0, self._seen_messages - 1)
        if isinstance(oldest, From):
            oldest.settle(From.FAILED, self._overloaded())

    def _overloaded(self) -> Overloaded:
        return Overloaded(self._owner.name or self._owner.pid, self.limit.size)

    def _report(self) -> None:
        """Tell what was dropped, unless that was told a moment ago."""
        now = trio.current_time()
        if now - self._reported_at >= _REPORT_EVERY:
            self._reported_at = now
            self._tell()

    def _tell(self) -> None:
        dropped, self._unreported = self._unreported, 0
        emit(
            OVERLOADED,
            {"dropped": dropped, "size": self.limit.size},
            {
                "pid": self._owner.pid,
                "name": self._owner.name,
                "id": self._owner.label,
                "overload": self.limit.overload,
            },
        )

    # --- out

    def popleft(self) -> object:
        """Take the oldest signal out, else the oldest message."""
        if self._signals:
            return self._signals.popleft()
        message = self._messages.popleft()
        if self._unreported and not self._messages:
            # It is over, and nobody might be dropped any more who would tell.
            self._tell()
        return message

    def mark(self) -> int:
        """Note what is there, to be left out by a `take` that is given the result."""
        self._seen_signals = len(self._signals)
        self._seen_messages = len(self._messages)
        return 1

    def take(self, accepts: Predicate, start: int = 0) -> tuple[bool, object]:
        """Remove and return the first accepted message, or one that came after a mark."""
        found, message = self._signals.take(accepts, start and self._seen_signals)
        if found:
            return True, message
        return self._messages.take(accepts, start and self._seen_messages)


def limit_mailbox(process: Process, limit: MailboxLimit) -> None:
    """Give *process*, which nobody knows yet, its limited mailbox."""
    if not isinstance(cast("object", limit), MailboxLimit):
        raise TypeError(f"mailbox is a MailboxLimit, not {limit!r}")
    process.mailbox = LimitedMailbox(process, limit)


def dropped_by(process: Process) -> int:
    """How many messages and calls the mailbox of *process* has not taken."""
    mailbox = process.mailbox
    return mailbox.dropped if isinstance(mailbox, LimitedMailbox) else 0
