"""Pages that agents fetch: what they are told stands there was served so."""

import re
from collections.abc import Iterator
from typing import Final

import orjson

from tests.audit.effects import calls_of
from tests.audit.known import Known, rule

_ABOUT: Final = re.compile(r"what is said of ([\w/.-]+), and nowhere else")


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
