"""P5: reserved before it is spent, settled, capped, and nothing asked again."""

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterator

from tests.audit.book import Row
from tests.audit.known import Call, Known, rule


@rule
def reserved(known: Known) -> Iterator[str]:
    """A call of the model without its reservation before it."""
    rows = {(row["run_id"], row["attempt"]) for row in known.book.usage}
    for event in known.book.of_kind("asked"):
        if (event["run_id"], event["body"]["attempt"]) not in rows:
            yield f"{event['run_id']}: call {event['body']['attempt']} was not reserved"
    lives = [*(kill.book for kill in known.kills), known.book]
    for life, book in enumerate(lives, 1):
        # By session: a summary is asked for by a turn that is not in its prompt.
        made, asked = Counter(), Counter()
        keys = {row["marker"]: row["key"] for row in book.inbox}
        for call in known.calls:
            if known.life_of(call) > life or known.is_deleted(book, call.marker):
                continue
            # What is summed up may begin with what became of a command or a sub-agent.
            key = keys.get(call.marker) or keys.get(f"re:{call.marker}")
            if key is None:
                yield f"{call.marker}: asked, and in no ledger"
            else:
                made[key] += 1
        asked.update(row["key"] for row in book.usage)
        for key, count in made.items():
            if count > asked[key]:
                yield f"{key}: {count} calls made, {asked[key]} reserved"


@rule
def sums(known: Known) -> Iterator[str]:
    """A purse that does not hold what stands in the single rows."""
    expected: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    # A conversation that begins anew has a new purse.
    resets = {e["key"]: e["id"] for e in known.book.of_kind("session-reset")}
    begun = {e["run_id"]: e["id"] for e in known.book.of_kind("run-started")}
    now = {row["session_id"]: row["key"] for row in known.book.sessions}
    for row in known.book.usage:
        used = _used(row)
        root = now.get(row["root_id"])
        paid = [] if root is None else [("session", root, "")]
        for purse in (*_purses(row), *paid):
            began = begun.get(row["run_id"], 0)
            own = purse[0] == "session" and purse[1] == row["key"]
            if own and began < resets.get(row["key"], 0):
                continue
            expected[purse] = [
                a + b for a, b in zip(expected[purse], used, strict=True)
            ]
    for row in known.book.sums:
        used = (row["input"] + row["output"], row["cost"], row["calls"])
        for purse in (("tenant", "", row["day"]), ("agent", row["agent"], row["day"])):
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
    nothing = [0, 0, 0]
    erased = any(":subagent:" in key for key in known.book.deleted)
    for purse in expected.keys() | found.keys():
        rows, held = expected.get(purse, nothing), found.get(purse, nothing)
        if purse[0] == "session" and erased:
            # What a sub-agent has spent stays its root's when its own rows go.
            held = [min(pair) for pair in zip(rows, held, strict=True)]
        if rows != held:
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
    if row["key"]:  # else it was deleted, and its purse with it
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
def by_root(known: Known) -> Iterator[str]:
    """A sub-agent's call that its root has not paid, or more of them than a cap allows.

    What was asked and billed is by the word of providers, whose it was by the messages
    and by who has spawned whom: no purse is looked at.
    """
    book, roots = known.book, known.book.roots()
    for row in book.usage:
        if row["key"] in roots and row["root_id"] is None:
            yield f"{row['run_id']}: call {row['attempt']} was not paid by its root"
    resets = {e["key"]: e["id"] for e in book.of_kind("session-reset")}
    begun = {e["run_id"]: e["id"] for e in book.of_kind("run-started")}
    keys = {row["marker"]: row["key"] for row in book.inbox}
    spent = defaultdict[str, Counter[str]](Counter)
    for call in known.calls:
        marker = call.marker if call.marker in keys else f"re:{call.marker}"
        run = book.run_of(marker)
        if run is None:
            continue  # its conversation was deleted
        key = keys[marker]
        root = roots[key]["key"] if key in roots else key
        # Of a conversation that began anew only what was begun after that.
        if begun.get(run["run_id"], 0) > resets.get(root, 0):
            spent[root].update(calls=1, tokens=sum(call.billed or ()))
    for cap in known.caps:
        for key, sums in spent.items() if cap.scope == "session" else ():
            if sums[cap.measure] > cap.limit:
                yield f"{key}: {sums[cap.measure]} {cap.measure} of {cap.limit}"


@rule
def worked(known: Known) -> Iterator[str]:
    """Time of turns that does not add up, or is reserved for one that is over."""
    for book in [*(kill.book for kill in known.kills), known.book]:
        for row in book.work:
            run = book.run(row["run_id"])
            if run is None or run["state"] != "running":
                yield f"{row['run_id']}: time is reserved, and it is over"
        days: dict[str, Counter[str]] = defaultdict(Counter)
        for row in book.spent:
            days[row["day"]][row["scope"]] += row["ms"]
        for day, ms in days.items():
            if day and ms["tenant"] != ms["agent"]:
                yield f"{day}: {ms['tenant']} ms of all, {ms['agent']} of its agents"


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
        if cut > len(known.kills) + (known.cuts or 0):
            yield f"{run['run_id']}: {cut} calls without an answer, fewer kills"
        answers = [e["body"]["attempt"] for e in over if e["kind"] == "answered"]
        if len(answers) != len(set(answers)):
            yield f"{run['run_id']}: one call was answered twice"


@rule
def not_after(known: Known) -> Iterator[str]:
    """A model was asked about a turn that was over.

    Who has asked is known by the life of the node, whenever it was read. Within one life
    it is the order in which client and provider have read; only what was under way when
    a turn was cut may be read after the client has read that it is.
    """
    over = _over(known)
    late = set[str]()
    for call in known.calls:
        # A summary is about those that are over.
        if call.summary or call.marker not in over:
            continue
        life, at = over[call.marker]
        if known.life_of(call) > life:
            yield f"{call.marker}: asked again in a later life when it was over"
        elif known.life_of(call) == life and call.at > at:
            if call.marker in late or not _may_be_read_late(known, call):
                yield f"{call.marker}: asked again when it was over"
            late.add(call.marker)


def _may_be_read_late(known: Known, call: Call) -> bool:
    """Whether it was asked before the end that was read before it."""
    run = known.book.run_of(call.marker)
    # By a limit, if that was the time in which the turn had to be over.
    cuts = "aborted", "limited"
    return call.life is not None and run is not None and run["outcome"] in cuts


def _over(known: Known) -> dict[str, tuple[int, float]]:
    """When turns were over, as far as anybody knows: the node's life, and when in it."""
    over: dict[str, tuple[int, float]] = {}
    for sent in known.sent.values():
        if sent.finished is not None:
            over[sent.marker] = known.life_at(sent.finished), sent.finished
    for life, kill in enumerate(known.kills, 1):
        owners = {row["run_id"]: row["marker"] for row in kill.book.inbox}
        for run in kill.book.runs:
            marker = owners.get(run["run_id"])
            if marker and run["state"] == "ended":
                # When it ended in this life only a client can know.
                end = life, float("inf")
                over[marker] = min(end, over.get(marker, end))
    return over
