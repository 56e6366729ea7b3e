"""Sub-agents: one result each, which comes once, and none is left over.

And what one session is told by another, what all who work for a turn may use together,
and who answers in a conversation that was handed over.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from tests.audit.book import Book, Row
from tests.audit.known import Known, rule

# Tools that say something in another session.
LETTERS = ("tell", "sessions_send")
# What a turn does as long as it goes on; the rest is how it is closed.
_WORK = ("asked", "answered", "tool-begun", "compacted")


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
    letters = {event["body"]["key"] for event in _letters(book)}
    for row in book.inbox:
        announced = row["run_id"].removesuffix(":announced")
        known_ = announced in children or row["external_id"] in letters
        if row["source"] == "agent" and not known_:
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
        if said_[run_id] > 1:
            yield f"{run_id}: announced {said_[run_id]} times"
        if run is None or run["outcome"] != "ok":
            continue
        result = given.get(call)
        if child["mode"] == "wait" and result is not None and result["outcome"] == "ok":
            told_ = result["result"]["text"]
            if run["text"] not in told_:
                yield f"{run_id}: said {run['text']!r}, told was {told_!r}"
        if child["mode"] == "announce" and not said_[run_id]:
            yield f"{run_id}: never announced"


def _letters(book: Book) -> Iterator[Row]:
    """The intents of calls that say something in another session."""
    begun = book.of_kind("tool-begun")
    return (event for event in begun if event["body"]["tool"] in LETTERS)


@rule
def letters_come(known: Known) -> Iterator[str]:
    """Said in another session, by the word of who has said it, and not there once."""
    came = Counter(
        row["external_id"] for row in known.book.inbox if row["source"] == "agent"
    )
    for event in _letters(known.book):
        if (times := came[event["body"]["key"]]) != 1:
            yield f"{event['body']['key']}: said once, and it came {times} times"


def _allowances(book: Book) -> Iterator[tuple[str, Row]]:
    """What was carved for a sub-agent's turn, by the journal of who has."""
    for event in book.of_kind("tool-begun"):
        child = event["body"].get("child")
        if child is not None and child.get("allowance"):
            yield child["run_id"], child["allowance"]


def _below(book: Book) -> dict[str, list[str]]:
    """The turns that work for each turn."""
    below = defaultdict[str, list[str]](list)
    for child in book.children:
        if child["kind"] == "spawn":
            below[child["parent_run"]].append(child["run_id"])
    return below


def _all_below(below: dict[str, list[str]], run_id: str) -> list[str]:
    own = [run_id]
    for child in below.get(run_id, ()):
        own += _all_below(below, child)
    return own


@rule
def carved(known: Known) -> Iterator[str]:
    """A turn that used more, with all who work for it, than it was given for that."""
    below = _below(known.book)
    used = defaultdict[str, Counter[str]](Counter)
    for row in known.book.usage:
        measured = row["settled_at"] is not None
        tokens = ("input", "output") if measured else ("bound_input", "bound_output")
        cost = row["cost"] or 0 if measured else row["bound_cost"]
        spent = {"tokens": sum(row[t] for t in tokens), "cost": cost}
        used[row["run_id"]].update(spent)
    for event in known.book.of_kind("answered"):
        used[event["run_id"]]["calls"] += 1  # one that fails is none
    given = dict(_allowances(known.book))
    whole = {cap.measure: cap.limit for cap in known.family if cap.scope == "turn"}
    for run in known.book.runs:
        id_ = run["run_id"]
        limits = {**whole, **_limits(given.get(id_))}
        spent = Counter[str]()
        for each in _all_below(below, id_):
            spent.update(used[each])
        for measure, limit in limits.items():
            if spent[measure] > limit:
                yield f"{id_}: {spent[measure]} {measure}, it was given {limit}"


def _limits(allowance: Row | None) -> dict[str, int]:
    named = {"calls": "model_calls", "tokens": "tokens", "cost": "cost"}
    given = {name: (allowance or {}).get(field) for name, field in named.items()}
    return {name: limit for name, limit in given.items() if limit is not None}


@rule
def few(known: Known) -> Iterator[str]:
    """More sub-agents at work, or further down, than there may be."""
    most = {cap.measure: cap.limit for cap in known.family if cap.scope == "children"}
    for book in [*(kill.book for kill in known.kills), known.book]:
        working = [
            child
            for child in book.children
            if child["kind"] == "spawn" and child["state"] in ("open", "cancelled")
        ]
        of_one = Counter(child["parent_session"] for child in working)
        if len(working) > most.get("tenant", len(working)):
            yield f"{len(working)} sub-agents at work"
        for session, count in of_one.items():
            if count > most.get("session", count):
                yield f"session {session}: {count} sub-agents at work"
    parents = {child["run_id"]: child["parent_run"] for child in known.book.children}
    deep = [c["run_id"] for c in known.book.children if c["kind"] == "spawn"]
    for run_id in deep:
        levels, above = 0, run_id
        while above in parents:
            levels, above = levels + 1, parents[above]
        if levels > most.get("depth", levels):
            yield f"{run_id}: {levels} levels down"


@rule
def stops_go_down(known: Known) -> Iterator[str]:
    """A sub-agent that goes on when the turn it works for was cut short."""
    below = _below(known.book)
    for event in known.book.of_kind("run-over"):
        if event["body"]["outcome"] == "ok":
            continue
        # Those below these are cut short by the ends of these.
        for run_id in below[event["run_id"]]:
            late = [
                later["kind"]
                for later in known.book.of_run(run_id, *_WORK)
                # What was said until then is kept when it is closed.
                if later["id"] > event["id"]
                and later["body"].get("stop_reason") != "aborted"
            ]
            if late:
                yield f"{run_id}: {late} when {event['run_id']} was over"


@rule
def handed_over(known: Known) -> Iterator[str]:
    """A turn that another agent has answered than the one that has the conversation."""
    whose = dict[str, str]()
    for session in known.book.sessions:
        for run_id, agent in _agents(
            session["key"], known.book.journal(session["key"])
        ):
            whose.setdefault(run_id, agent)
    for call in known.calls:
        run = known.book.run_of(call.marker)
        if run is None or not call.agent or call.summary:
            continue
        agent = whose.get(run["run_id"], call.agent)
        if agent and call.agent != agent:
            yield f"{call.marker}: {call.agent} was asked, and it is {agent}'s"
    for row in known.book.usage:
        agent = whose.get(row["run_id"], row["agent"])
        if agent and row["agent"] != agent:
            yield f"{row['run_id']}: {row['agent']} has paid, and it is {agent}'s"


def _agents(key: str, journal: Iterable[Row]) -> Iterator[tuple[str, str]]:
    """Each turn that begins, and which agent has the conversation there."""
    agent = bound = key.split(":")[1] if key.startswith("agent:") else ""
    behind = {0: bound}
    for event in journal:
        kind, body = event["kind"], event["body"]
        if event.get("parent") is not None:  # the conversation has gone back there
            agent = behind[event["parent"]]
        if kind == "handed-over":
            agent = body["agent"]
        elif kind == "forked":
            agent = body.get("agent") or bound
        elif kind == "run-started":
            yield event["run_id"], agent
        behind[event["seq"]] = agent
