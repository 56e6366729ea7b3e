"""The auditor: what was promised against what everybody saw, one function per rule.

It knows nothing of the node's code. Its sources are what clients sent and got
(:class:`Sent`), what the model provider was asked (:class:`Call`), what the tools did
(:class:`Effect`), and the ledger read with plain SQLite (:class:`~tests.faults.book.Book`),
at the end and after each kill. A rule says what it found in words; nothing is nothing.
"""

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import attrs
import orjson

from tests.faults.book import Book, Row, mark, marker_of, said

UNSAFE = ("send",)
TOOLS = ("look", "put", "order", "send")
ONCE = ("put", "order", "send")  # tools with effects that may be seen once at most
FINE = ("ok", "limited")


@attrs.define(kw_only=True)
class Sent:
    """One message of a client, and what the client saw; times are monotonic.

    Attributes:
        marker: Stands in the message, so that it is found again everywhere.
        acked: When the client was told that the message is kept.
        texts: Each answer that came in whole: the first, and what joins brought.
        errors: Each end of the turn in words of failure that it was told.
        outcomes: Which ends are in order for it.
        after: The marker of the message that was acknowledged before this one was sent
            in the same session.
        run_id: As the client was told.
        stopped: What the client was told when it stopped the turn, if it did.
    """

    marker: str
    session: str
    at: float
    acked: float | None = None
    finished: float | None = None
    texts: list[str] = attrs.field(factory=list)
    errors: list[str] = attrs.field(factory=list)
    outcomes: tuple[str, ...] = ("ok",)
    after: str | None = None
    run_id: str | None = None
    stopped: bool | None = None


@attrs.frozen(kw_only=True)
class Verdict:
    """A person's answer to a question, and what the person was told: did it count."""

    wait_id: str
    verdict: str
    by: str
    counts: bool


@attrs.frozen(kw_only=True)
class Effect:
    """Something that a tool did; *text* says for which call of which message."""

    tool: str
    key: str
    text: str


@attrs.frozen(kw_only=True)
class Call:
    """One call of the model as the provider saw it.

    Attributes:
        marker: Of the last message of a person in the prompt.
        summary: It is about a summary, not an answer.
        billed: Tokens in and out; None where the provider bills nothing.
        messages: Of the prompt, as they were sent.
    """

    marker: str
    at: float
    model: str = ""
    summary: bool = False
    billed: tuple[int, int] | None = None
    whole: bool = True
    messages: tuple[Mapping[str, Any], ...] = ()
    breaches: tuple[str, ...] = ()


@attrs.frozen
class Kill:
    """A kill -9: when, the ledger as it lay there, how many effects there had been."""

    at: float
    book: Book
    effects: int = 0


@attrs.frozen
class Cap:
    """No more than *limit* out of the purses of this scope."""

    scope: str
    measure: str
    limit: int


@attrs.define(kw_only=True)
class Known:
    """All that anybody knows."""

    book: Book = attrs.field(factory=Book)
    sent: dict[str, Sent] = attrs.field(factory=dict)
    kills: list[Kill] = attrs.field(factory=list)
    calls: list[Call] = attrs.field(factory=list)
    effects: list[Effect] = attrs.field(factory=list)
    verdicts: list[Verdict] = attrs.field(factory=list)
    caps: tuple[Cap, ...] = ()


Rule = Callable[[Known], Iterable[str]]
RULES: dict[str, Rule] = {}


def rule(function: Rule) -> Rule:
    """Enter a rule into the table, under its name."""
    RULES[function.__name__] = function
    return function


def violations(known: Known) -> list[str]:
    """What was broken, each with the name of its rule."""
    return [
        f"{name}: {found}" for name, check in RULES.items() for found in check(known)
    ]


# --- P1: acknowledged is kept, answered, and said


@rule
def kept(known: Known) -> Iterator[str]:
    """Acknowledged before a kill, and not on disk after it."""
    for number, kill in enumerate(known.kills, 1):
        for sent in known.sent.values():
            acked = sent.acked is not None and sent.acked <= kill.at
            if acked and kill.book.message(sent.marker) is None:
                yield f"{sent.marker}: acknowledged, lost by kill {number}"
    for sent in known.sent.values():
        if sent.acked is not None and known.book.message(sent.marker) is None:
            yield f"{sent.marker}: acknowledged, not in the ledger"


