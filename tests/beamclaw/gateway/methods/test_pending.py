"""What is proved: a message is shown where it stands, in the inbox or in the journal."""

from beamclaw.contracts.codec import encode
from beamclaw.contracts.journal import InboundTaken, event
from beamclaw.contracts.ledger_inbox import InboxRow
from beamclaw.contracts.ledger_rows import Event
from beamclaw.contracts.messages import Message, said
from beamclaw.contracts.sessions import Inbound
from beamclaw.gateway.methods._pending import MAX_CHARS, MOST, Waiting, page, receipts

KEY = "agent:main:main"


def row(number: int, *messages: Message) -> InboxRow:
    inbound = Inbound(
        tenant="default",
        source="test",
        account="a",
        conversation="c",
        external_id=f"m{number}",
        session_key=KEY,
        agent="main",
        messages=messages,
        run_id=f"r{number}",
    )
    return InboxRow(
        id=number,
        session_key=KEY,
        run_id=inbound.run_id,
        at=float(number),
        body=encode(inbound),
    )


def spoken(number: int, text: str = "hi") -> InboxRow:
    return row(number, said("user", text))


def shown(waiting: Waiting, *, before: int | None = None, limit: int = 200):
    return page(waiting, before=before, limit=limit, max_chars=500_000)


def test_what_was_taken_between_the_two_looks_stands_in_the_journal_only():
    taken = event(InboundTaken(messages=(said("user", "hi"),), inbox_id=2), at=1.0)
    events = [
        Event(seq=1, kind=taken.kind, version=taken.version, at=1.0, body=taken.body)
    ]
    waiting = Waiting((spoken(2), spoken(3))).without(events)
    assert [each.id for each in waiting.inbox] == [3]


def test_all_are_reached_page_by_page_each_once():
    waiting = Waiting(tuple(spoken(number) for number in range(1, 46)))
    found: list[int] = []
    before = None
    while True:
        part = shown(waiting, before=before)
        assert part["total"] == 45
        assert len(part["items"]) <= MOST
        found[:0] = [int(each["id"]) for each in part["items"]]
        if "nextBefore" not in part:
            break
        before = part["nextBefore"]
    assert found == list(range(1, 46))


def test_one_whose_run_may_not_begin_is_cancelled():
    waiting = Waiting((spoken(1), spoken(2)), cancelled=("r1",))
    states = [each["state"] for each in shown(waiting)["items"]]
    assert states == ["cancelled", "queued"]


def test_an_order_without_words_is_no_message():
    waiting = Waiting((row(1), spoken(2)))
    assert [each["id"] for each in shown(waiting)["items"]] == ["2"]
    assert shown(waiting)["total"] == 1
    # Whoever has sent it knows it by its run.
    states = receipts(waiting, [], ["r1"])["inputReceipts"]
    assert states == [{"runId": "r1", "state": "pending"}]


def test_long_ones_are_cut_so_that_all_fit():
    waiting = Waiting(tuple(spoken(n, "x" * 100_000) for n in range(1, 21)))
    texts = [each["message"]["content"][0]["text"] for each in shown(waiting)["items"]]
    assert len(texts) == MOST
    assert sum(map(len, texts)) <= MAX_CHARS + MOST


def test_one_that_is_named_twice_is_asked_for_once():
    found = receipts(Waiting((spoken(1),)), [], ["r1", "r1"])["inputReceipts"]
    assert len(found) == 1
