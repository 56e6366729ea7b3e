"""What the model was shown, what persons decided, and who joined whom."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tests.audit.book import Book, Row, mark, said
from tests.audit.known import Known, rule


def _own(book: Book, run: Row) -> str | None:
    return next(
        (row["marker"] for row in book.inbox if row["run_id"] == run["run_id"]), None
    )


@rule
def summed_once(known: Known) -> Iterator[str]:
    """A summary that covers what another one covers, or what is not there."""
    for session in known.book.sessions:
        covered, behind = 0, {0: 0}
        for event in known.book.journal(session["key"]):
            seq, kind, body = event["seq"], event["kind"], event["body"]
            if event.get("parent") is not None:  # the conversation has gone back there
                covered = behind[event["parent"]]
            if kind == "session-reset":
                covered = seq
            elif kind == "forked":
                covered = body.get("covered", 0) + seq - body["seq"]
            elif kind == "compacted":
                first, last = body["first"], body["last"]
                if first != covered + 1 or not first <= last < seq:
                    yield (
                        f"{session['key']}: events {first} to {last} were summed up in "
                        f"event {seq}, up to {covered} before"
                    )
                covered = max(covered, last)
            behind[seq] = covered


@rule
def prompted(known: Known) -> Iterator[str]:
    """A prompt that leaves a message out, doubles one, or has them in another order."""
    place = {
        marker: said_
        for session in known.book.sessions
        for marker, said_ in _conversation(known.book.journal(session["key"]))
    }
    for call in known.calls:
        if call.summary or known.is_deleted(known.book, call.marker):
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


def conversation(journal: Iterable[Row]) -> dict[int, list[str]]:
    """What of a session's conversation counts behind each of its events."""
    at: dict[int, list[str]] = {}
    for _ in _conversation(journal, at):
        pass
    return at


def _conversation(
    journal: Iterable[Row], at: dict[int, list[str]] | None = None
) -> Iterator[tuple[str, list[str]]]:
    """Each message of a person, and what of its conversation counts up to it."""
    counts: list[str] = []
    at = {} if at is None else at
    at[0] = []
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
    tried = {(verdict.wait_id, verdict.verdict) for verdict in known.verdicts}
    for wait_id, row in rows.items():
        if row["verdict"] not in (None, "expired") and (
            (wait_id, row["verdict"]) not in tried
        ):
            yield f"{wait_id}: {row['verdict']} stands, and nobody said so"
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
        (event["run_id"], event["body"]["call_id"]): event
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
        done = begun.get((question["run_id"], question["body"]["call_id"]))
        allowed = ends and ends[0]["body"]["verdict"] == "allow"
        if done is not None and (not allowed or done["seq"] < ends[0]["seq"]):
            yield f"{wait_id}: carried out without leave"


@rule
def asked_alike(known: Known) -> Iterator[str]:
    """A message that is answered by a turn which was asked for something else."""
    came = {row["run_id"]: row for row in known.book.inbox}
    for run in known.book.runs:
        message, first = came.get(run["run_id"]), came.get(run["joined"])
        # What a sub-agent or a command has come to is heard in any turn.
        if message is None or first is None or message["body"].get("hops"):
            continue
        for what in _ASKED:
            here, there = (row["body"].get(what) for row in (message, first))
            if here != there:
                yield f"{_own(known.book, run)}: wants {what} {here}, got {there}"


# What a message asks of its turn, as it came in; a field that is not there asks nothing.
_ASKED = (
    "source",
    "account",
    "conversation",
    "reply_to",
    "agent",
    "model",
    "params",
    "retractable",
    "ephemeral",
    "call",
    "compacts",
)


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
