"""The soak finds what is planted. ``python -m tests.faults.soak`` takes an hour."""

import os
import tempfile
from pathlib import Path

import pytest
import trio

from tests.faults.soak import FLOORS, Soak, soak

SECONDS = float(os.environ.get("BEAMCLAW_SOAK_SECONDS", "25"))
RISING = {"memory": "memory (kB)"}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("plant", ["descriptors", "memory"])
async def test_a_leak_that_was_planted_is_found_under_every_kind_of_load(plant: str):
    # Not pytest's folder: its name is too long for a socket in it.
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        report = await soak(Path(folder), seconds=SECONDS, plant=plant)

    print(*report.table(), sep="\n")  # noqa: T201 -- shown when it fails
    assert RISING.get(plant, plant) in report.rising
    assert set(report.slopes) >= set(FLOORS)
    # In so short a time pools still grow, so nothing is said of what was not planted.
    assert report.wrong == ()
    for what in ("streams", "turns of main", "turns of tooler", "visits", "edits"):
        assert report.done.get(what, 0) > 0, f"no {what}: this proves nothing"


@pytest.mark.parametrize(
    "codes, wrong",
    [
        (["unavailable", "unavailable", None], 0),
        (["unavailable", "refused", None], 1),
        (["unavailable"] * 500, 1),
    ],
)
async def test_a_deletion_is_asked_for_again_while_a_part_of_the_node_is_down(
    monkeypatch, autojump_clock, codes, wrong
):
    left = iter(codes)

    async def answer(*_, **__):
        await trio.lowlevel.checkpoint()
        code = next(left)
        return {"result": True} if code is None else {"error": {"code": code}}

    monkeypatch.setattr(Soak, "_shell", answer)
    run = Soak(node=None, pause=0.0)  # pyright: ignore[reportArgumentType] -- not asked
    await run._delete("agent:main:x")
    assert len(run.wrong) == wrong
    assert run.done["conversations deleted"] == 1
