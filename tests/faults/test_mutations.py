"""The harnesses can fail: ``python -m tests.faults.mutations`` shows it for each fault."""

import re

import pytest

from tests.faults.mutations import MUTATIONS, ROOT, Mutation, _said, try_out
from tests.faults.scenarios import TABLE

IDS = [mutation.id for mutation in MUTATIONS]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=IDS)
def test_a_fault_can_be_put_into_the_sources_of_today(mutation: Mutation):
    source = (ROOT / "beamclaw" / mutation.file).read_text()

    faulty = mutation.faulty(source)

    assert faulty != source
    compile(faulty, mutation.file, "exec")


@pytest.mark.parametrize("mutation", MUTATIONS, ids=IDS)
def test_a_fault_names_a_harness_that_there_is(mutation: Mutation):
    assert list(mutation.harnesses())
    for cell in mutation.matrix:
        scenario, _, nth = cell.split()
        assert scenario in TABLE
        assert int(nth) > 0


HARNESSES = {
    "crash matrix": "matrix",
    "kills under load": "kill",
    "simulation": "simulation",
    "contract": "contract",
}


def test_the_page_says_by_which_harnesses_a_fault_is_found():
    """Of those that it names."""
    page = (ROOT / "docs" / "explanation" / "reliability.md").read_text()
    rows = page.partition("| taken out | found by |")[2].partition("\n\n")[0]
    told = {
        id_: {harness for words, harness in HARNESSES.items() if words in found}
        for row in rows.splitlines()[2:]
        for _, faults, found, _ in [row.split("|")]
        for id_ in re.findall(r"`([a-z-]+)`", faults)
    }
    assert len(told) > 10
    by_id = {mutation.id: mutation for mutation in MUTATIONS}
    assert told == {
        id_: {harness for harness, _ in by_id[id_].harnesses()} for id_ in told
    }


def test_no_two_faults_have_one_name():
    assert len(set(IDS)) == len(IDS)


@pytest.mark.parametrize(
    "words, said",
    [
        ("FAILED  python x\nsums: a purse", "sums: a purse"),
        (
            "python -m tests.simulation --seed 3 --trace\n    p0: lost\nseeds",
            "p0: lost",
        ),
        ("Traceback\nValueError: none", "ValueError: none"),
        ("nothing of that", "red"),
    ],
)
def test_the_first_complaint_of_a_harness_is_told(words: str, said: str):
    assert _said(words) == said


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["unsafe-again", "stopped-told-first"])
def test_the_matrix_finds_a_fault(name: str):
    (mutation,) = [each for each in MUTATIONS if each.id == name]

    (found,) = try_out(ROOT, mutation, "matrix")

    assert found.words
