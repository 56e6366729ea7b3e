"""The page about crashes says what is: it names every point, and its journals are true."""

import re
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from beamclaw.contracts.points import POINTS, names
from beamclaw.testing.node import Orders
from tests.faults.scenarios import TABLE, key
from tests.faults.stage import open_stage

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "crashes.md"
NAME = re.compile(r"`([a-z]+\.[a-z-]+)`")
STEP = re.compile(r"`([a-z]+\.[a-z.-]+) (\d+)`")


def rows() -> Iterator[list[str]]:
    """The cells of each row of its tables."""
    for line in PAGE.read_text().splitlines():
        if line.startswith("| `"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def walk() -> list[tuple[str, int, str]]:
    """Each step of the walk: point, time, and what the journal ends with."""
    steps = [(STEP.fullmatch(row[0]), row[1]) for row in rows()]
    return [
        (step[1], int(step[2]), said[1] if (said := re.match(r"`(.*?)`", end)) else "")
        for step, end in steps
        if step
    ]


def test_every_point_stands_in_the_page_once():
    found = [name for row in rows() for name in NAME.findall(row[0])]

    assert sorted(found) == sorted(POINTS), (
        "say in docs/explanation/crashes.md what a kill there leaves behind"
    )


def test_the_walk_names_points_that_there_are():
    assert {point for point, _, _ in walk()} <= set(names())
    assert len(walk()) > 15


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_the_journal_ends_as_the_page_says():
    wrong: list[str] = []
    with tempfile.TemporaryDirectory(prefix="page-") as folder:
        async with open_stage(Path(folder)) as stage:
            for number, (point, nth, end) in enumerate(walk()):
                stage.order(Orders(kill=point, nth=nth))
                play = partial(TABLE["tool-unsafe"].play, stage, f"p{number}")
                await stage.ends(play)
                journal = stage.known.kills[-1].book.journal(key(f"p{number}"))
                found = journal[-1]["kind"] if journal else ""
                if len(stage.known.kills) != number + 1 or found != end:
                    wrong.append(f"{point} {nth}: {found!r}, not {end!r}")
            assert stage.look() == []
    assert wrong == []
