"""What breaks the contract of events, and that a test in which it happens fails."""

import pytest

import supervision
from beamclaw.telemetry.contract import EVENTS, breach
from tests.support import contract

GOOD = supervision.Event("beamclaw.node.ready", {}, {"address": "http://a"})


def test_an_event_as_it_is_promised_breaks_nothing():
    assert breach(GOOD) is None


@pytest.mark.parametrize(
    "name, measurements, metadata, words",
    [
        ("beamclaw.node.unheard", {}, {}, "is not in the contract"),
        ("beamclaw.node.ready", {}, {}, "has the metadata none, not address"),
        ("beamclaw.node.ready", {"n": 1}, {"address": ""}, "has the measurements n"),
        (
            "beamclaw.gateway.out_of_files",
            {"connections": True},
            {},
            "connections is no number: True",
        ),
    ],
)
def test_what_was_not_promised_is_a_breach(name, measurements, metadata, words):
    assert words in (breach(supervision.Event(name, measurements, metadata)) or "")


def test_a_breach_while_a_test_runs_is_seen():
    supervision.emit("beamclaw.node.unheard")
    assert contract.BREACHES == ["beamclaw.node.unheard is not in the contract"]
    contract.BREACHES.clear()


def test_each_event_says_what_has_happened():
    assert all(spec.doc.endswith(".") for spec in EVENTS.values())
