"""Rates: what the headers of a provider say, and what may begin by them."""

import pytest

from beamclaw.contracts.providers import Rates
from beamclaw.providers.buckets import Allowance, Bucket
from beamclaw.providers.permit_queue import PermitQueue
from beamclaw.providers.rates import rates

DATE = "Sat, 21 Nov 2026 10:00:00 GMT"


def openai(requests="5", reset="1s", **more):
    return {
        "x-ratelimit-remaining-requests": requests,
        "x-ratelimit-reset-requests": reset,
        **more,
    }


def anthropic(tokens="900", reset="2026-11-21T10:00:30Z", date=DATE):
    return {
        "anthropic-ratelimit-tokens-remaining": tokens,
        "anthropic-ratelimit-tokens-reset": reset,
        "date": date,
    }


# headers -> what they say
TABLE = {
    "nothing": ({}, None),
    "seconds": (openai(), Rates(requests=5, requests_reset=1.0)),
    "minutes": (openai(reset="1m0.5s"), Rates(requests=5, requests_reset=60.5)),
    "milliseconds": (openai(reset="20ms"), Rates(requests=5, requests_reset=0.02)),
    "a plain number": (openai(reset="7"), Rates(requests=5, requests_reset=7.0)),
    "no longer than is bearable": (
        openai(reset="6h"), Rates(requests=5, requests_reset=120.0),
    ),
    "nothing is left": (openai("0"), Rates(requests=0, requests_reset=1.0)),
    "less than nothing is not understood": (openai("-1"), None),
    "a word is not understood": (openai("many"), None),
    "digits of another script are not understood": (openai("٣"), None),
    "a reset that is none": (openai(reset="soon"), None),
    "half a reset": (openai(reset="1s and a bit"), None),
    "a moment, from the answer's own date": (
        anthropic(), Rates(tokens=900, tokens_reset=30.0),
    ),
    "a moment that is over": (
        anthropic(reset="2026-11-21T09:00:00Z"), Rates(tokens=900, tokens_reset=0.0),
    ),
    "a moment without zone": (anthropic(reset="2026-11-21T10:00:30"), None),
    "a moment without date": (anthropic(date=""), None),
    "both": (
        openai(**anthropic()),
        Rates(requests=5, requests_reset=1.0, tokens=900, tokens_reset=30.0),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLE, ids=lambda case: case.replace(" ", "_"))
def test_the_table(case):
    headers, said = TABLE[case]
    assert rates(headers) == said


def test_a_bucket_holds_a_burst_and_fills_by_the_minute():
    bucket = Bucket(60.0, 3.0)
    for _ in range(3):
        assert bucket.wait(1, 0.0) == 0
        bucket.take(1, 0.0)
    assert bucket.wait(1, 0.0) == pytest.approx(1.0)
    assert bucket.wait(2, 0.5) == pytest.approx(1.5)
    assert bucket.wait(1, 1.0) == 0
    bucket.take(-5, 1.0)  # given back, but never more than it holds
    assert bucket.wait(3, 1.0) == 0
    assert bucket.wait(4, 1.0) == 0  # more than it holds: when it is full


def test_what_was_more_than_the_bucket_held_is_paid_off():
    bucket = Bucket(60.0, 10.0)
    bucket.take(30, 0.0)
    assert bucket.wait(1, 0.0) == pytest.approx(21.0)


def test_an_allowance_is_over_at_its_time():
    left = Allowance()
    assert left.wait(1000, 0.0) == 0
    left.tell(2, 10.0)
    left.take(2)
    assert left.wait(1, 4.0) == 6.0
    assert left.wait(1, 10.0) == 0


def test_who_calls_alone_is_not_held_up_by_what_it_may_need_at_most():
    queue = PermitQueue(limit=9, max_waiting=9)
    queue.tell(Rates(tokens=100, tokens_reset=60.0), 0.0)
    first, second = queue.ask(0.0, 5000), queue.ask(0.0, 5000)
    assert [grant.ticket for grant in queue.grants(0.0)] == [first]
    assert queue.next_look(0.0) == 60.0
    assert first is not None
    queue.leave(first, 1.0)
    assert [grant.ticket for grant in queue.grants(1.0)] == [second]
