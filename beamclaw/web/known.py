"""Which hosts a conversation knows, so that words of strangers cannot send it elsewhere.

Read from the journal when it is asked for, which is seldom: only in a conversation that
strangers have had a word in. A host is known when a person has named it, or when it was
fetched from before. And what is sent to it in a URL is no more than a person, or a page,
has written down: the model itself may add a few characters only.
"""

import json
import re
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from typing import Final

import attrs

from beamclaw.contracts.journal import (
    Answered,
    Body,
    InboundTaken,
    ToolBegun,
    ToolEnded,
    read,
)
from beamclaw.contracts.ledger_rows import Event
from beamclaw.contracts.messages import ToolCall
from beamclaw.contracts.path import path
from beamclaw.contracts.steps import Steps
from beamclaw.web.targets import Policy, Refused, Target, target

# A host may stand in a text without a scheme before it.
_NAMES: Final = re.compile(r"[\w.-]+\.[\w-]{2,}|\[[0-9a-fA-F:.]+\]")
_URLS: Final = re.compile(r"https?://[^\s<>\"'`\\]+", re.IGNORECASE)
_READ: Final = frozenset({"inbound", "answered", "tool-begun", "tool-ended"})
_RESET: Final = "session-reset"
# Events that are read in one step: a few milliseconds.
_STEP: Final = 100
# Behind a URL these belong to the sentence that it stands in.
_BEHIND: Final = ".,;:!?)]}>*_|"


@attrs.frozen
class Known:
    """What a conversation knows.

    Attributes:
        hosts: Those that a person has named, or that were fetched from.
        urls: Those that a person or a page has written down, as far as they are about
            the host that is asked for.
    """

    hosts: Collection[str] = frozenset()
    urls: Collection[str] = frozenset()

    def admits(self, at: Target, own_chars: int) -> bool:
        """Whether *at* may be fetched without asking a person.

        *own_chars* is how much a model may put into the URL by itself.
        """
        if at.host not in self.hosts:
            return False
        return len(at.path) <= own_chars or at.url in self.urls


def known(
    events: Sequence[Event], at: Target, policy: Policy, *, tool: str, call_id: str
) -> Steps[Known]:
    """What the conversation of a journal knows of the host of *at*; in steps.

    Args:
        events: The whole journal.
        at: Where a call wants to go.
        policy: What may be fetched; other URLs are none.
        tool: What fetches.
        call_id: The call itself, which does not count.
    """
    found = _Learned(policy, tool, call_id)
    for count, event in enumerate(_conversation(events)):
        if count % _STEP == 0:
            yield
        # Most of them say nothing of it, and to decode one takes a hundred times longer.
        if event.kind == "tool-begun" or _mentions(event.body, at.host):
            found.learn(read(event))
    return Known(frozenset(found.hosts), frozenset(found.urls))


@attrs.define
class _Learned:
    policy: Policy
    tool: str
    call_id: str
    hosts: set[str] = attrs.field(factory=set[str])
    urls: set[str] = attrs.field(factory=set[str])
    # What the model has asked for, by the ids of its calls.
    asked: dict[str, str] = attrs.field(factory=dict[str, str])

    def learn(self, body: Body) -> None:
        match body:
            case InboundTaken(messages=messages, tainted=False):
                for message in messages:
                    self.hosts |= _hosts(message.text)
                    self.urls |= _urls(message.text, self.policy)
            case Answered(message=message):
                calls = (part for part in message.parts if isinstance(part, ToolCall))
                self.asked |= {c.id: c.arguments for c in calls if c.name == self.tool}
            case ToolBegun(call_id=id_) if id_ in self.asked and id_ != self.call_id:
                before = _target(self.policy, _url_in(self.asked[id_]))
                self.hosts |= {before.host} if before is not None else set()
            case ToolEnded(untrusted=True, result=result):
                self.urls |= _urls(result.text, self.policy)
            case _:
                pass


def _conversation(events: Sequence[Event]) -> Iterator[Event]:
    """The events that count, since the last beginning, of the kinds that say something."""
    counting = path(events)
    begin = 0
    for place, event in enumerate(counting):
        if event.kind == _RESET:
            begin = place
    return (event for event in counting[begin:] if event.kind in _READ)


def _mentions(body: bytes, host: str) -> bool:
    # A name that is not ASCII is written in other letters there.
    return "xn--" in host or host.encode() in body.lower()


def _url_in(arguments: str) -> str:
    try:
        return str(json.loads(arguments).get("url", ""))
    except (ValueError, AttributeError):
        return ""


def _hosts(text: str) -> set[str]:
    return {_ascii(found.strip("[].").lower()) for found in _NAMES.findall(text)}


def _ascii(name: str) -> str:
    if name.isascii():
        return name
    import idna  # noqa: PLC0415 -- large tables, for a host that is seldom so

    try:
        return idna.encode(name, uts46=True).decode("ascii")
    except idna.IDNAError:
        return ""


def _urls(text: str, policy: Policy) -> set[str]:
    """Those in a text, in one way of writing; a sentence may end behind each."""
    written = {
        each for url in _URLS.findall(text) for each in (url, url.rstrip(_BEHIND))
    }
    return {at.url for at in map(partial(_target, policy), written) if at is not None}


def _target(policy: Policy, url: str) -> Target | None:
    try:
        return target(url, policy)
    except Refused:
        return None
