"""W3C Trace Context: what is believed of the headers, and what goes out in their place."""

import pytest

from beamclaw.contracts import tracing
from beamclaw.contracts.tracing import Given, Parent, Tracing

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize(
    "header, sampled",
    [
        (PARENT, True),
        (f" {PARENT}\t", True),
        (f"00-{TRACE}-{SPAN}-00", False),
        (f"00-{TRACE}-{SPAN}-fe", False),
        (f"00-{TRACE}-{SPAN}-ff", True),
        # A later version may say more.
        (f"01-{TRACE}-{SPAN}-01", True),
        (f"cc-{TRACE}-{SPAN}-01-what-comes-later", True),
        (f"{PARENT}-more", None),
        (f"cc-{TRACE}-{SPAN}-01.more", None),
        (f"cc-{TRACE}-{SPAN}-01-{'x' * 128}", None),
        (f"ff-{TRACE}-{SPAN}-01", None),
        (f"00-{'0' * 32}-{SPAN}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE.upper()}-{SPAN}-01", None),
        (f"{PARENT},{PARENT}", None),
        ("", None),
        ("nonsense", None),
    ],
)
def test_a_parent_is_believed_if_it_is_one(header, sampled):
    kept = tracing.kept(header)
    parent = tracing.parent_of(kept)
    assert kept == ("" if sampled is None else header.strip())
    assert parent == (None if sampled is None else Parent(TRACE, SPAN, sampled))


MEMBERS = [f"k{number}={'x' * 20}" for number in range(30)]


@pytest.mark.parametrize(
    "header, kept",
    [
        ("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", None),
        (" a=1 ,\tb=2 ", "a=1 ,\tb=2"),
        ("a=1,,b=2", None),
        ("tenant@vendor=1,a/b=x y", None),
        ("a=1,a=2", ""),
        ("A=1", ""),
        ("a=", ""),
        ("a=1=2", ""),
        ("a=\u00e9", ""),
        ("nonsense", ""),
        (",".join(f"k{number}=1" for number in range(33)), ""),
        (f"k={'x' * 257}", ""),
        # There is room for so much: the long ones go first, then the last ones.
        (",".join(MEMBERS), ",".join(MEMBERS[:20])),
        (f"big={'x' * 200},{','.join(MEMBERS[:15])}", ",".join(MEMBERS[:15])),
    ],
)
def test_a_state_is_passed_on_as_it_came_as_far_as_there_is_room(header, kept):
    assert tracing.kept_state(PARENT, header) == (header if kept is None else kept)
    assert len(tracing.kept_state(PARENT, header)) <= tracing.MAX_TRACESTATE


def test_without_a_parent_a_state_means_nothing():
    given = tracing.given({"traceparent": "nonsense", "tracestate": "a=1"})
    assert given == Given()
    given = tracing.given({"traceparent": PARENT, "tracestate": "nonsense"})
    assert given == Given(PARENT)


@pytest.mark.parametrize("header", ["", PARENT, f"cc-{TRACE}-{SPAN}-01-later"])
def test_who_makes_no_spans_passes_on_what_came(header):
    assert Tracing().outgoing("run", header, "request", "1") == header


@pytest.mark.parametrize(
    "header, sample, trace, flags",
    [
        (PARENT, 0.0, TRACE, "01"),
        (f"00-{TRACE}-{SPAN}-00", 1.0, TRACE, "00"),
        # Of what it does not know it says nothing.
        (f"cc-{TRACE}-{SPAN}-03-later", 1.0, TRACE, "01"),
        ("", 1.0, None, "01"),
        ("", 0.0, None, "00"),
    ],
)
def test_who_makes_spans_sends_the_one_of_the_step(header, sample, trace, flags):
    tracer = Tracing(sample)
    sent = tracer.outgoing("run", header, "request", "1")
    span = tracing.span_of("run", "request", "1")
    trace = trace or tracer.above("run", "").trace
    assert sent == f"00-{trace}-{span}-{flags}"
    assert tracing.kept(sent) == sent
    assert sent == tracer.outgoing("run", header, "request", "1")
    assert sent != tracer.outgoing("run", header, "request", "2")


def test_so_many_are_kept_as_is_wanted():
    kept = sum(Tracing(0.25).above(f"run-{n}", "").sampled for n in range(2_000))
    assert 400 < kept < 600
