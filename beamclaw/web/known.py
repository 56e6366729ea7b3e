"""Which hosts a conversation knows, so that words of strangers cannot send it elsewhere.

Read from the journal when it is asked for, which is seldom: only in a conversation that
strangers have had a word in. A host is known when a person has named it, or when it was
fetched from before. And what is sent to it in a URL is no more than a person, or a page,
has written down: the model itself may add a few characters only.

What is known is a value that goes on with the events behind it, so no event is read twice.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
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
from beamclaw.values import frozen
from beamclaw.web.targets import Policy, Refused, Target, target

# A host may stand in a text without a scheme before it.
_NAMES: Final = re.compile(r"[\w.-]+\.[\w-]{2,}|\[[0-9a-fA-F:.]+\]")
_URLS: Final = re.compile(r"https?://[^\s<>\"'`\\]+", re.IGNORECASE)
_RESET: Final = "session-reset"
# Events that are read in one step: a few milliseconds.
_STEP: Final = 100
# Behind a URL these belong to the sentence that it stands in.
_BEHIND: Final = ".,;:!?)]}>*_|"


@frozen
class Rules:
    """What a conversation may do by itself.

    Attributes:
        policy: What may be fetched; other URLs are none.
        tool: What fetches.
        own_chars: How much a model may put into a URL by itself.
    """

    policy: Policy
    tool: str
    own_chars: int


@frozen
class Known:
    """What a conversation knows.

    Attributes:
        seq: The number of the last event that it was read from.
        mark: What makes that event another one than any other of this number.
        hosts: Those that a person has named.
        urls: Digests of those that a person or a page has written down, as far as they
            are longer than what a model may write by itself.
        fetched: The hosts that calls were for that have begun: of each host the first two
            such calls, as a call does not count for itself.
        asked: The hosts that calls are for, by their ids, as the model has asked for them.
    """

    seq: int = 0
    mark: bytes = b""
    hosts: frozenset[str] = frozenset()
    urls: frozenset[bytes] = frozenset()
    fetched: Mapping[str, tuple[str, ...]] = attrs.field(
        factory=dict[str, tuple[str, ...]]
    )
    asked: Mapping[str, str] = attrs.field(factory=dict[str, str])

    @property
    def size(self) -> int:
        """How much is remembered."""
        return sum(map(len, (self.hosts, self.urls, self.fetched, self.asked)))

    def admits(self, at: Target, rules: Rules, call_id: str) -> bool:
        """Whether the call *call_id* may fetch *at* without asking a person."""
        fetched = any(id_ != call_id for id_ in self.fetched.get(at.host, ()))
        if at.host not in self.hosts and not fetched:
            return False
        return len(at.path) <= rules.own_chars or _digest(at) in self.urls


NOTHING: Final = Known()


def goes_on(before: Known, events: Sequence[Event]) -> bool:
    """Whether *events*, the first of which *before* has seen, go on from there.

    They do not where the conversation went back behind it, or is another one by now.
    """
    return (
        len(events) > 0
        and (events[0].seq, _mark(events[0])) == (before.seq, before.mark)
        and all(event.parent is None for event in events[1:])
    )


def known(
    events: Sequence[Event], rules: Rules, before: Known = NOTHING
) -> Steps[Known]:
    """What the conversation of a journal knows; in steps.

    Args:
        events: The whole journal; or its end, the first of which *before* has seen
            (see :func:`goes_on`).
        rules: What it is looked through for.
        before: What was known behind that event.
    """
    new = path(events) if before is NOTHING else events[1:]
    if not new:
        return before
    found = _Learned.of(before, rules)
    for count, event in enumerate(new):
        if count % _STEP == 0:
            yield
        if event.kind == _RESET:
            found = _Learned.of(NOTHING, rules)
        # Most of them say nothing of it, and to decode one takes a hundred times longer.
        elif _matters(event, rules):
            found.learn(read(event))
    return found.known(events[-1])


@attrs.define
class _Learned:
    """The same, while it is added to."""

    rules: Rules
    hosts: set[str]
    urls: set[bytes]
    fetched: dict[str, tuple[str, ...]]
    asked: dict[str, str]

    @classmethod
    def of(cls, before: Known, rules: Rules) -> "_Learned":
        return cls(
            rules,
            set(before.hosts),
            set(before.urls),
            dict(before.fetched),
            dict(before.asked),
        )

    def known(self, last: Event) -> Known:
        return Known(
            seq=last.seq,
            mark=_mark(last),
            hosts=frozenset(self.hosts),
            urls=frozenset(self.urls),
            fetched=self.fetched,
            asked=self.asked,
        )

    def learn(self, body: Body) -> None:
        match body:
            case InboundTaken(messages=messages, tainted=False):
                for message in messages:
                    self.hosts |= _hosts(message.text)
                    self._write_down(message.text)
            case Answered(message=message):
                for part in message.parts:
                    if isinstance(part, ToolCall) and part.name == self.rules.tool:
                        self._ask(part)
            case ToolBegun(call_id=id_) if id_ in self.asked:
                host = self.asked.pop(id_)
                self.fetched[host] = (*self.fetched.get(host, ()), id_)[:2]
            case ToolEnded(untrusted=True, result=result):
                self._write_down(result.text)
            case _:
                pass

    def _ask(self, call: ToolCall) -> None:
        at = _target(self.rules.policy, _url_in(call.arguments))
        if at is not None:
            self.asked[call.id] = at.host

    def _write_down(self, text: str) -> None:
        self.urls |= {
            _digest(at)
            for at in _urls(text, self.rules.policy)
            if len(at.path) > self.rules.own_chars
        }


def _matters(event: Event, rules: Rules) -> bool:
    """Whether it can say something of this; without decoding it."""
    match event.kind:
        case "inbound" | "tool-begun":
            return True
        case "answered":
            return rules.tool.encode() in event.body
        case "tool-ended":
            return b"http" in event.body.lower()
        case _:
            return False


def _mark(event: Event) -> bytes:
    told = repr((event.kind, event.at, event.run_id, event.parent)).encode()
    return hashlib.blake2b(told + event.body, digest_size=16).digest()


def _digest(at: Target) -> bytes:
    # Pages write down thousands of long ones. None has to be told again.
    return hashlib.blake2b(at.url.encode(), digest_size=16).digest()


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


def _urls(text: str, policy: Policy) -> list[Target]:
    """Those in a text, in one way of writing; a sentence may end behind each."""
    written = {
        each for url in _URLS.findall(text) for each in (url, url.rstrip(_BEHIND))
    }
    return [at for at in map(partial(_target, policy), written) if at is not None]


def _target(policy: Policy, url: str) -> Target | None:
    try:
        return target(url, policy)
    except Refused:
        return None