@rule
def answered(known: Known) -> Iterator[str]:
    """In the ledger, and without an end that is in order."""
    for row in known.book.inbox:
        marker = row["marker"]
        sent, run = known.sent.get(marker), known.book.run_of(marker)
        inside = row["source"] == "agent"  # see `family`
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
        if run["outcome"] in FINE and not run["text"]:
            yield f"{run['run_id']}: {run['outcome']}, without any text"


@rule
def told(known: Known) -> Iterator[str]:
    """A client got something else than what the ledger says, or never got its end."""
    for sent in known.sent.values():
        run = known.book.run_of(sent.marker)
        if run is None:
            continue
        for text in sent.texts:
            if run["outcome"] not in FINE or text != run["text"]:
                yield f"{sent.marker}: a client got {text!r}, not {run['text']!r}"
        if sent.errors and run["outcome"] in FINE:
            yield f"{sent.marker}: a client was told {sent.errors}, it ended well"
        if sent.acked is not None and not sent.texts and not sent.errors:
            yield f"{sent.marker}: nobody was told how it ended"
        below = [known.book.run(c["run_id"]) for c in known.book.children]
        with_it = any(r is not None and r["outcome"] == "aborted" for r in below)
        if sent.stopped and run["outcome"] != "aborted" and not with_it:
            yield f"{sent.marker}: told that it is stopped, ended {run['outcome']}"


@rule
def said_once(known: Known) -> Iterator[str]:
    """A message in a transcript more or less than once, or accepted twice."""
    times = Counter(
        mark(said(message))
        for event in known.book.of_kind("inbound")
        for message in event["body"]["messages"]
        if message["role"] == "user"
    )
    rows = Counter(row["marker"] for row in known.book.inbox)
    ids = Counter(
        (row["source"], row["account"], row["conversation"], row["external_id"])
        for row in known.book.inbox
    )
    for marker, count in rows.items():
        if count != 1:
            yield f"{marker}: {count} times in the inbox"
        run = known.book.run_of(marker)
        begun = run is not None and run["opened_at"] is not None
        if begun and times[marker] != 1:
            yield f"{marker}: {times[marker]} times in a transcript"
    for external, count in ids.items():
        if count != 1:
            yield f"the id {external} was accepted {count} times"


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
            if event["body"]["stop_reason"] == "stop"
        ]
        if run["outcome"] == "ok" and len(last) != 1:
            yield f"{run['run_id']}: {len(last)} last answers"


# --- P2: effects


def _calls(known: Known) -> Iterator[tuple[Row, Row, list[Row], list[Row]]]:
    """Each tool call that a model asked for: event, call, intents, results."""
    intents, results = defaultdict(list), defaultdict(list)
    for event in known.book.of_kind("tool-begun"):
        intents[event["key"], event["body"]["call_id"]].append(event)
    for event in known.book.of_kind("tool-ended"):
        results[event["key"], event["body"]["result"]["id"]].append(event)
    for event in known.book.of_kind("answered"):
        for part in event["body"]["message"]["parts"]:
            if part.get("_") == "ToolCall":
                id_ = event["key"], part["id"]
                yield event, part, intents[id_], results[id_]


@rule
def one_result(known: Known) -> Iterator[str]:
    """A tool call without its one result, or a result without its call."""
    called = set()
    for event, call, _, results in _calls(known):
        called.add((event["key"], call["id"]))
        run = known.book.run(event["run_id"])
        over = run is not None and run["state"] == "ended"
        if len(results) > 1 or (over and not results):
            yield f"{event['key']} {call['id']}: {len(results)} results"
        if results and results[0]["seq"] < event["seq"]:
            yield f"{event['key']} {call['id']}: its result stands before it"
    for event in known.book.of_kind("tool-ended"):
        id_ = event["body"]["result"]["id"]
        if (event["key"], id_) not in called:
            yield f"{event['key']} {id_}: a result of no call"


