"""What is read of journals to know what conversations know: each event once."""

import attrs
import pytest
import trio

import supervision
from beamclaw.contracts.journal import Rewound, RunOver, SessionReset, event
from beamclaw.contracts.ledger_reads import ReadJournal
from beamclaw.web import conversations
from beamclaw.web.conversations import Conversations
from beamclaw.web.known import NOTHING, Rules
from beamclaw.web.targets import Policy, target
from tests.beamclaw.web.test_known import LONG, begun, ended, inbound, wanted
from tests.support.journals import stored

RULES = Rules(Policy(), "web_fetch", 20)
OVER = RunOver(stop_reason="stop", outcome="ok")


class Ledger(supervision.Server):
    """Counts the events that it has given."""

    def __init__(self):
        self.journals = {}
        self.given = []

    async def handle_call(self, request, sender):
        assert isinstance(request, ReadJournal)
        events = self.journals.get(request.session_key, [])[request.after_seq :]
        self.given.append(len(events))
        return tuple(events)

    def write(self, *bodies, key="main", parent=None, at=1.0):
        journal = self.journals.setdefault(key, [])
        for body in bodies:
            new = attrs.evolve(event(body, at=at), parent=parent)
            journal.append(stored(new, len(journal) + 1))


@pytest.fixture
async def ledger():
    server = Ledger()
    spec = supervision.ChildSpec("ledger", lambda: server, name="ledger")
    async with supervision.open_supervisor([spec]):
        yield server


@pytest.fixture
def known():
    return Conversations("ledger", RULES)


async def admits(known, url="https://page.example/", key="main", call_id="now"):
    found = await known.known(key)
    return found.admits(target(url, Policy()), RULES, call_id)


async def test_what_was_read_is_not_read_again(ledger, known):
    ledger.write(*[inbound("hello")] * 998, inbound("see page.example"), OVER)
    assert await admits(known)
    assert await admits(known)
    assert not await admits(known, "https://other.example/")
    ledger.write(inbound("and other.example"), OVER)
    assert await admits(known, "https://other.example/")
    assert await admits(known)
    # The last one that is known comes along each time: to see that it is still the same.
    assert ledger.given == [1000, 1, 1, 3, 1]


async def test_a_call_counts_for_the_ones_behind_it_and_not_for_itself(ledger, known):
    ledger.write(inbound("hello"), wanted("https://page.example/", "a"), begun("a"))
    assert not await admits(known, call_id="a")
    assert await admits(known, call_id="b")
    ledger.write(wanted("https://page.example/", "b"), begun("b"))
    for id_ in "abc":
        assert await admits(known, call_id=id_)


async def test_a_url_that_comes_later_is_known(ledger, known):
    url = f"https://page.example/?{LONG}"
    ledger.write(inbound("see page.example"))
    assert not await admits(known, url)
    ledger.write(ended(f"look at {url}"))
    assert await admits(known, url)


async def test_a_new_conversation_knows_nothing(ledger, known):
    ledger.write(inbound("see page.example"), OVER)
    assert await admits(known)
    ledger.write(SessionReset(reason="new", session_id="s"))
    assert not await admits(known)
    assert ledger.given == [2, 2]


async def test_one_that_goes_back_is_read_anew(ledger, known):
    ledger.write(inbound("hello"), OVER, inbound("see page.example"), OVER)
    assert await admits(known)
    ledger.write(Rewound(to=2), parent=2)
    assert not await admits(known)
    ledger.write(inbound("see page.example"))
    assert await admits(known)
    assert ledger.given == [4, 2, 5, 2]


@pytest.mark.parametrize("length", [1, 2, 3])
async def test_another_session_of_the_same_name_knows_nothing_of_it(
    ledger, known, length
):
    ledger.write(inbound("see page.example"), OVER)
    assert await admits(known)
    ledger.journals.clear()
    ledger.write(*[OVER] * length, at=2.0)
    assert not await admits(known)


async def test_a_session_that_is_gone_knows_nothing(ledger, known):
    ledger.write(inbound("see page.example"), OVER)
    assert await admits(known)
    ledger.journals.clear()
    assert await known.known("main") is NOTHING


async def test_two_calls_at_once_know_the_same(ledger, known):
    ledger.write(*[inbound("hello")] * 300, inbound("see page.example"))
    found = []

    async def ask():
        found.append(await admits(known))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        nursery.start_soon(ask)
    assert found == [True, True]


@pytest.mark.parametrize(
    "limit, expected",
    [("MOST_CONVERSATIONS", [2, 6, 6]), ("MOST_FACTS", [6, 6, 6])],
)
async def test_so_much_is_kept(ledger, known, limit, expected, monkeypatch):
    monkeypatch.setattr(conversations, limit, 2)
    for key in "abc":
        ledger.write(*[inbound("see page.example")] * 5, key=key)
        assert await admits(known, key=key)
    ledger.write(inbound("see x.example, y.example and z.example"), key="d")
    assert await admits(known, "https://z.example/", key="d")
    ledger.given.clear()
    for key in "cba":
        ledger.write(OVER, key=key)
        assert await admits(known, key=key)
    assert ledger.given == expected
