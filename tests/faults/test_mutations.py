"""The harnesses can fail: ``python -m tests.faults.mutations`` shows it for each fault."""

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