@rule
def paired(known: Known) -> Iterator[str]:
    """A prompt in which a tool call has not exactly one result, right behind it."""
    for call in known.calls:
        yield from (
            f"{call.marker}: the provider complains: {b}" for b in call.breaches
        )
        open_: list[str] = []
        for message in call.messages:
            if message["role"] == "tool":
                if message["tool_call_id"] not in open_:
                    yield f"{call.marker}: a result of nothing in the prompt"
                else:
                    open_.remove(message["tool_call_id"])
                continue
            if open_:
                yield f"{call.marker}: {open_} without a result in the prompt"
            open_ = [each["id"] for each in message.get("tool_calls") or ()]
        if open_:
            yield f"{call.marker}: {open_} without a result in the prompt"


@rule
def intended(known: Known) -> Iterator[str]:
    """An effect whose intent was not on disk before it."""
    for number, kill in enumerate(known.kills, 1):
        keys = {event["body"]["key"] for event in kill.book.of_kind("tool-begun")}
        for effect in known.effects[: kill.effects]:
            if effect.key not in keys:
                yield f"{effect.text}: {effect.tool}, and no intent at kill {number}"
    keys = {event["body"]["key"] for event in known.book.of_kind("tool-begun")}
    for effect in known.effects:
        if effect.key not in keys:
            yield f"{effect.text}: {effect.tool}, and no intent"


@rule
def effects_once(known: Known) -> Iterator[str]:
    """An effect twice: by its key, or under two keys for the same wish of the model."""
    keys = Counter((e.tool, e.key) for e in known.effects if e.tool in ONCE)
    texts = Counter(
        (e.tool, e.text) for e in known.effects if e.tool in ONCE and e.text
    )
    for (tool, key), count in keys.items():
        if count > 1:
            yield f"{tool} {key}: {count} times"
    for (tool, text), count in texts.items():
        if count > 1:
            yield f"{tool} {text}: {count} times"


@rule
def begun_once(known: Known) -> Iterator[str]:
    """A call that nobody can repeat was begun twice, or with two keys."""
    for event, call, intents, _ in _calls(known):
        if call["name"] in UNSAFE and len(intents) > 1:
            yield f"{event['key']} {call['id']}: begun {len(intents)} times"
        if len({intent["body"]["key"] for intent in intents}) > 1:
            yield f"{event['key']} {call['id']}: begun with different keys"
        attempts = [intent["body"].get("attempt", 1) for intent in intents]
        if attempts != list(range(1, len(attempts) + 1)):
            yield f"{event['key']} {call['id']}: its beginnings are {attempts}"


@rule
def results_true(known: Known) -> Iterator[str]:
    """A result that says something else than what was done, or hides a doubt."""
    done = Counter(effect.key for effect in known.effects)
    for event, call, intents, results in _calls(known):
        if not results:
            continue
        outcome = results[0]["body"]["outcome"]
        times = done[intents[0]["body"]["key"]] if intents else 0
        where = f"{event['key']} {call['id']} ({call['name']})"
        if outcome == "ok" and not times and call["name"] in TOOLS:
            yield f"{where}: ok, and nothing was done"
        if outcome == "refused" and times:
            yield f"{where}: refused, and it was done"
        text = results[0]["body"]["result"]["text"]
        if (
            outcome == "unknown"
            and "not known" not in text
            and "never came" not in text
        ):
            yield f"{where}: unknown, and not said so: {text!r}"
        if outcome != "ok" and not results[0]["body"]["result"].get("is_error"):
            yield f"{where}: {outcome}, and not marked so for the model"


# --- order


@rule
def whole_journal(known: Known) -> Iterator[str]:
    """Events of a session are numbered without a gap, each behind the one before."""
    last: dict[str, Row] = {}
    for event in known.book.events:
        before = last.get(event["key"])
        seq, id_ = (0, None) if before is None else (before["seq"], before["id"])
        if event["seq"] != seq + 1 or event["previous"] != id_:
            yield f"{event['key']}: event {event['seq']} stands behind {seq}"
        last[event["key"]] = event
    for session in known.book.sessions:
        event = last.get(session["key"])
        if session["seq"] != (0 if event is None else event["seq"]):
            yield f"{session['key']}: at {session['seq']}, its journal is not"


