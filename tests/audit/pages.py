"""Pages that agents fetch: what they are told stands there was served so, from outside."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

import attrs
import orjson

from tests.audit.book import Row
from tests.audit.effects import calls_of
from tests.audit.known import Known, Served, rule

_ABOUT: Final = re.compile(r"what is said of ([\w/.-]+), and nowhere else")
_FRAMED: Final = re.compile(
    r"\n---\n(.*)\n<<<END_EXTERNAL_UNTRUSTED_CONTENT ", re.DOTALL
)
_BREAKS: Final = {"compacted", "forked", "rewound", "session-reset"}
_NOTHING: Final = "(nothing that could be read)"


@rule
def fetched(known: Known) -> Iterator[str]:
    """A page told otherwise than it was served, or one that nobody has served."""
    if known.pages is None:
        return
    for event, call, _, results in calls_of(known):
        if call["name"] != "web_fetch" or not results:
            continue
        url = orjson.loads(call["arguments"])["url"]
        outcome = results[0]["body"]["outcome"]
        told = set(_ABOUT.findall(results[0]["body"]["result"]["text"]))
        for name in told - known.pages:
            yield f"{event['key']} {url}: told of {name}, which was never served"
        for name in told:
            if not url.endswith(f"/{name}"):
                yield f"{event['key']} {url}: told of {name}"
        if outcome == "ok" and not told:
            yield f"{event['key']} {url}: ok, and told of no page"
        if outcome == "unknown":
            yield f"{event['key']} {url}: unknown, and a fetch can be made again"


@rule
def page_said(known: Known) -> Iterator[str]:
    """A call that was told other words than a site has said to it."""
    if known.served is None:
        return
    served = defaultdict[str, list[Served]](list)
    for each in known.served:
        served[each.place].append(each)
    for _, url, _, results in _fetches(known):
        if not results:
            continue
        place = url.rpartition("/")[2]
        outcome = results[0]["body"]["outcome"]
        text = results[0]["body"]["result"]["text"]
        framed = _FRAMED.search(text)
        if framed is None and outcome == "ok":
            yield f"{place}: ok, and told of no page"
        elif framed is not None:
            head = text.partition("\n")[0]
            bad = outcome != "ok"
            if not any(_is_told(each, head, framed[1], bad) for each in served[place]):
                yield f"{place}: told {head!r}, {framed[1][:100]!r}; nobody said that"


def _is_told(served: Served, head: str, text: str, bad: bool) -> bool:
    """Whether that is what was served, or the beginning of it where the rest is left out."""
    if (served.status >= 400) != bad or f"({served.status}, " not in head:
        return False
    if "the rest is left out" in head:
        return text == _NOTHING or served.words.startswith(text)
    return text == served.words


@rule
def page_asked_once(known: Known) -> Iterator[str]:
    """A site was asked for the same more often than the call for it was begun."""
    begun = Counter[str]()
    for _, url, intents, _ in _fetches(known):
        begun[url.rpartition("/")[2]] += len(intents)
    asked = Counter((each.place, each.url) for each in known.served or ())
    for (place, url), times in asked.items():
        if times > begun[place]:
            yield f"{url}: asked for {times} times, begun {begun[place]} times"


@rule
def outside(known: Known) -> Iterator[str]:
    """A page was wanted from where only the node's own network is."""
    for address in known.reached:
        if not ip_address(address).is_global:
            yield f"{address} was connected to"


@attrs.frozen
class _Fetch:
    """A call that fetches: who has asked for it and when, for which host."""

    key: str
    run_id: str
    host: str
    asked: int
    is_allowed: bool


@rule
def strangers_lead(known: Known) -> Iterator[str]:
    """Words of strangers were there, and a host was asked that nobody had gone to before.

    A person may allow the host that a call names, and no other one. What is known in a
    fork it has from its source, so forks are not looked at. Those words count that the
    model had read when it asked for the call.
    """
    calls, words = _fetched(known), _first_words(known)
    for served in known.served or ():
        call = calls.get(served.place)
        if call is None or ":fork" in call.key:
            continue
        if words.get(_talk(known, call.key, call.run_id), call.asked) >= call.asked:
            continue
        host = urlsplit(served.url).hostname
        others = (o for place, o in calls.items() if place != served.place)
        gone_to = any((o.key, o.host) == (call.key, host) for o in others)
        if not gone_to and not (call.is_allowed and call.host == host):
            yield f"{served.url}: asked for {served.place}, and nobody had allowed that"


def _fetched(known: Known) -> dict[str, _Fetch]:
    """The calls that were begun, by their places."""
    allowed = {r["wait_id"] for r in known.book.waits if r["verdict"] == "allow"}
    return {
        url.rpartition("/")[2]: _Fetch(
            key=event["key"],
            run_id=event["run_id"],
            host=urlsplit(url).hostname or "",
            asked=event["seq"],
            is_allowed=intents[0]["body"]["key"] in allowed,
        )
        for event, url, intents, _ in _fetches(known)
        if intents
    }


def _first_words(known: Known) -> dict[str, int]:
    """When strangers first had a word, by what was said together."""
    found: dict[str, int] = {}
    for event in known.book.of_kind("tool-ended"):
        if _FRAMED.search(event["body"]["result"]["text"]):
            talk = _talk(known, event["key"], event["run_id"])
            found.setdefault(talk, event["seq"])
    return found


def _talk(known: Known, key: str, run_id: str) -> str:
    """What is surely one conversation: the session, or a turn where more was done to it."""
    kinds = {event["kind"] for event in known.book.journal(key)}
    return run_id if kinds & _BREAKS else key


def _fetches(known: Known) -> Iterator[tuple[Row, str, list[Row], list[Row]]]:
    """Each call that fetches: event, URL, intents, results."""
    for event, call, intents, results in calls_of(known):
        if call["name"] == "web_fetch":
            yield event, orjson.loads(call["arguments"])["url"], intents, results
