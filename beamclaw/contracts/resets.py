"""When a conversation ends and another one begins under its key: by rule, or by word.

Decisions without I/O. The rules and the words are OpenClaw's: a session is reset by the
first message behind an hour of the day, or behind a pause; ``/new`` and ``/reset`` do it
at once, and what stands behind them is the first message of the new conversation.
"""

import datetime as dt
from typing import Final, Literal

from beamclaw.contracts.journal import ResetReason
from beamclaw.contracts.messages import Message, Text
from beamclaw.contracts.sessions import Inbound
from beamclaw.values import frozen

ResetMode = Literal["never", "daily", "idle"]

WORDS: Final[dict[str, ResetReason]] = {"/new": "new", "/reset": "reset"}


@frozen(kw_only=True)
class ResetRule:
    """When a conversation is over by itself.

    Attributes:
        mode: ``daily``: by the first message behind *at_hour*; ``idle``: by the first
            one behind a pause.
        at_hour: Of the day, 0 to 23, in *zone*.
        idle_minutes: How long the pause is.
        zone: None: what the system says.
    """

    mode: ResetMode = "never"
    at_hour: int = 4
    idle_minutes: float = 60.0
    zone: dt.tzinfo | None = None


def due(rule: ResetRule, last: float, now: float) -> ResetReason | None:
    """By which rule a conversation is over at *now* in which something was *last* said.

    Both in seconds since the epoch. A clock that was put back never ends one.
    """
    match rule.mode:
        case "daily" if last < _latest(rule, now):
            return "daily"
        case "idle" if now - last >= rule.idle_minutes * 60:
            return "idle"
        case _:
            return None


def _latest(rule: ResetRule, now: float) -> float:
    """The latest moment, up to *now*, at which the hour began.

    Where clocks are put on over that hour it begins with the one behind; where they are
    put back over it, the first of the two counts.
    """
    here = dt.datetime.fromtimestamp(now, rule.zone)
    hour = here.replace(hour=rule.at_hour, minute=0, second=0, microsecond=0, fold=0)
    moment = hour.timestamp()
    if moment > now:
        moment = (hour - dt.timedelta(days=1)).timestamp()
    return moment


@frozen
class Typed:
    """A message began with a word that ends the conversation.

    *message* is what stood behind it; None: nothing did.
    """

    reason: ResetReason
    message: Message | None


def typed(inbound: Inbound) -> Typed | None:
    """The word that a message begins with, if it is one of ours.

    In a conversation of a single request it means nothing, nor does it where a turn of
    another session says it, or somebody who wants it to be said.
    """
    if inbound.ephemeral or inbound.literal or not inbound.is_of_person:
        return None
    if not inbound.messages:
        return None
    message = inbound.messages[-1]
    first, *others = message.parts or (None,)
    if message.role != "user" or not isinstance(first, Text):
        return None
    word, _, rest = first.text.lstrip().partition(" ")
    head, newline, below = word.partition("\n")
    reason = WORDS.get(head.strip().lower())
    if reason is None:
        return None
    text = f"{below} {rest}".strip() if newline else rest.strip()
    parts = (*((Text(text),) if text else ()), *others)
    return Typed(reason, Message("user", parts) if parts else None)
