"""What one derives from: servers and their requests, and the results of callbacks.

A `Server` is a class of callbacks. The runtime creates it in a task of its own, calls
`Server.init`, and from then on one callback per message, one at a time: whatever is on
``self`` needs no lock, because nobody else ever touches it.

The callbacks and their results are those of Erlang's ``gen_server``. They differ in two
things: state lives on ``self`` instead of being passed along, and what
`Server.handle_call` returns *is* the reply.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Generic, Protocol, TypeAlias, TypeVar

import attrs

from ._reasons import NORMAL, ExitReason
from ._signals import TIMEOUT, From

__all__ = [
    "NO_REPLY",
    "TIMEOUT",
    "Behaviour",
    "Call",
    "Continue",
    "From",
    "Ignore",
    "NoReply",
    "Reply",
    "Server",
    "Stop",
    "Timeout",
]

T = TypeVar("T")


class Behaviour:
    """Anything that a child's ``start`` may return to be run as a process."""

    __slots__ = ()


class Call(Generic[T]):
    """The base class of requests; the parameter is the type of the reply.

    >>> import attrs
    >>> @attrs.frozen
    ... class Get(Call[int]):
    ...     key: str
    """

    __slots__ = ()


class Result:
    """The base class of what callbacks return when it is not simply a reply."""

    __slots__ = ()


@attrs.frozen
class Continue(Result):
    """Call ``handle_continue(term)`` next, before any message that already waits.

    Attributes:
        term: Passed to ``handle_continue``.
    """

    term: object = None


@attrs.frozen
class Timeout(Result):
    """Send `TIMEOUT` to ``handle_info`` if nothing whatever arrives in time.

    Any message cancels it, and nothing re-arms it.

    Attributes:
        seconds: How long to wait.
    """

    seconds: float


@attrs.frozen
class Ignore(Result):
    """From ``init`` only: do not run, and count that as a good start."""


@attrs.frozen
class NoReply(Result):
    """The type of `NO_REPLY`."""

    then: Continue | Timeout | None = None


NO_REPLY: Final = NoReply()
"""From ``handle_call``: the reply comes later, by `supervision.reply`."""


@attrs.frozen
class Reply(Result):
    """From ``handle_call``: reply, and then something more.

    Attributes:
        value: The reply.
        then: What comes after it.
    """

    value: object
    then: Continue | Timeout | None = None


class _Unset:
    """No reply was given with a `Stop`."""


@attrs.frozen
class Stop(Result):
    """End the server: ``terminate(reason)`` runs, then the reply is sent if there is one.

    Attributes:
        reason: The exit reason.
        reply: The reply to the call that is being handled.
    """

    reason: ExitReason = NORMAL
    reply: object = _Unset

    @property
    def has_reply(self) -> bool:
        """Whether a reply was given."""
        return self.reply is not _Unset


Next: TypeAlias = Continue | Timeout | Stop | None


class Cell(Protocol):
    """What a server may ask of the process that runs it."""

    def stop_if_idle(self) -> bool:
        """Take the name away if nothing waits in the mailbox."""
        ...


class Server(Behaviour):
    """A process with state that answers calls and casts, one at a time.

    >>> import supervision
    >>> class Add(Call[int]): ...
    >>> class Counter(Server):
    ...     async def init(self) -> None:
    ...         self.count = 0
    ...     async def handle_call(self, request: Call[Any], sender: From) -> int:
    ...         self.count += 1
    ...         return self.count

    An exception that leaves a callback ends the server: ``terminate`` is called with the
    crash, callers that wait get `supervision.ServerExited`, and its supervisor decides.
    """

    __slots__ = ("__weakref__", "_cell")

    _cell: Cell

    trap_exit: ClassVar[bool] = False
    """Turn exit signals into `supervision.Exit` messages, and let the parent's run
    ``terminate``. Without it an exit signal ends the server then and there."""

    async def init(self) -> Continue | Timeout | Ignore | Stop | None:
        """Build the state; the starter waits for it, so no I/O belongs here.

        Return `Continue` to load something right after the starter was told.
        """

    async def handle_call(self, request: Call[Any], sender: From) -> Any:
        """Answer *request*: the returned value is the reply.

        Returns:
            The reply; or `NO_REPLY`, `Reply` or `Stop`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no answer to {request!r}")

    async def handle_cast(self, message: object) -> Next:
        """Handle what was sent with `supervision.cast`."""
        raise NotImplementedError(f"{type(self).__name__} has no use for {message!r}")

    async def handle_info(self, message: object) -> Next:
        """Handle everything else: plain messages, ``Down``, ``Exit``, `TIMEOUT`.

        The default reports the message as dropped.
        """
        raise Unhandled(message)

    async def handle_continue(self, term: object) -> Next:
        """Go on after `Continue`."""
        raise NotImplementedError(f"{type(self).__name__} cannot continue: {term!r}")

    async def terminate(self, reason: ExitReason) -> None:
        """Clean up before the end, under a shield with the child's shutdown as deadline.

        Not called when the process is killed, when an exit signal ends a server that does
        not trap exits, or when ``init`` failed.
        """

    def describe(self) -> Mapping[str, object]:
        """Show the state to whoever looks in; a plain function that must not fail."""
        return describe(self)

    def stop_if_idle(self) -> bool:
        """Fall asleep if nobody wants anything; returns whether that is so.

        When the mailbox is empty the name is freed and nothing more is accepted, in one
        step; the callback then returns ``Stop(NORMAL)``. Whoever calls after that gets
        `supervision.NoProcess` and can start a new one at once.
        """
        return self._cell.stop_if_idle()


class Unhandled(Exception):  # noqa: N818 - caught by the loop, never seen
    """Says that the default ``handle_info`` had no use for a message."""


def describe(state: object) -> Mapping[str, object]:
    """Show the attributes of *state* by their ``repr``."""
    if attrs.has(type(state)):
        names = [field.name for field in attrs.fields(type(state))]
    else:
        names = list(getattr(state, "__dict__", {}))
    return {
        name: repr(getattr(state, name, None))
        for name in names
        if not name.startswith("__")
    }
