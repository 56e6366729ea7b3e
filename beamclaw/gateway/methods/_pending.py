"""Messages that wait for their turn, and what became of those that a client has sent.

``pendingInputs`` and ``inputReceipts`` of ``chat.history``: a message in the inbox stands in
no conversation yet, and who comes back after a break wants to know which of theirs do. Pure.
"""

from collections.abc import Collection, Iterable, Sequence
from itertools import takewhile
from typing import Any, Final

from beamclaw.contracts import journal
from beamclaw.contracts.codec import decode
from beamclaw.contracts.journal import InboundTaken
from beamclaw.contracts.ledger_inbox import InboxRow
from beamclaw.contracts.ledger_rows import Event
from beamclaw.contracts.sessions import Inbound
from beamclaw.gateway.events.messages import USER, Shown, cut, said
from beamclaw.values import frozen

MOST: Final = 20
"""Messages of one answer; OpenClaw's number."""
MAX_CHARS: Final = 32_768
"""Characters of all of them; what is longer is cut."""


@frozen
class Waiting:
    """The inbox of a session when its journal had come to *seq*.

    *cancelled*: runs of it that may not begin any more.
    """

    inbox: tuple[InboxRow, ...] = ()
    cancelled: Collection[str] = ()
    seq: int = 0

    def without(self, events: Sequence[Event]) -> "Waiting":
        """Those that *events*, read later, have not: a message stands at one place."""
        newer = takewhile(lambda event: event.seq > self.seq, reversed(events))
        bodies = (journal.read(event) for event in newer if event.kind == "inbound")
        taken = {body.inbox_id for body in bodies if isinstance(body, InboundTaken)}
        left = tuple(row for row in self.inbox if row.id not in taken)
        return Waiting(left, self.cancelled, self.seq)


def page(
    waiting: Waiting, *, before: int | None, limit: int, max_chars: int
) -> dict[str, Any]:
    """The last of them that came before the one with the id *before*, in order."""
    found = [
        (row, message)
        for row in waiting.inbox
        for message in [_shown(row)]
        if message is not None
    ]
    older = [each for each in found if before is None or each[0].id < before]
    items = older[-min(limit, MOST) :]
    most = min(max_chars, MAX_CHARS // max(1, len(items)))
    more = len(items) < len(older)
    return {
        "items": [
            {
                "id": f"{row.id}",
                "runId": row.run_id,
                "message": message,
                "acceptedAt": message["timestamp"],
                "state": "cancelled" if row.run_id in waiting.cancelled else "queued",
            }
            for (row, _), message in zip(
                items, cut([message for _, message in items], most), strict=True
            )
        ],
        "total": len(found),
        **({"nextBefore": items[0][0].id} if more else {}),
    }


def _shown(row: InboxRow) -> Shown | None:
    """What a person has said, as it will be shown; None: nobody has said anything."""
    rows = said(decode(row.body, Inbound).messages)
    if not rows:
        return None
    timestamp = round(row.at * 1000)
    return rows[-1] | {
        "timestamp": timestamp,
        "__openclaw": {"id": f"pending:{row.id}"},
    }


def receipts(
    waiting: Waiting, rows: Iterable[Shown], runs: Collection[str]
) -> dict[str, Any]:
    """Which of the messages under *runs* wait, and by which of *rows* others are there."""
    once = dict.fromkeys(runs)
    pending = {row.run_id for row in waiting.inbox}
    taken = {
        row["idempotencyKey"].removesuffix(USER): row["__openclaw"]["id"]
        for row in rows
        if "idempotencyKey" in row
    }
    consumed = [
        {"runId": run, "consumedByEventId": taken[run]} for run in once if run in taken
    ]
    states = [{**each, "state": "consumed"} for each in consumed]
    states += [{"runId": run, "state": "pending"} for run in once if run in pending]
    return {"inputReceipts": states, "inputConsumptions": consumed}
