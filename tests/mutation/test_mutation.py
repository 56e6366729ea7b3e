"""The table of faults covers every item, fits the sources, and a sample of it is found.

The whole table takes minutes: ``just faults``.
"""

import attrs
import pytest

from tests.mutation import erlang
from tests.mutation.fault import PACKAGE, ROOT, Fault, Stale, faulty
from tests.mutation.faults import FAULTS
from tests.mutation.items import judge, marked

BY_ID = {fault.id: fault for fault in FAULTS}

# Items that have a test, and no fault: why.
EXCEPTED = {
    "Q4": "the work of a search is no behaviour; the benchmarks measure it",
}


def source_of(fault: Fault) -> str:
    return (ROOT / PACKAGE / fault.file).read_text()


# --- the table


@pytest.mark.parametrize("item", sorted(marked()))
def test_every_item_that_has_a_test_has_a_fault_that_breaks_it(item):
    broken = {item for fault in FAULTS for item in fault.items}
    assert (item in broken) is (item not in EXCEPTED), (
        f"item {item} has tests; tests/mutation/faults/ needs a change of the sources "
        "that makes one of them red, as proof that they can be"
    )


@pytest.mark.parametrize("fault", FAULTS, ids=BY_ID)
def test_a_fault_fits_the_sources(fault):
    changed = faulty(fault, source_of(fault))
    compile(changed, fault.file, "exec")
    assert changed != source_of(fault)


def test_a_fault_has_a_name_of_its_own_and_something_that_has_to_find_it():
    assert len(BY_ID) == len(FAULTS)
    assert all(fault.items or fault.by_erlang for fault in FAULTS)
    assert {item for fault in FAULTS for item in fault.items} <= set(marked())


def test_erlang_has_enough_to_find():
    assert sum(fault.by_erlang for fault in FAULTS) >= 45


def test_a_fault_whose_text_is_gone_says_so_in_words():
    fault = attrs.evolve(FAULTS[0], old="what nobody has ever written")
    with pytest.raises(
        Stale, match=r"stale: its old text occurs 0 times.*tests/mutation"
    ):
        faulty(fault, source_of(fault))


# --- a sample of what the command does


# An item whose tests are few and quick: that nothing is found is seen when all have run.
QUICK = ("92",)
NOTHING = Fault(
    "nothing",
    "_restarts.py",
    "Pure: the time is an argument.",
    "Pure: the time is an argument!",
    "nothing",
    QUICK,
)


@pytest.mark.slow
def test_tests_are_green_without_a_fault_and_with_one_that_breaks_nothing():
    for fault in (None, NOTHING):
        (verdict,) = judge(ROOT, fault, QUICK)
        assert verdict.colour == "green", verdict


@pytest.mark.slow
@pytest.mark.parametrize(
    "id", ["window-one-too-many", "unlink-one-end", "same-state-is-entered"]
)
def test_tests_are_red_under_a_fault(id):
    for verdict in judge(ROOT, BY_ID[id], BY_ID[id].items):
        assert verdict.colour == "red", verdict


@pytest.mark.slow
def test_what_cannot_be_imported_is_not_red():
    fault = attrs.evolve(NOTHING, old="import attrs\n", new="import no_such_thing\n")
    (verdict,) = judge(ROOT, fault, QUICK)
    assert verdict.colour == "broken", verdict


@pytest.mark.slow
@pytest.mark.peer("erlang")
def test_the_comparison_with_erlang_finds_faults_and_only_faults(peer):
    with erlang.traces(1, 300) as traces:
        for fault in (None, NOTHING):
            found = erlang.compare_with(ROOT, fault, traces)
            assert (found.after, found.says) == (None, "")
        for id in ("stop-in-order", "monitor-fires-twice", "call-has-no-reason"):
            found = erlang.compare_with(ROOT, BY_ID[id], traces)
            assert found.after is not None, found
