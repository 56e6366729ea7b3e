"""P1: what was acknowledged is kept, answered, and said."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from tests.audit.book import Row, mark, marker_of, said
from tests.audit.known import FINE, OF_CLIENTS, Call, Known, Sent, rule


@rule
def kept(known: Known) -> Iterator[str]:
    """Acknowledged before a kill, and not on disk after it."""
    for number, kill in enumerate(known.kills, 1):
        for sent in known.sent.values():
            acked = sent.acked is not None and sent.acked <= kill.at
            there = sent.session in kill.book.deleted or kill.book.message(sent.marker)
            if acked and not there:
                yield f"{sent.marker}: acknowledged, lost by kill {number}"
    for sent in known.sent.values():
        there = sent.session in known.book.deleted or known.book.message(sent.marker)
        if sent.acked is not None and not there:
            yield f"{sent.marker}: acknowledged, not in the ledger"


@rule
def deleted(known: Known) -> Iterator[str]:
    """Deleted without a wish of anybody's, or wished away and still there."""
    for key, events in known.book.deleted.items():
        if key not in known.unwanted:
            yield f"{key}: deleted, and nobody wanted that"
        elif events:
            yield f"{key}: deleted, and {events} of its events are there"
    for key in known.unwanted - known.book.deleted.keys():
        yield f"{key}: nobody wants it any more, and it is there"


@rule
def answered(known: Known) -> Iterator[str]:
    """In the ledger, and without an end that is in order."""
    for row in known.book.inbox:
        marker = row["marker"]
        sent, run = known.sent.get(marker), known.book.run_of(marker)
        # See `family`, `commands_told` and `ordered`.
        inside = row["source"] in {"agent", "command", "tools", "compact"}
        if sent is None and not inside:
            yield f"{marker}: in the ledger, but nobody sent it"
        elif run is None or run["state"] != "ended":
            yield f"{marker}: never ended"
        elif sent is not None and run["outcome"] not in sent.outcomes:
            yield f"{marker}: ended {run['outcome']}, {run['error']}"
        elif row["taken_at"] is None:
            yield f"{marker}: its turn is over, and it waits still"


@rule
def words(known: Known) -> Iterator[str]:
    """A turn that failed without a word of why, or was answered without a word."""
    for run in known.book.runs:
        if run["state"] != "ended":
            continue
        if run["outcome"] in ("error", "quarantined") and not run["error"]:
            yield f"{run['run_id']}: {run['outcome']}, and no word of why"
        bare = not known.terse or (run["outcome"] != "ok" and not run["error"])
        bare = bare and not known.book.is_shortening(run["run_id"])
        if run["outcome"] in FINE and not run["text"] and bare:
            yield f"{run['run_id']}: {run['outcome']}, without any text"


@rule
def told(known: Known) -> Iterator[str]:
    """A client got something else than what the ledger says, or never got its end."""
    for sent in known.sent.values():
        run = known.book.run_of(sent.marker)
        if run is None:
            continue
        if sent.run_id is not None and sent.run_id != _run_id(known, sent.marker):
            yield f"{sent.marker}: acknowledged as {sent.run_id}, which it is not"
        yield from _heard(sent, run)
        below = [known.book.run(c["run_id"]) for c in known.book.children]
        with_it = any(r is not None and r["outcome"] == "aborted" for r in below)
        if sent.stopped and run["outcome"] != "aborted" and not with_it:
            yield f"{sent.marker}: told that it is stopped, ended {run['outcome']}"


def _heard(sent: Sent, run: Row) -> Iterator[str]:
    for text in sent.texts:
        if run["outcome"] not in FINE or text != run["text"]:
            yield f"{sent.marker}: a client got {text!r}, not {run['text']!r}"
    for end in sent.ends:
        if (end.outcome, end.text) != (run["outcome"], run["text"]):
            yield f"{sent.marker}: told {end}, not {run['outcome']} {run['text']!r}"
        if end.outcome == "ok" and not end.text.startswith(end.shown):
            yield f"{sent.marker}: shown {end.shown!r}, answered {end.text!r}"
    if sent.errors and run["outcome"] in FINE:
        yield f"{sent.marker}: a client was told {sent.errors}, it ended well"
    heard = sent.texts or sent.errors or sent.ends
    if sent.acked is not None and not heard:
        yield f"{sent.marker}: nobody was told how it ended"


def _run_id(known: Known, marker: str) -> str | None:
    row = known.book.message(marker)
    return None if row is None else row["run_id"]


