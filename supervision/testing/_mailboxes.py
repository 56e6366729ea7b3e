"""A mailbox that tells of what arrives and what is taken; its order stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from supervision._limited_mailbox import LimitedMailbox
from supervision._mailbox import Mailbox, Predicate
from supervision._process import Process

Note = Callable[[object], object]


class _Telling(Mailbox):
    """Calls functions for each message that arrives, and for each that is taken."""

    __slots__ = ()

    arrived: list[Note]
    taken: list[Note]

    def append(self, message: object) -> None:
        super().append(message)
        for note in tuple(self.arrived):
            note(message)

    def popleft(self) -> object:
        message = super().popleft()
        self._tell_taken(message)
        return message

    def take(self, accepts: Predicate, start: int = 0) -> tuple[bool, object]:
        found, message = super().take(accepts, start)
        if found:
            self._tell_taken(message)
        return found, message

    def _tell_taken(self, message: object) -> None:
        for note in tuple(self.taken):
            note(message)


class _TellingPlain(_Telling):
    __slots__ = ("arrived", "taken")


class _TellingLimited(_Telling, LimitedMailbox):
    __slots__ = ("arrived", "taken")


def watched(process: Process) -> _Telling:
    """Have *process* go on with a mailbox that tells; the same one if it has one."""
    mailbox = process.mailbox
    if isinstance(mailbox, _Telling):
        return mailbox
    if isinstance(mailbox, LimitedMailbox):
        telling = _TellingLimited(process, mailbox.limit)
        for name in LimitedMailbox.__slots__:
            setattr(telling, name, getattr(mailbox, name))
    else:
        telling = _TellingPlain(mailbox or ())
    telling.arrived = []
    telling.taken = []
    process.mailbox = telling
    return telling


class Queueing:
    """The loop of a server that has every call come over the mailbox."""

    def __init__(self, loop: Any) -> None:
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def begin(self, sender: object) -> bool:
        """Take no call in the task of its caller."""
        del sender
        return False


def queue_calls(process: Process) -> None:
    """Have no call to *process* go past its mailbox."""
    if process.loop is not None and not isinstance(process.loop, Queueing):
        process.loop = Queueing(process.loop)
