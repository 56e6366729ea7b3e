"""What happens to a message whose receiver has a limited mailbox. Pure: values in and out."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import attrs

Overload: TypeAlias = Literal["drop_newest", "drop_oldest", "exit"]
Kind: TypeAlias = Literal["signal", "call", "message"]
Verdict: TypeAlias = Literal["keep", "refuse", "drop", "evict", "end"]


@attrs.frozen
class MailboxLimit:
    """How many messages may wait in a mailbox, and what happens to one more.

    Erlang's mailboxes have no limit, and neither have ours unless this is asked for.
    Give it to a `ChildSpec`, to `spawn` or to `adopt`.

    Calls, casts and messages count. A call that finds the mailbox full is refused at
    once: its caller gets `Overloaded`. For the others, which nobody waits for, there is a
    policy. Signals (an `Exit`, a `Down`, the order to stop, `supervision.sys`, time-outs
    of state machines …) neither count nor are ever dropped, and they are taken before
    everything that counts.

    Attributes:
        size: The most messages that wait; at least 1.
        overload: What becomes of a cast or message when so many wait already:
            ``drop_newest`` drops it; ``drop_oldest`` drops the one that has waited
            longest (if that is a call, its caller gets `Overloaded`); ``exit`` ends the
            receiver with ``Crash(Overloaded(...))``, without its ``terminate``, and its
            supervisor decides.
    """

    size: int
    overload: Overload = attrs.field(default="drop_newest", kw_only=True)

    def __attrs_post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"a mailbox holds at least 1 message, not {self.size}")
        if self.overload not in get_args(Overload):
            raise ValueError(f"no such policy for an overload: {self.overload!r}")


def admit(limit: MailboxLimit, kind: Kind, waiting: int) -> Verdict:
    """Say what happens to a message.

    Args:
        limit: The limit of its receiver.
        kind: What it is: a ``call`` has somebody who waits, a ``message`` (or cast) has
            not, and a ``signal`` is no data.
        waiting: How many calls and messages wait in the mailbox.

    Returns:
        ``keep`` puts it into the mailbox, ``refuse`` fails the call, ``drop`` drops it,
        ``evict`` drops the oldest and keeps it, ``end`` drops it and ends the receiver.
    """
    if kind == "signal" or waiting < limit.size:
        return "keep"
    if kind == "call":
        return "refuse"
    match limit.overload:
        case "drop_newest":
            return "drop"
        case "drop_oldest":
            return "evict"
        case "exit":
            return "end"