@rule
def whole_text(known: Known) -> Iterator[str]:
    """A turn whose text is something else than its answers one below the other."""
    for run in known.book.runs:
        if run["state"] != "ended" or run["opened_at"] is None:
            continue
        id_ = run["run_id"]
        texts = [
            event["body"]["text"]
            if event["kind"] == "noted"
            else said(event["body"]["message"])
            for event in known.book.of_run(id_, "answered", "noted")
        ]
        if known.book.is_ordered(id_):
            ends = known.book.of_run(id_, "tool-ended")
            texts += [event["body"]["result"]["text"] for event in ends]
        whole = "\n\n".join(filter(None, texts))
        if run["text"] != whole:
            yield f"{run['run_id']}: its text is {run['text']!r}, not {whole!r}"


@rule
def from_a_model(known: Known) -> Iterator[str]:
    """An answer that no call of a model gave, or one of its session's gave once."""
    if not known.calls or any(call.said is None for call in known.calls):
        return  # nobody looked
    keys = {row["marker"]: row["key"] for row in known.book.inbox}
    given: dict[str, list[Call]] = defaultdict(list)
    for call in known.calls:
        if not call.summary:
            given[keys.get(call.marker, "")].append(call)
    for event in known.book.of_kind("answered"):
        text, calls = said(event["body"]["message"]), given[event["key"]]
        broken = event["body"]["stop_reason"] in {"aborted", "error"}
        source = next((call for call in calls if _gave(call, text, broken)), None)
        if not text:
            continue
        if source is not None:
            calls.remove(source)
        else:
            yield f"{event['key']}: the answer {text!r} is nobody's"


def _gave(call: Call, text: str, broken: bool) -> bool:
    """Whether *text* is all of what the call said; of a broken one, its beginning."""
    said_ = call.said or ""
    return said_.startswith(text) if broken else call.whole and said_ == text


# Sources of turns in which nobody says anything: see `ordered` and `shortened`.
_ORDERS = frozenset({"tools", "compact"})


@rule
def said_once(known: Known) -> Iterator[str]:
    """A message in a transcript more or less than once, or accepted twice."""
    times = Counter(
        mark(said(message))
        for event in known.book.of_kind("inbound")
        for message in _new(event)
        if message["role"] == "user"
    )
    rows = Counter(row["marker"] for row in known.book.inbox)
    source_of = {row["marker"]: row["source"] for row in known.book.inbox}
    ids = Counter(
        (row["source"], row["account"], row["conversation"], row["external_id"])
        for row in known.book.inbox
    )
    for marker, count in rows.items():
        if count != 1:
            yield f"{marker}: {count} times in the inbox"
        run = known.book.run_of(marker)
        begun = run is not None and run["opened_at"] is not None
        if begun and source_of[marker] not in _ORDERS and times[marker] != 1:
            yield f"{marker}: {times[marker]} times in a transcript"
    for external, count in ids.items():
        if count != 1:
            yield f"the id {external} was accepted {count} times"


def _new(event: Row) -> list[Row]:
    """What is said for the first time; a sub-agent may be told what was said before."""
    messages = event["body"]["messages"]
    return messages[-1:] if ":subagent:" in event["key"] else messages


def _asks_its_client(event: Row) -> bool:
    """Whether an answer is the last one because its client has to do something."""
    parts = event["body"]["message"]["parts"]
    return any(part.get("name") in OF_CLIENTS for part in parts)


@rule
def answered_once(known: Known) -> Iterator[str]:
    """A turn with two last answers, or none, or two ends, or an end that differs."""
    for run in known.book.runs:
        if run["state"] != "ended" or run["opened_at"] is None:
            continue
        ends = known.book.of_run(run["run_id"], "run-over")
        if len(ends) != 1:
            yield f"{run['run_id']}: {len(ends)} ends in the journal"
        elif ends[0]["body"]["outcome"] != run["outcome"]:
            yield f"{run['run_id']}: two different ends"
        last = [
            marker_of(said(event["body"]["message"]))
            for event in known.book.of_run(run["run_id"], "answered")
            if event["body"]["stop_reason"] == "stop" or _asks_its_client(event)
        ]
        id_ = run["run_id"]
        ordered = known.book.is_ordered(id_) or known.book.is_shortening(id_)
        # A sub-agent is over when its own are, and is asked again about each of them.
        own = [c for c in known.book.children if c["parent_run"] == id_]
        most = 1 + sum(child["mode"] == "announce" for child in own)
        if run["outcome"] == "ok" and not ordered and not 1 <= len(last) <= most:
            yield f"{run['run_id']}: {len(last)} last answers"
