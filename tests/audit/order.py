"""The journals: order, numbers, epochs, one turn at a time."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise

from tests.audit.book import Row
from tests.audit.known import Known, rule


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
        # What a sub-agent has to say goes into the turn that waits to hear it.
        ids = [id_ for id_ in ids if came[id_]["source"] != "agent"]
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
