"""Who wants vectors, who makes them, and the sites that pages are fetched from."""

import random

import attrs
import orjson
import pytest
import trio
from trio.testing import MockClock

from beamclaw.contracts.outside import Outside
from beamclaw.web.dialing import Internet
from beamclaw.web.fetching import Way, fetch
from beamclaw.web.targets import Policy, Target, target
from tests.audit.known import Wanted
from tests.simulation.indexers import Indexers
from tests.simulation.network import NODE, Network, Socket
from tests.simulation.plan import Texts
from tests.simulation.server import HOSTS
from tests.simulation.sites import SITES, Sites, serving_sites
from tests.simulation.trace import Trace
from tests.simulation.vectors import VectorCall, Vectors, vectors_in
from tests.simulation.world import play

ABROAD = 603  # a seed with deaths, pages that are fetched, and vectors


def network(trouble: float = 0.0) -> Network:
    made = Network(random.Random(1), Trace(), trouble, HOSTS, SITES)
    made.enable()
    return made


async def follow(to: Target) -> None:
    await trio.lowlevel.checkpoint()


# --- sites


async def test_a_page_says_for_which_call_it_is(autojump_clock: MockClock):
    network()
    sites = Sites(Trace())
    async with serving_sites(sites):
        at = target("http://page.example/to/other.example/page/p0.1", Policy())
        page = await fetch(at, Way(dialer=Internet(Outside())), follow)

    first, second = sites.served
    assert (first.status, first.url) == (302, at.url)
    assert (second.url, second.place) == ("http://other.example/page/p0.1", "p0.1")
    assert second.words.encode() in page.body
    assert "p0.1" in second.words


async def test_a_name_may_lead_inside_for_who_looks_it_up_again(
    autojump_clock: MockClock,
):
    made = network()
    dialer = Internet(Outside())

    found = [await dialer.resolve("turns.example", 80) for _ in range(3)]

    assert found == [["93.184.216.34"], ["10.0.0.77"], ["93.184.216.34"]]
    assert made.missed == made.failed == 0


async def test_who_connects_to_a_site_is_written_down_also_where_nobody_listens(
    autojump_clock: MockClock,
):
    made = network()

    with pytest.raises(ConnectionRefusedError):
        await Socket(made).connect(("10.0.0.77", 80))

    assert made.reached == ["10.0.0.77"]
    assert (made.missed, made.failed, made.lost) == (1, 0, 0)


# --- vectors


async def answered(form: str, *, trouble: float = 0.0) -> tuple[VectorCall, bytes]:
    vectors = Vectors(Trace(), random.Random(4), trouble, lambda _: None)
    call = vectors.begin(["<<v.0>> first", "<<v.0>> second", "<<v.0>> third"], 0.0)
    return call, await vectors.answer(call, form)


@pytest.mark.parametrize("form", ["float", "base64"])
async def test_vectors_are_the_same_in_each_form(form: str, autojump_clock: MockClock):
    call, answer = await answered(form)

    data = sorted(orjson.loads(answer)["data"], key=lambda each: each["index"])

    assert vectors_in(data) == call.vectors
    assert len(set(call.vectors)) == len(call.texts)


# --- who wants them


TEXTS = Texts(marker="v0.0", sizes=(20,), pause=0.0, base64=False)


async def wanted(*, leaves: float | None = None, breaks: bool = False) -> Wanted:
    """What comes of a request that is taken, and not answered."""
    made = network()
    door = Socket(made)
    door.listen_at(NODE)
    indexers = Indexers(made, Trace(), random.Random(1), "token")
    texts = TEXTS if leaves is None else attrs.evolve(TEXTS, leaves=leaves)

    async def take() -> None:
        taken.append(await door.accept())
        if breaks:
            taken[0][0].aborts = True
            taken[0][0].close()

    taken: list[tuple[Socket, object]] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(take)
        one = Wanted(marker="v0.0.0")
        await indexers._ask(texts, one)
    return one


async def test_who_is_never_answered_on_a_line_that_works_has_no_end(
    autojump_clock: MockClock,
):
    assert (await wanted()).ends == 0


async def test_who_is_cut_off_knows_that_the_network_did_it(autojump_clock: MockClock):
    found = await wanted(breaks=True)
    assert (found.cut, found.broken) == (True, True)


async def test_who_leaves_wants_no_answer(autojump_clock: MockClock):
    found = await wanted(leaves=1.0)
    assert (found.left, found.ends) == (True, 1)


@pytest.mark.slow
def test_a_world_with_pages_and_vectors_keeps_its_promises():
    outcome = play(ABROAD)
    assert not outcome.violations
    assert outcome.figures["pages asked for"]
    assert outcome.figures["calls for vectors"]
    assert outcome.figures["deaths of the node"]
