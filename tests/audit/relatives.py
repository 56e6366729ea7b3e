"""Sub-agents: one result each, which comes once, and none is left over."""

from collections import Counter
from collections.abc import Iterator

from tests.audit.known import Known, rule


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