@rule
def in_order(known: Known) -> Iterator[str]:
    """Messages of one session in another order than they came, or were sent."""
    came = {row["id"]: row for row in known.book.inbox}
    for session in known.book.sessions:
        journal = known.book.journal(session["key"])
        ids = [e["body"]["inbox_id"] for e in journal if e["kind"] == "inbound"]
        for first, second in pairwise(ids):
            if first > second:
                markers = [came[id_]["marker"] for id_ in (first, second)]
                yield f"{session['key']}: {markers[0]} was taken before {markers[1]}"
    for sent in known.sent.values():
        row = known.book.message(sent.marker)
        before = known.book.message(sent.after) if sent.after else None
        if sent.after and row is not None and (not before or before["id"] > row["id"]):
            yield f"{sent.marker}: not after {sent.after} in its session"


@rule
def one_lane(known: Known) -> Iterator[str]:
    """A session with two turns at once, or an event of a turn that is over."""
    for session in known.book.sessions:
        current = None
        for event in known.book.journal(session["key"]):
            run_id, kind = event["run_id"], event["kind"]
            if kind == "run-started" and current not in (None, run_id):
                yield f"{session['key']}: {run_id} begins while {current} is open"
            if kind == "run-started":
                current = run_id
            elif kind == "run-over":
                current = None if current == run_id else current
            elif run_id is not None and run_id != current and kind != "inbound":
                yield f"{session['key']}: {kind} of {run_id}, which is not open"
    open_ = Counter(run["key"] for run in known.book.runs if run["state"] == "running")
    yield from (
        f"{key}: {count} runs open" for key, count in open_.items() if count > 1
    )


@rule
def epochs(known: Known) -> Iterator[str]:
    """An epoch that does not ascend, or a write of an older one."""
    owner = 0
    latest: dict[str, int] = defaultdict(int)
    for event in known.book.events:
        if event["owner_epoch"] < owner:
            yield f"{event['key']} event {event['seq']}: an older owner has written it"
        owner = max(owner, event["owner_epoch"])
        run_id = event["run_id"]
        if run_id is None:
            continue
        if event["run_epoch"] < latest[run_id] and event["kind"] != "run-over":
            yield f"{run_id}: {event['kind']} at epoch {event['run_epoch']}, too late"
        if event["kind"] == "run-started":
            if event["body"]["epoch"] <= latest[run_id]:
                yield f"{run_id}: started twice at epoch {event['body']['epoch']}"
            latest[run_id] = event["body"]["epoch"]
    for run in known.book.runs:
        if run["run_epoch"] < latest[run["run_id"]]:
            yield f"{run['run_id']}: the ledger is behind its journal's epoch"


@rule
def revived(known: Known) -> Iterator[str]:
    """A successor that was not announced and counted before it was tried."""
    for run in known.book.runs:
        announced = 0
        for event in known.book.of_run(run["run_id"], "revived", "run-started"):
            if event["kind"] == "revived":
                announced += 1
            elif event["body"]["epoch"] > 1:
                if not announced:
                    yield f"{run['run_id']}: a successor that nobody announced"
                announced = 0
        if known.book.of_run(run["run_id"], "revived") and not run["revivals"]:
            yield f"{run['run_id']}: revived, and not counted"


# --- P5: spending


@rule
def reserved(known: Known) -> Iterator[str]:
    """A call of the model without its reservation before it."""
    rows = {(row["run_id"], row["attempt"]) for row in known.book.usage}
    for event in known.book.of_kind("asked"):
        if (event["run_id"], event["body"]["attempt"]) not in rows:
            yield f"{event['run_id']}: call {event['body']['attempt']} was not reserved"
    moments = [(kill.at, kill.book) for kill in known.kills]
    for at, book in [*moments, (float("inf"), known.book)]:
        # By session: a summary is asked for by a turn that is not in its prompt.
        made, asked = Counter(), Counter()
        keys = {row["marker"]: row["key"] for row in book.inbox}
        for call in known.calls:
            if call.at > at:
                continue
            if call.marker not in keys:
                yield f"{call.marker}: asked, and in no ledger"
            else:
                made[keys[call.marker]] += 1
        asked.update(row["key"] for row in book.usage)
        for key, count in made.items():
            if count > asked[key]:
                yield f"{key}: {count} calls made, {asked[key]} reserved"


