"""When a conversation is over: by rule, as a table, and by word."""

import datetime as dt
from zoneinfo import ZoneInfo

import attrs
import pytest

from beamclaw.contracts.messages import Image, Message, Text, said
from beamclaw.contracts.resets import ResetRule, Typed, due, typed
from beamclaw.contracts.sessions import Inbound

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")
KOLKATA = ZoneInfo("Asia/Kolkata")
DAILY = ResetRule(mode="daily", zone=BERLIN)
IDLE = ResetRule(mode="idle", idle_minutes=30)
NEVER = ResetRule()


def at(text: str) -> float:
    """Seconds since the epoch; without an offset in UTC."""
    moment = dt.datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()


# rule, what was last said, now, what is due
CASES = [
    # never
    (NEVER, "2026-01-01T00:00", "2036-01-01T00:00", None),
    # daily, at four in Berlin: 03:00 UTC in winter, 02:00 in summer
    (DAILY, "2026-01-10T02:59", "2026-01-10T02:59:59", None),
    (DAILY, "2026-01-10T02:59", "2026-01-10T03:00", "daily"),
    (DAILY, "2026-01-10T03:00", "2026-01-10T03:00", None),
    (DAILY, "2026-01-10T03:00", "2026-01-11T02:59", None),
    (DAILY, "2026-01-10T03:01", "2026-01-11T03:00", "daily"),
    (DAILY, "2026-01-10T23:30", "2026-01-11T00:30", None),  # midnight is no border
    (DAILY, "2026-07-10T01:59", "2026-07-10T02:00", "daily"),
    (DAILY, "2025-01-10T12:00", "2026-01-10T12:00", "daily"),
    # the day on which clocks are put on (29 March 2026, 02:00 becomes 03:00)
    (DAILY, "2026-03-29T00:59", "2026-03-29T01:59", None),
    (DAILY, "2026-03-29T01:59", "2026-03-29T02:00", "daily"),
    # and back (25 October 2026, 03:00 becomes 02:00)
    (DAILY, "2026-10-25T01:59", "2026-10-25T02:59", None),
    (DAILY, "2026-10-25T02:59", "2026-10-25T03:00", "daily"),
    # an hour that the clock leaves out begins with the one behind: 03:00 in Berlin
    (ResetRule(mode="daily", at_hour=2, zone=BERLIN), "2026-03-29T00:30",
     "2026-03-29T00:59", None),
    (ResetRule(mode="daily", at_hour=2, zone=BERLIN), "2026-03-29T00:30",
     "2026-03-29T01:00", "daily"),
    # one that it shows twice counts the first time only: 00:00 UTC, not 01:00 again
    (ResetRule(mode="daily", at_hour=2, zone=BERLIN), "2026-10-24T23:59",
     "2026-10-25T00:00", "daily"),
    (ResetRule(mode="daily", at_hour=2, zone=BERLIN), "2026-10-25T00:10",
     "2026-10-25T01:10", None),
    # other zones, other hours
    (ResetRule(mode="daily", at_hour=0, zone=NEW_YORK), "2026-01-10T04:59",
     "2026-01-10T05:00", "daily"),
    (ResetRule(mode="daily", at_hour=23, zone=KOLKATA), "2026-01-10T17:29",
     "2026-01-10T17:30", "daily"),
    # a clock that was put back ends nothing, by a minute or by a year
    (DAILY, "2026-01-10T03:01", "2026-01-10T02:58", None),
    (DAILY, "2027-01-10T12:00", "2026-01-10T12:00", None),
    (IDLE, "2026-01-10T12:00", "2026-01-10T11:00", None),
    # idle
    (IDLE, "2026-01-10T12:00", "2026-01-10T12:29:59", None),
    (IDLE, "2026-01-10T12:00", "2026-01-10T12:30", "idle"),
    (ResetRule(mode="idle", idle_minutes=0.5), "2026-01-10T12:00",
     "2026-01-10T12:00:30", "idle"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "last", "now", "expected"), CASES)
def test_due(rule, last, now, expected):
    assert due(rule, at(last), at(now)) == expected


@pytest.mark.parametrize("hour", range(24))
def test_a_conversation_is_over_once_a_day(hour):
    rule = ResetRule(mode="daily", at_hour=hour, zone=BERLIN)
    last, now, times = at("2026-01-01T00:30"), at("2026-01-01T00:30"), 0
    end = at("2027-01-01T00:30")
    while now < end:
        if due(rule, last, now):
            times += 1
        last = now
        now += 1800
    assert times == 365


def test_without_a_zone_the_systems_counts():
    rule = ResetRule(mode="daily")
    moment = dt.datetime.fromisoformat("2026-01-10T04:00").astimezone().timestamp()
    assert due(rule, moment - 1, moment) == "daily"
    assert due(rule, moment - 2, moment - 1) is None


# --- by word


def inbound(*messages: Message, ephemeral: bool = False) -> Inbound:
    return Inbound(
        tenant="t", source="s", account="a", conversation="c", external_id="x",
        session_key="agent:main:main", agent="main", messages=messages, run_id="r",
        ephemeral=ephemeral,
    )  # fmt: skip


WORDS = [
    ("/new", Typed("new", None)),
    ("  /new  ", Typed("new", None)),
    ("/NEW", Typed("new", None)),
    ("/reset", Typed("reset", None)),
    ("/new what is new?", Typed("new", said("user", "what is new?"))),
    ("/new\nwhat is\nnew?", Typed("new", said("user", "what is\nnew?"))),
    ("/reset   /new", Typed("reset", said("user", "/new"))),
    ("/newer", None),
    ("/news", None),
    ("new", None),
    ("what does /new do?", None),
    ("/etc/new", None),
    ("", None),
]


@pytest.mark.parametrize(("text", "expected"), WORDS)
def test_words(text, expected):
    assert typed(inbound(said("user", text))) == expected


def test_only_the_last_message_counts_and_it_has_to_be_a_persons():
    assert typed(inbound(said("user", "/new"), said("user", "hello"))) is None
    assert typed(inbound(said("assistant", "/new"))) is None
    assert typed(inbound()) is None
    assert typed(inbound(Message("user", ()))) is None


def test_an_image_beside_the_word_is_part_of_the_first_message():
    image = Image(url="https://example.org/a.png")
    given = Message("user", (Text("/new look"), image))
    assert typed(inbound(given)) == Typed("new", Message("user", (Text("look"), image)))
    assert typed(inbound(Message("user", (image,)))) is None


def test_what_another_session_says_ends_nothing():
    given = attrs.evolve(inbound(said("user", "/new")), hops=1)
    assert typed(given) is None


def test_where_somebody_wants_it_to_be_said_it_means_nothing():
    given = attrs.evolve(inbound(said("user", "/new")), literal=True)
    assert typed(given) is None


def test_in_a_conversation_of_one_request_it_means_nothing():
    assert typed(inbound(said("user", "/new"), ephemeral=True)) is None
