"""Counters, gauges and histograms, and the text that Prometheus reads."""

import pytest

from beamclaw.telemetry.contract import EVENTS
from beamclaw.telemetry.metrics.counting import Counting
from beamclaw.telemetry.metrics.families import LONGEST, OTHER, Family, number
from supervision import Event


def text(family):
    return "".join(family.text())


def test_a_counter_counts_by_its_labels():
    family = Family("turns_total", "counter", "Turns.", ("agent",))
    family.add("main")
    family.add("main", by=2)
    family.add("poet")
    assert text(family) == (
        "# HELP turns_total Turns.\n"
        "# TYPE turns_total counter\n"
        'turns_total{agent="main"} 3\n'
        'turns_total{agent="poet"} 1\n'
    )


def test_what_nobody_has_counted_is_not_there():
    assert text(Family("turns_total", "counter", "Turns.", ("agent",))) == ""


def test_a_histogram_s_buckets_hold_what_is_at_most_their_bound():
    family = Family("seconds", "histogram", "Time.", bounds=(0.5, 1.0))
    for value in (0.5, 0.6, 7.0):
        family.observe(value)
    assert text(family).splitlines()[2:] == [
        'seconds_bucket{le="0.5"} 1',
        'seconds_bucket{le="1"} 2',
        'seconds_bucket{le="+Inf"} 3',
        "seconds_sum 8.1",
        "seconds_count 3",
    ]


def test_series_beyond_the_limit_are_counted_together():
    family = Family("calls_total", "counter", "Calls.", ("model", "kind"), most=3)
    for turn in range(2):
        for model in range(100):
            family.add(f"m{model}", turn)
    lines = text(family).splitlines()[2:]
    assert len(lines) == 4
    assert lines[-1] == f'calls_total{{model="{OTHER}",kind="{OTHER}"}} 197'
    assert family.folded == 197


@pytest.mark.parametrize(
    "value, shown",
    [
        ('a"b', r"a\"b"),
        ("a\\b", r"a\\b"),
        ("a\nb_total 1", "a?b_total 1"),
        ("\x1b[2Jgone", "?[2Jgone"),
        ("\ud800", "?"),
        ("\u202eevil", "?evil"),
        ("x" * 500, "x" * LONGEST + "..."),
    ],
)
def test_a_label_s_value_stays_in_its_place(value, shown):
    family = Family("calls_total", "counter", "Calls.", ("model",))
    family.add(value)
    assert text(family).splitlines()[2:] == [f'calls_total{{model="{shown}"}} 1']


@pytest.mark.parametrize(
    "value, shown",
    [(1.0, "1"), (0.25, "0.25"), (float("inf"), "+Inf"), (1e15, "1000000000000000")],
)
def test_numbers_are_written_as_prometheus_reads_them(value, shown):
    assert number(value) == shown


def test_every_event_of_the_contract_can_be_counted():
    counting = Counting(most=10)
    for spec in EVENTS.values():
        told = dict.fromkeys(spec.told, "x")
        counting.take(Event(spec.name, dict.fromkeys(spec.measured, 1.0), told))
    lines = [
        line for line in counting.text() if line.startswith("beamclaw_events_total{")
    ]
    assert len(lines) == len(EVENTS)


def test_every_family_that_events_fill_is_filled_by_one_of_the_contract():
    counting = Counting()
    told = {"outcome": "ok", "duplicate": False}
    for spec in EVENTS.values():
        for then in ("again", "fallback", "given-up"):
            more = {**dict.fromkeys(spec.told, "x"), **told, "then": then}
            counting.take(Event(spec.name, dict.fromkeys(spec.measured, 2.0), more))
    assert [family.name for family in counting.families if not text(family)] == []


def test_what_is_worth_an_alert_at_its_first_time_is_there_before():
    counting = Counting()
    zeros = [line for line in counting.text() if not line.startswith("#")]
    assert zeros == [
        'beamclaw_turns_quarantined_total{tenant="default"} 0\n',
        'beamclaw_limits_nearly_reached_total{tenant="default"} 0\n',
    ]
    told = {"tenant": "default", "session": "agent:main:main", "key": "main"}
    for name in ("beamclaw.session.quarantined", "beamclaw.limits.nearly_reached"):
        counting.take(Event(name, {}, told))
    lines = [*counting.text()]
    assert {zero.replace(" 0", " 1") for zero in zeros} <= {*lines}


@pytest.mark.parametrize(
    "name, unit",
    [
        ("process_cpu_seconds_total", "seconds"),
        ("process_resident_memory_bytes", "bytes"),
        ("beamclaw_model_cost_dollars_total", "dollars"),
        ("beamclaw_model_tokens_total", "tokens"),
        ("beamclaw_turns_total", "count"),
        ("beamclaw_names", "count"),
    ],
)
def test_the_unit_of_a_family_is_what_its_name_ends_with(name, unit):
    assert Family(name, "gauge", "Words.").unit == unit


def test_an_event_that_is_not_in_the_contract_makes_no_series_of_its_own():
    counting = Counting()
    for place in range(100):
        counting.take(Event(f"theirs.{place}", {}, {}))
    assert f'beamclaw_events_total{{event="{OTHER}"}} 100\n' in list(counting.text())


def test_a_secret_is_in_no_label():
    family = Family(
        "calls_total", "counter", "Calls.", ("model",), scrub=lambda text: text.upper()
    )
    for _ in range(2):
        family.add("canary")
    assert text(family).splitlines()[2:] == ['calls_total{model="CANARY"} 2']