@rule
def sums(known: Known) -> Iterator[str]:
    """A purse that does not hold what stands in the single rows."""
    expected: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    # A conversation that begins anew has a new purse.
    resets = {
        event["key"]: event["at"] for event in known.book.of_kind("session-reset")
    }
    for row in known.book.usage:
        used = _used(row)
        for purse in _purses(row):
            if purse[0] == "session" and row["at"] < resets.get(row["key"], 0):
                continue
            expected[purse] = [
                a + b for a, b in zip(expected[purse], used, strict=True)
            ]
    found = {
        (row["scope"], row["key"], row["day"]): [
            row["tokens"],
            row["cost"],
            row["calls"],
        ]
        for row in known.book.spent
    }
    for purse in expected.keys() | found.keys():
        if expected.get(purse) != found.get(purse, [0, 0, 0]):
            yield f"{purse}: holds {found.get(purse)}, its rows {expected.get(purse)}"


def _used(row: Row) -> tuple[int, int, int]:
    """Tokens, cost and calls of one row: what was settled, else what was reserved."""
    if row["settled_at"] is None:
        return row["bound_input"] + row["bound_output"], row["bound_cost"], 1
    return row["input"] + row["output"], row["cost"] or 0, 1


def _purses(row: Row) -> Iterator[tuple[str, str, str]]:
    day = dt.datetime.fromtimestamp(row["at"], dt.UTC).date().isoformat()
    yield "tenant", "", day
    yield "agent", row["agent"], day
    yield "session", row["key"], ""


@rule
def capped(known: Known) -> Iterator[str]:
    """More was spent or reserved than a cap allows."""
    for cap in known.caps:
        for book in [*(kill.book for kill in known.kills), known.book]:
            for row in book.spent:
                if row["scope"] == cap.scope and row[cap.measure] > cap.limit:
                    purse = f"{row['scope']} {row['key']} {row['day']}"
                    yield f"{purse}: {row[cap.measure]} {cap.measure} of {cap.limit}"


@rule
def settled(known: Known) -> Iterator[str]:
    """A reservation still open when its turn is over, or settled below the bill."""
    for row in known.book.usage:
        run = known.book.run(row["run_id"])
        if run is not None and run["state"] == "ended" and row["settled_at"] is None:
            yield f"{row['run_id']}: call {row['attempt']} was never settled"
    billed, booked = Counter(), Counter()
    keys = {row["marker"]: row["key"] for row in known.book.inbox}
    for call in known.calls:
        if call.marker in keys and call.billed is not None:
            billed[keys[call.marker]] += sum(call.billed)
    for row in known.book.usage:
        booked[row["key"]] += _used(row)[0]
    for key, tokens in billed.items():
        if tokens > booked[key]:
            yield f"{key}: {tokens} tokens billed, {booked[key]} in the ledger"


@rule
def bounds(known: Known) -> Iterator[str]:
    """A call that used more than was reserved for it."""
    for row in known.book.usage:
        over = row["settled_at"] is not None and not row["estimated"]
        if (
            over
            and row["input"] + row["output"] > row["bound_input"] + row["bound_output"]
        ):
            yield (
                f"{row['run_id']}: call {row['attempt']} used {row['input']}+"
                f"{row['output']}, reserved {row['bound_input']}+{row['bound_output']}"
            )


@rule
def not_again(known: Known) -> Iterator[str]:
    """More calls of the model without an answer than there were kills to cut them."""
    for run in known.book.runs:
        asked = known.book.of_run(run["run_id"], "asked")
        over = known.book.of_run(
            run["run_id"], "answered", "attempt-failed", "compacted"
        )
        done = {event["body"].get("attempt") for event in over}
        summaries = sum(event["kind"] == "compacted" for event in over)
        cut = 0
        for event in asked:
            if event["body"].get("purpose") == "summary":
                summaries -= 1
                cut += summaries < 0
            elif event["body"]["attempt"] not in done:
                cut += 1
        cut -= run["outcome"] in ("aborted", "quarantined") and cut > 0
        if cut > len(known.kills):
            yield f"{run['run_id']}: {cut} calls without an answer, fewer kills"
        answers = [e["body"]["attempt"] for e in over if e["kind"] == "answered"]
        if len(answers) != len(set(answers)):
            yield f"{run['run_id']}: one call was answered twice"


