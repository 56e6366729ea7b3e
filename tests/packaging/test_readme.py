"""The two lines of the README are what the pipeline runs and people copy."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
RUN = (
    "python3 -m venv .venv && .venv/bin/pip install -q -c constraints.txt . "
    "&& .venv/bin/beamclaw run"
)
TEST = (
    "python3 -m venv .venv && .venv/bin/pip install -q -c constraints.txt -e '.[test]' "
    "&& .venv/bin/just test"
)


def lines(name: str) -> list[str]:
    return (ROOT / name).read_text().splitlines()


def test_the_readme_has_both_lines_and_then_what_debian_needs():
    readme = lines("README.md")
    after = readme[readme.index(TEST) :]
    assert RUN in readme
    assert any("apt-get install python3-venv" in line for line in after[:10])


def test_the_pipeline_runs_the_second_line_as_it_stands():
    assert TEST in lines(".ci/run")
