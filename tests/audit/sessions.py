"""What is done to whole sessions: begun anew, rewound, forked."""

from collections.abc import Iterator

from tests.audit.book import Book, mark, said
from tests.audit.context import conversation
from tests.audit.known import Done, Known, rule


@rule
def begins_anew(known: Known) -> Iterator[str]:
    """A message that was to begin a new conversation, and a prompt with what was before."""
    places = {row["marker"]: row["id"] for row in known.book.inbox}
    for sent in known.sent.values():
        if not sent.fresh or sent.marker not in places:
            continue
        for call in known.calls:
            markers = [mark(str(m.get("content"))) for m in call.messages]
            before = [m for m in markers if places.get(m, 0) < places[sent.marker]]
            if sent.marker in markers and any(before):
                yield f"{sent.marker}: begins anew, and the model was told {before}"


@rule
def done(known: Known) -> Iterator[str]:
    """Somebody was told that a session is rewound or forked, and it is not."""
    for order in known.orders:
        # Asked for twice with nothing said in between, it is done once.
        if order.verb == "rewind" and not any(_is_rewound(known.book, order)):
            yield f"{order.session}: rewound to {order.to}, which is not in there"
        keys = {session["key"] for session in known.book.sessions}
        if order.verb == "fork" and order.fork not in keys:
            yield f"{order.fork}: forked from {order.session}, and not there"


def _is_rewound(book: Book, order: Done) -> Iterator[bool]:
    for event in book.of_kind("rewound"):
        yield event["key"] == order.session and event["body"]["to"] == order.to


@rule
def forked(known: Known) -> Iterator[str]:
    """A fork that begins with something else than its source had come to."""
    there = {session["key"] for session in known.book.sessions}
    for event in known.book.of_kind("forked"):
        source = event["body"]["source"]
        if source not in there:
            continue
        at = conversation(known.book.journal(source))
        users = [m for m in event["body"].get("messages", ()) if m["role"] == "user"]
        marks = [found for m in users if (found := mark(said(m)))]
        whole = at.get(event["body"]["seq"], [])
        # What is summed up stands in one message, and that is none of a person.
        summed = len(marks) < len(users)
        end = whole[len(whole) - len(marks) :]
        if marks != end or (len(marks) < len(whole) and not summed):
            yield f"{event['key']}: begins with {marks}, {source} had {whole}"


@rule
def shortened(known: Known) -> Iterator[str]:
    """A conversation that a client has had made shorter, and something was answered."""
    for run in known.book.runs:
        id_ = run["run_id"]
        if not known.book.is_shortening(id_):
            continue
        asked = known.book.of_run(id_, "asked")
        if any(event["body"].get("purpose") != "summary" for event in asked):
            yield f"{id_}: an answer was asked for"
        if known.book.of_run(id_, "answered"):
            yield f"{id_}: an answer was given"
        if len(known.book.of_run(id_, "compacted")) > 1:
            yield f"{id_}: it was made shorter twice"