@rule
def not_after(known: Known) -> Iterator[str]:
    """A model was asked about a turn that was over."""
    over: dict[str, float] = {}
    for sent in known.sent.values():
        if sent.finished is not None:
            over[sent.marker] = sent.finished
    for kill in known.kills:
        owners = {row["run_id"]: row["marker"] for row in kill.book.inbox}
        for run in kill.book.runs:
            marker = owners.get(run["run_id"])
            if marker and run["state"] == "ended":
                over[marker] = min(kill.at, over.get(marker, kill.at))
    for call in known.calls:
        # A summary is about those that are over.
        if not call.summary and call.at > over.get(call.marker, call.at):
            yield f"{call.marker}: asked again when it was over"


def _own(book: Book, run: Row) -> str | None:
    return next(
        (row["marker"] for row in book.inbox if row["run_id"] == run["run_id"]), None
    )


# --- context, persons, joins


@rule
def summed_once(known: Known) -> Iterator[str]:
    """A summary that covers what another one covers, or what is not there."""
    for session in known.book.sessions:
        covered = 0
        for event in known.book.journal(session["key"]):
            if event["kind"] != "compacted":
                continue
            first, last = event["body"]["first"], event["body"]["last"]
            if first != covered + 1 or not first <= last < event["seq"]:
                yield (
                    f"{session['key']}: events {first} to {last} were summed up in "
                    f"event {event['seq']}, up to {covered} before"
                )
            covered = max(covered, last)


@rule
def prompted(known: Known) -> Iterator[str]:
    """A prompt that leaves a message out, doubles one, or has them in another order."""
    place = {
        marker: said_
        for session in known.book.sessions
        for marker, said_ in _conversation(known.book.journal(session["key"]))
    }
    for call in known.calls:
        if call.summary:
            continue
        if call.marker not in place:
            yield f"{call.marker}: asked, but in no transcript"
            continue
        said_ = place[call.marker]
        texts = [_text(m) for m in call.messages if m["role"] == "user"]
        markers = [mark(text) for text in texts if mark(text)]
        left_out = len(said_) - len(markers)
        summed = any(not mark(text) for text in texts)
        if markers != said_[max(0, left_out) :] or (left_out > 0 and not summed):
            yield f"{call.marker}: the prompt had {markers}, its session {said_}"


def _conversation(journal: Iterable[Row]) -> Iterator[tuple[str, list[str]]]:
    """Each message of a person, and what of its conversation counts up to it."""
    counts: list[str] = []
    at: dict[int, list[str]] = {0: []}
    for event in journal:
        kind, body = event["kind"], event["body"]
        if kind == "session-reset":
            counts = []
        elif kind == "rewound":
            counts = at[body["to"]]
        elif kind in ("inbound", "forked"):
            for message in body.get("messages", ()):
                if message["role"] == "user":
                    counts = [*counts, mark(said(message))]
                    if kind == "inbound":
                        yield counts[-1], counts
        at[event["seq"]] = counts


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)


@rule
def first_answer(known: Known) -> Iterator[str]:
    """A person's answer that counted and does not stand, or two that did."""
    rows = {row["wait_id"]: row for row in known.book.waits}
    counting = Counter(v.wait_id for v in known.verdicts if v.counts)
    for verdict in known.verdicts:
        row = rows.get(verdict.wait_id)
        if not verdict.counts:
            continue
        if row is None:
            yield f"{verdict.wait_id}: an answer counted, and the question is gone"
        elif (row["verdict"], row["by"]) != (verdict.verdict, verdict.by):
            yield f"{verdict.wait_id}: {verdict.by} counted, {row['by']} stands"
    yield from (
        f"{w}: {count} answers counted" for w, count in counting.items() if count > 1
    )


@rule
def obeyed(known: Known) -> Iterator[str]:
    """A question that never closed, or a call that ran against its answer."""
    over = defaultdict(list)
    for event in known.book.of_kind("wait-over"):
        over[event["body"]["wait_id"]].append(event)
    begun = {
        (event["key"], event["body"]["call_id"]): event
        for event in known.book.of_kind("tool-begun")
    }
    asked = {e["body"]["wait_id"]: e for e in known.book.of_kind("wait-begun")}
    for row in known.book.waits:
        wait_id, run = row["wait_id"], known.book.run(row["run_id"])
        ended = run is not None and run["state"] == "ended"
        ends, question = over[wait_id], asked.get(wait_id)
        if ended and row["closed_at"] is None:
            yield f"{wait_id}: its turn is over, and it is open"
        if len(ends) > 1:
            yield f"{wait_id}: answered {len(ends)} times in the journal"
        if question is None:
            yield f"{wait_id}: asked, and not in the journal"
            continue
        if ends and row["verdict"] not in (None, ends[0]["body"]["verdict"]):
            yield f"{wait_id}: the journal says {ends[0]['body']['verdict']}"
        done = begun.get((question["key"], question["body"]["call_id"]))
        allowed = ends and ends[0]["body"]["verdict"] == "allow"
        if done is not None and (not allowed or done["seq"] < ends[0]["seq"]):
            yield f"{wait_id}: carried out without leave"


