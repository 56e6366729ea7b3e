"""Erlang and `supervision` do the same, scenario by scenario."""

import pytest

from tests.differential.run import run
from tests.differential.shrink import command, shrink, told
from tests.differential.terms import decode, encode

COUNT = 2000


@pytest.mark.slow
@pytest.mark.peer("erlang")
def test_erlang_and_supervision_do_the_same(peer):
    report = run(1, 0, COUNT)
    for scenario, difference in report.different[:1]:
        small, less = shrink(scenario, difference)
        pytest.fail(
            f"{len(report.different)} scenarios differ; the first, made small:\n"
            f"{told(small)}\n{less}\nto repeat it: {command(scenario)}",
        )
    assert report.untimed < COUNT // 20


def test_terms_go_there_and_back():
    terms = [("a", 1, 300, -7, True), [], ["x", ("y", [False])], "infinity"]
    assert decode(encode(terms)) == terms
