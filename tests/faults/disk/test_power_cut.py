"""Power cuts: everything that was acknowledged is on the disk.

``python -m tests.faults.disk.powercut`` has more seeds.
"""

import random
from pathlib import Path

import pytest

from tests.faults.disk.model import SECTOR, Disk, File
from tests.faults.disk.powercut import FAILING, campaign
from tests.faults.disk.shim import Record

slow = [pytest.mark.slow, pytest.mark.peer("cc"), pytest.mark.timeout(120)]


@pytest.mark.parametrize(
    "failing",
    [
        pytest.param((), marks=slow, id="a disk that works"),
        pytest.param(FAILING, marks=slow, id="a disk that fails now and then"),
        # The system holds what was lost, and shows it to who reads it.
        pytest.param(("sync",), marks=slow, id="a disk that loses what it was given"),
    ],
)
def test_what_was_acknowledged_survives_a_power_cut(library, tmp_path, failing):
    for seed in (1, 2):
        report = campaign(
            library,
            tmp_path / str(seed),
            seed=seed,
            lines=800,
            cuts=40,
            failing=failing,
        )
        assert report.violations == []
        assert report.acknowledged >= 800
        assert report.torn > 0
        assert (report.failures > 0) == bool(failing)


# --- the model of a disk


def at(what: str, path: str = "/d/a", content: bytes = b"", number: int = 0) -> Record:
    return Record(what, path, content, number)


def left(tmp_path: Path, *records: Record, share: float) -> dict[str, bytes]:
    """The files after a power cut; each time anew."""
    disk = Disk("/d", random.Random(5), share)
    for record in records:
        disk.play(record)
    disk.cut_power(tmp_path)
    return {path.name: path.read_bytes() for path in tmp_path.rglob("*")}


MADE = (at("C"), at("S", "/d"))
LONG = b"x" * SECTOR + b"y" * SECTOR


@pytest.mark.parametrize(
    "records, share, expected",
    [
        ((*MADE, at("W", content=b"one"), at("S")), 0, {"a": b"one"}),
        ((*MADE, at("W", content=b"one")), 0, {"a": b""}),
        ((*MADE, at("W", content=b"one")), 1, {"a": b"one"}),
        # A sync that failed has lost what it should have written; the next one that
        # works knows nothing of it.
        ((*MADE, at("W", content=b"one"), at("F"), at("S")), 0, {"a": b""}),
        ((*MADE, at("W", content=LONG), at("S"), at("T", number=3)), 1, {"a": b"xxx"}),
        ((*MADE, at("W", content=LONG), at("S"), at("T", number=3)), 0, {"a": LONG}),
        ((*MADE, at("R", content=b"/d/b"), at("S", "/d")), 0, {"b": b""}),
        ((*MADE, at("U"), at("S", "/d")), 0, {}),
    ],
)
def test_what_is_on_the_disk_after_a_power_cut(tmp_path, records, share, expected):
    assert left(tmp_path, *records, share=share) == expected


def test_in_a_folder_whose_own_name_is_not_durable_there_may_be_nothing(tmp_path):
    inside = (at("M", "/d/f"), at("C", "/d/f/a"), at("S", "/d/f"), at("S", "/d/f/a"))
    found = set()
    for seed in range(20):
        disk = Disk("/d", random.Random(seed), 1.0)
        for record in inside:
            disk.play(record)
        disk.cut_power(tmp_path / str(seed))
        found.add((tmp_path / str(seed) / "f" / "a").exists())
    assert found == {True, False}


def test_what_was_not_synced_is_on_the_disk_sector_by_sector():
    found = set()
    for seed in range(50):
        file = File()
        file.write(0, LONG)
        content = bytes(file.after_cut(random.Random(seed), 0.5))
        found.add((content[:1], content[SECTOR : SECTOR + 1]))
    assert found == {(b"", b""), (b"x", b""), (b"\0", b"y"), (b"x", b"y")}


@pytest.mark.slow
@pytest.mark.peer("cc")
@pytest.mark.parametrize("fault", ["no sync at a commit", "no sync of a new folder"])
def test_a_fault_in_the_program_is_found(library, tmp_path, monkeypatch, fault):
    """The storm is another process: it takes the fault from its environment."""
    monkeypatch.setenv("STORM_FAULT", fault)
    report = campaign(library, tmp_path, seed=3, lines=400, cuts=80)
    assert report.violations