@rule
def joined(known: Known) -> Iterator[str]:
    """A message that joined a turn which does not hold it."""
    for run in known.book.runs:
        if (run["state"] == "joined") != (run["joined"] is not None):
            yield f"{run['run_id']}: {run['state']}, and joined {run['joined']}"
        if run["joined"] is None:
            continue
        into = known.book.run(run["joined"])
        marker = _own(known.book, run)
        if into is None or into["key"] != run["key"] or into["opened_at"] is None:
            yield f"{marker}: joined {run['joined']}, which is no turn of its session"
            continue
        turn = known.book.of_run(into["run_id"])
        (first, last) = (turn[0]["seq"], turn[-1]["seq"]) if turn else (0, 0)
        taken = [
            event["seq"]
            for event in known.book.journal(run["key"])
            if event["kind"] == "inbound"
            and any(mark(said(m)) == marker for m in event["body"]["messages"])
        ]
        # Those that a turn begins with stand right before its first event.
        kinds = {
            event["seq"]: event["kind"] for event in known.book.journal(run["key"])
        }
        while kinds.get(first - 1) == "inbound":
            first -= 1
        if not any(first <= seq <= last for seq in taken):
            yield f"{marker}: joined {into['run_id']}, and is not in it"


# --- sub-agents


@rule
def family(known: Known) -> Iterator[str]:
    """A sub-agent that nobody asked for, or that is left over; or a call with two."""
    book = known.book
    begun = {(e["run_id"], e["body"]["call_id"]) for e in book.of_kind("tool-begun")}
    for child in book.children:
        run_id, mode = child["run_id"], child["mode"]
        run, parent = book.run(run_id), book.run(child["parent_run"])
        if (child["parent_run"], child["call_id"]) not in begun:
            yield f"{run_id}: works for a call that was never begun"
        if run is None or parent is None or parent["state"] != "ended":
            continue
        if run["state"] != "ended" and mode == "wait":
            yield f"{run_id}: left over, {run['state']}"
        if run["state"] == "ended" and child["state"] != "closed":
            yield f"{run_id}: over, and {child['state']}"
    of_call = Counter((c["parent_run"], c["call_id"]) for c in book.children)
    yield from (f"{call}: {n} sub-agents" for call, n in of_call.items() if n > 1)
    children = {child["run_id"] for child in book.children}
    for row in book.inbox:
        announced = row["run_id"].removesuffix(":announced")
        if row["source"] == "agent" and announced not in children:
            yield f"{row['marker']}: from an agent, and no turn works for one"


@rule
def results_come(known: Known) -> Iterator[str]:
    """A sub-agent whose result is another one for who waits, or comes not once."""
    book = known.book
    given = {
        (event["run_id"], event["body"]["result"]["id"]): event["body"]
        for event in book.of_kind("tool-ended")
    }
    said_ = Counter(
        row["external_id"] for row in book.inbox if row["source"] == "agent"
    )
    for child in book.children:
        run_id, call = child["run_id"], (child["parent_run"], child["call_id"])
        run = book.run(run_id)
        if run is None or run["outcome"] != "ok":
            continue
        result = given.get(call)
        if child["mode"] == "wait" and result is not None and result["outcome"] == "ok":
            told_ = result["result"]["text"]
            if run["text"] not in told_:
                yield f"{run_id}: said {run['text']!r}, told was {told_!r}"
        if child["mode"] == "announce" and said_[run_id] != 1:
            yield f"{run_id}: announced {said_[run_id]} times"


def effects_of(lines: bytes) -> list[Effect]:
    """What the world of the tools wrote down."""
    rows = map(orjson.loads, lines.splitlines())
    return [
        Effect(tool=row["tool"], key=row["key"], text=row["arguments"].get("text", ""))
        for row in rows
    ]
